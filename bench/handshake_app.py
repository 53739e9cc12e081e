"""Echo by events, and plain requests: python -m wsocket handshake_app:app."""

import http_app

from wsocket import WSocketApp

app = WSocketApp(http_app.app)
app.onmessage += lambda message, client: client.send(message)
