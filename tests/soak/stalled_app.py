"""Numbers for all that subscribe, 100 a second, once /start/SECONDS is asked for.
Any other path says how many were closed, by the code that was sent."""

import collections
import json
import threading
import time

import wsocket
from wsocket import WSocketApp

EVERY, LENGTH = 0.01, 1024
numbers = WSocketApp()
closed = collections.Counter()


def on_connect(client):
    client.subscribe("numbers")
    client.send("subscribed")


def on_close(reason, client):
    closed[client.sent_code] += 1


numbers.onconnect += on_connect
numbers.onclose += on_close


def publish_for(seconds):
    began = time.monotonic()
    for number in range(int(seconds / EVERY)):
        time.sleep(max(0, began + number * EVERY - time.monotonic()))
        text = "%d %.6f " % (number, time.monotonic())
        wsocket.publish("numbers", text.ljust(LENGTH, "x"))


def app(environ, start_response):
    if "wsgi.websocket" in environ:
        return numbers(environ, start_response)
    start_response("200 OK", [])
    path, _, seconds = environ["PATH_INFO"].rpartition("/")
    if path == "/start":
        threading.Thread(
            target=publish_for, args=(float(seconds),), daemon=True
        ).start()
    return [json.dumps(closed).encode()]
