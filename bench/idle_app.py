"""An event app with a handler for each event: python -m wsocket idle_app:app."""

from wsocket import WSocketApp

app = WSocketApp()
app.onconnect += lambda client: None
app.onmessage += lambda message, client: client.send(message)
app.onclose += lambda message, client: None
