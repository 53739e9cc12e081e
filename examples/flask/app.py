"""A chat room in Flask: `wsocket app:app`, then http://127.0.0.1:8080/."""

import json
from collections import defaultdict
from contextlib import suppress

from flask import Flask, redirect, render_template, request, url_for

from wsocket import WebSocketError

app = Flask(__name__, static_folder="../static", static_url_path="/static")
rooms = defaultdict(dict)  # of each room, WebSocket: name


def tell(people, name, text):
    line = {"name": name, "text": text, "people": sorted(people.values())}
    for ws in list(people):
        with suppress(WebSocketError):  # left meanwhile
            ws.send(json.dumps(line))


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
    people, name = rooms[room], request.args.get("name", "somebody")
    ws.accept()
    people[ws] = name
    try:
        tell(people, name, "has come")
        for text in ws:
            tell(people, name, "says: %s" % text)
    finally:
        del people[ws]
        tell(people, name, "has left")
    return ""
