"""Echo by events: python -m wsocket ws_events:app."""

from wsocket import WSocketApp

app = WSocketApp()
app.onmessage += lambda message, client: client.send(message)
