"""A chat room in Pyramid: `wsocket app:app`, then http://127.0.0.1:8080/."""

import html
import json
import os
import string
from collections import defaultdict

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPBadRequest, HTTPFound
from pyramid.response import Response
from pyramid.view import view_config

from wsocket import publish

HERE = os.path.dirname(os.path.abspath(__file__))
rooms = defaultdict(dict)  # of each room, the names by WebSocket

with open(os.path.join(HERE, "room.html"), encoding="utf-8") as file:
    PAGE = string.Template(file.read())


def tell(room, name, text):
    people = sorted(rooms[room].values())
    publish("room " + room, json.dumps(
        {"name": name, "text": text, "people": people}))


@view_config(route_name="index")
def index(request):
    return HTTPFound(request.route_path("page", room="lobby"))


@view_config(route_name="page")
def page(request):
    room = html.escape(request.matchdict["room"])
    return Response(PAGE.substitute(room=room))


@view_config(route_name="chat")
def chat(request):
    ws = request.environ.get("wsgi.websocket")
    if ws is None:
        raise HTTPBadRequest("A WebSocket is expected here.")
    room = request.matchdict["room"]
    name = request.GET.get("name", "somebody")
    ws.subscribe("room " + room)
    rooms[room][ws] = name
    try:
        tell(room, name, "has come")
        for text in ws:
            tell(room, name, "says: %s" % text)
    finally:
        del rooms[room][ws]
        tell(room, name, "has left")
    return Response()


def make_app():
    with Configurator() as config:
        config.add_route("index", "/")
        config.add_route("page", "/room/{room}")
        config.add_route("chat", "/chat/{room}")
        config.add_static_view("static", os.path.join(HERE, "..", "static"))
        config.scan("app")
        return config.make_wsgi_app()


app = make_app()
