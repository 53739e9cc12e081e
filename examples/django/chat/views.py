"""The page of a room, and its WebSocket."""

import json
from collections import defaultdict
from contextlib import suppress

from django.db import connections
from django.http import HttpResponse, HttpResponseBadRequest
from django.shortcuts import render

from wsocket import WebSocketError

rooms = defaultdict(dict)  # of each room, WebSocket: name


def tell(people, name, text):
    line = {"name": name, "text": text, "people": sorted(people.values())}
    for ws in list(people):
        with suppress(WebSocketError):  # left meanwhile
            ws.send(json.dumps(line))


def page(request, room):
    return render(request, "chat/room.html", {"room": room})


def chat(request, room):
    ws = request.environ.get("wsgi.websocket")
    if ws is None:
        return HttpResponseBadRequest("A WebSocket is expected here.\n")
    people, name = rooms[room], request.GET.get("name", "somebody")
    # A view that has asked for request.user or made a query holds a database
    # connection until it returns; this one returns when its visitor leaves.
    connections.close_all()
    ws.accept()
    people[ws] = name
    try:
        tell(people, name, "has come")
        for text in ws:
            tell(people, name, "says: %s" % text)
    finally:
        del people[ws]
        tell(people, name, "has left")
    return HttpResponse()
