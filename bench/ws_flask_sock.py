"""Echo by flask-sock: gunicorn -k gthread ws_flask_sock:app."""

from flask import Flask
from flask_sock import Sock

app = Flask(__name__)
sock = Sock(app)


@sock.route("/")
def echo(ws):
    while True:
        ws.send(ws.receive())
