"""A chat room in Flask: `wsocket app:app`, then http://127.0.0.1:8080/."""

import json
from collections import defaultdict

from flask import Flask, redirect, render_template, request, url_for

from wsocket import publish

app = Flask(__name__, static_folder="../static", static_url_path="/static")
rooms = defaultdict(dict)  # of each room, the names by WebSocket


def tell(room, name, text):
    people = sorted(rooms[room].values())
    publish("room " + room, json.dumps(
        {"name": name, "text": text, "people": people}))


@app.route("/")
def index():
    return redirect(url_for("page", room="lobby"))


@app.route("/room/<room>")
def page(room):
    return render_template("room.html", room=room)


@app.route("/chat/<room>")
def chat(room):
    ws = request.environ.get("wsgi.websocket")
    if ws is None:
        return "A WebSocket is expected here.\n", 400
    name = request.args.get("name", "somebody")
    ws.subscribe("room " + room)
    rooms[room][ws] = name
    try:
        tell(room, name, "has come")
        for text in ws:
            tell(room, name, "says: %s" % text)
    finally:
        del rooms[room][ws]
        tell(room, name, "has left")
    return ""
