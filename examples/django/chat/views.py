"""The page of a room, and its WebSocket."""

import json
from collections import defaultdict

from django.db import connections
from django.http import HttpResponse, HttpResponseBadRequest
from django.shortcuts import render

from wsocket import publish

rooms = defaultdict(dict)  # of each room, the names by WebSocket


def tell(room, name, text):
    people = sorted(rooms[room].values())
    publish("room " + room, json.dumps(
        {"name": name, "text": text, "people": people}))


def page(request, room):
    return render(request, "chat/room.html", {"room": room})


def chat(request, room):
    ws = request.environ.get("wsgi.websocket")
    if ws is None:
        return HttpResponseBadRequest("A WebSocket is expected here.\n")
    name = request.GET.get("name", "somebody")
    # A view that has asked for request.user or made a query holds a database
    # connection until it returns; this one returns when its visitor leaves.
    connections.close_all()
    ws.subscribe("room " + room)
    rooms[room][ws] = name
    try:
        tell(room, name, "has come")
        for text in ws:
            tell(room, name, "says: %s" % text)
    finally:
        del rooms[room][ws]
        tell(room, name, "has left")
    return HttpResponse()
