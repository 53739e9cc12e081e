"""News by server-sent events: `wsocket app:app`, then http://127.0.0.1:8080/."""

from flask import Flask, Response, request

from wsocket import listen, publish

app = Flask(__name__)

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>News</title>
<link rel="icon" href="data:,">
<h1>News</h1>
<form id="form">
  <input id="text" aria-label="News" autocomplete="off"> <button id="send">Publish</button>
</form>
<p id="status" role="status">connecting</p>
<ul id="log"></ul>
<script>
const at = (id) => document.getElementById(id);
const events = new EventSource("/events");
events.onopen = () => { at("status").textContent = "here"; };
events.onerror = () => { at("status").textContent = "connecting again"; };
events.onmessage = (event) => {
  const line = document.createElement("li");
  line.textContent = event.data;
  at("log").append(line);
};
at("form").onsubmit = (event) => {
  event.preventDefault();
  fetch("/news", {method: "POST", body: at("text").value});
  at("text").value = "";
};
</script>
</html>
"""


@app.get("/")
def page():
    return PAGE


@app.post("/news")
def news():
    publish("news", request.get_data(as_text=True))
    return "", 204


@app.get("/events")
def events():
    def stream():
        with listen("news", timeout=15) as heard:
            yield ": open\n\n"  # the head leaves with the first item
            for text in heard:
                if text is None:
                    yield ": still here\n\n"
                else:  # each line of a text is a line of the event
                    yield "".join("data: %s\n" % line for line in text.splitlines()) + "\n"

    return Response(stream(), content_type="text/event-stream")
