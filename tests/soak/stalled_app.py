"""Numbers for all that subscribe, 100 a second, once /start/SECONDS is asked for."""

import threading
import time

import wsocket
from wsocket import WSocketApp

EVERY, LENGTH = 0.01, 1024
numbers = WSocketApp()


def on_connect(client):
    client.subscribe("numbers")
    client.send("subscribed")


numbers.onconnect += on_connect


def publish_for(seconds):
    began = time.monotonic()
    for number in range(int(seconds / EVERY)):
        time.sleep(max(0, began + number * EVERY - time.monotonic()))
        text = "%d %.6f " % (number, time.monotonic())
        wsocket.publish("numbers", text.ljust(LENGTH, "x"))


def app(environ, start_response):
    if "wsgi.websocket" in environ:
        return numbers(environ, start_response)
    seconds = float(environ["PATH_INFO"].rpartition("/")[2] or 0)
    threading.Thread(target=publish_for, args=(seconds,), daemon=True).start()
    start_response("200 OK", [])
    return [b""]
