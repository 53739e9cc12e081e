"""Servers that have no command: serve.py NAME PORT [CERT KEY]."""

import sys

NAME, PORT = sys.argv[1], int(sys.argv[2])
TLS = tuple(sys.argv[3:]) or None

if NAME == "gevent":
    from gevent import monkey

    monkey.patch_all()
elif NAME == "eventlet":
    import eventlet

    eventlet.monkey_patch()

from app import app  # noqa: E402


def serve_wsgiref():
    import socketserver
    import wsgiref.simple_server

    class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
        daemon_threads = True
        request_queue_size = 128

    server = wsgiref.simple_server.make_server("127.0.0.1", PORT, app, Server)
    server.serve_forever()


def serve_werkzeug():
    from werkzeug.serving import run_simple

    run_simple("127.0.0.1", PORT, app, threaded=True, ssl_context=TLS)


def serve_gevent():
    from gevent.pywsgi import WSGIServer

    WSGIServer(("127.0.0.1", PORT), app).serve_forever()


def serve_eventlet():
    from eventlet import wsgi

    wsgi.server(eventlet.listen(("127.0.0.1", PORT)), app)


def serve_cheroot():
    from cheroot.wsgi import Server

    Server(("127.0.0.1", PORT), app, numthreads=60).safe_start()


def serve_waitress():
    import waitress

    waitress.serve(app, host="127.0.0.1", port=PORT)


def serve_bjoern():
    import bjoern

    bjoern.run(app, "127.0.0.1", PORT)


globals()["serve_" + NAME]()
