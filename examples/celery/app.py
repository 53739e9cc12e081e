"""A task of Celery and its progress: see README.md."""

import json
import os
import time

from celery import Celery
from flask import Flask, request

REDIS = os.environ.get("REDIS", "redis://127.0.0.1:6379/0")
tasks = Celery("app", broker=REDIS, backend=REDIS)
app = Flask(__name__)

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>A task</title>
<link rel="icon" href="data:,">
<h1>A task</h1>
<button id="start">Start</button>
<label>How far: <progress id="progress" max="1" value="0"></progress></label>
<p id="status" role="status">not started</p>
<script>
const at = (id) => document.getElementById(id);
at("start").onclick = () => {
  const url = new URL("/task?steps=20", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  const socket = new WebSocket(url);
  socket.onmessage = (message) => {
    const told = JSON.parse(message.data);
    at("progress").value = told.done / told.of;
    at("status").textContent = told.state;
  };
};
</script>
</html>
"""


@tasks.task(bind=True)
def count(self, steps):
    for done in range(steps):
        self.update_state(state="PROGRESS", meta={"done": done, "of": steps})
        time.sleep(0.1)  # the work
    return {"done": steps, "of": steps}


@app.get("/")
def page():
    return PAGE


@app.get("/task")
def watch():
    ws = request.environ.get("wsgi.websocket")
    if ws is None:
        return "A WebSocket is expected here.\n", 426
    steps = min(request.args.get("steps", 10, int), 100)
    result, told = count.delay(steps), None
    while not ws.closed:
        state, info = result.state, result.info
        if isinstance(info, dict) and (state, info) != told:
            told = state, info
            ws.send(json.dumps({"state": state, **info}))
        if state in ("SUCCESS", "FAILURE", "REVOKED"):
            break
        try:
            ws.receive(timeout=0.2)  # instead of a sleep: it ends when the client leaves
        except TimeoutError:
            pass
    return ""
