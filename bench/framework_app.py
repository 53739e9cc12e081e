"""Hello by a bare WSGI application, the Framework, Bottle and Flask."""

from wsocket import Framework

from http_app import HELLO, hello as bare  # noqa: F401

TEXT = HELLO.decode()

framework = Framework()


@framework.route("/")
def hello(environ, start_response):
    return TEXT


def make_bottle():
    from bottle import Bottle

    app = Bottle()
    app.route("/")(lambda: TEXT)
    return app


def make_flask():
    from flask import Flask

    app = Flask(__name__)
    app.route("/")(lambda: TEXT)
    return app
