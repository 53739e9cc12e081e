"""A chat room in Bottle: `wsocket app:app`, then http://127.0.0.1:8080/."""

import json
import os
from collections import defaultdict

from bottle import TEMPLATE_PATH, Bottle, abort, redirect, request
from bottle import static_file, template

from wsocket import publish

HERE = os.path.dirname(os.path.abspath(__file__))
TEMPLATE_PATH.insert(0, os.path.join(HERE, "views"))

app = Bottle()
rooms = defaultdict(dict)  # of each room, the names by WebSocket


def tell(room, name, text):
    people = sorted(rooms[room].values())
    publish("room " + room, json.dumps(
        {"name": name, "text": text, "people": people}))


@app.route("/")
def index():
    redirect("/room/lobby")


@app.route("/static/<name>")
def static(name):
    return static_file(name, root=os.path.join(HERE, "..", "static"))


@app.route("/room/<room>")
def page(room):
    return template("room", room=room)


@app.route("/chat/<room>")
def chat(room):
    ws = request.environ.get("wsgi.websocket")
    if ws is None:
        abort(400, "A WebSocket is expected here.")
    name = request.query.getunicode("name", "somebody")
    ws.subscribe("room " + room)
    rooms[room][ws] = name
    try:
        tell(room, name, "has come")
        for text in ws:
            tell(room, name, "says: %s" % text)
    finally:
        del rooms[room][ws]
        tell(room, name, "has left")
