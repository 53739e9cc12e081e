"""One topic for all: python -m wsocket fan_topics:app."""

from wsocket import WSocketApp, publish

app = WSocketApp()
app.onconnect += lambda client: client.subscribe("all")
app.onmessage += lambda message, client: publish("all", message)
