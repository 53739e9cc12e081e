"""A Flask page that talks to a WebSocket view of the same app.

    pip install flask wsocket
    wsocket app:app            # then open http://127.0.0.1:8080/
"""

from flask import Flask, request

app = Flask(__name__)

PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Flask echo</title>
<style>
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 2rem auto }
  #log { white-space: pre-wrap }
</style>
<h1>Flask echo</h1>
<p>The socket is <b id="status">connecting</b>.</p>
<form id="form">
  <input id="text" value="hello" aria-label="message">
  <button id="send">Send</button>
  <button id="close" type="button">Close</button>
</form>
<pre id="log"></pre>
<script>
const $ = id => document.getElementById(id)
const log = line => $("log").append(line + "\\n")
const socket = new WebSocket(location.href.replace(/^http/, "ws") + "echo")

socket.onopen = () => $("status").textContent = "open"
socket.onmessage = event => log(event.data)
socket.onclose = event =>
  $("status").textContent = `closed (${event.code} ${event.reason})`
$("form").onsubmit = event => {
  event.preventDefault()
  socket.send($("text").value)
}
$("close").onclick = () => socket.send("bye")
</script>
"""


@app.route("/")
def page():
    return PAGE


@app.route("/echo")
def echo():
    ws = request.environ.get("wsgi.websocket")
    if ws is None:
        return "Connect here with a WebSocket.\n", 426, {"Upgrade": "websocket"}
    ws.send("welcome")
    for message in ws:
        if message == "bye":
            ws.close(1000, "goodbye")
            break
        ws.send("you said: " + message)
    return ""
