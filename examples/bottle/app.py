"""A chat room in Bottle: `wsocket app:app`, then http://127.0.0.1:8080/."""

import json
import os
from collections import defaultdict
from contextlib import suppress

from bottle import TEMPLATE_PATH, Bottle, abort, redirect, request
from bottle import static_file, template

from wsocket import WebSocketError

HERE = os.path.dirname(os.path.abspath(__file__))
TEMPLATE_PATH.insert(0, os.path.join(HERE, "views"))

app = Bottle()
rooms = defaultdict(dict)  # of each room, WebSocket: name


def tell(people, name, text):
    line = {"name": name, "text": text, "people": sorted(people.values())}
    for ws in list(people):
        with suppress(WebSocketError):  # left meanwhile
            ws.send(json.dumps(line))


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
    people, name = rooms[room], request.query.getunicode("name", "somebody")
    ws.accept()
    people[ws] = name
    try:
        tell(people, name, "has come")
        for text in ws:
            tell(people, name, "says: %s" % text)
    finally:
        del people[ws]
        tell(people, name, "has left")
