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

    tls = dict(zip(("certfile", "keyfile"), TLS or ()))
    WSGIServer(("127.0.0.1", PORT), app, **tls).serve_forever()


def serve_eventlet():
    from eventlet import wsgi

    listener = eventlet.listen(("127.0.0.1", PORT))
    if TLS:
        listener = eventlet.wrap_ssl(
            listener, certfile=TLS[0], keyfile=TLS[1], server_side=True
        )
    wsgi.server(listener, app)


def serve_cheroot():
    from cheroot.wsgi import Server

    Server(("127.0.0.1", PORT), app, numthreads=60).safe_start()


def serve_waitress():
    import waitress

    waitress.serve(app, host="127.0.0.1", port=PORT)


def serve_bjoern():
    import bjoern

    bjoern.run(app, "127.0.0.1", PORT)


def serve_fastwsgi():
    import fastwsgi

    fastwsgi.run(wsgi_app=app, host="127.0.0.1", port=PORT)


APACHE = """
Listen 127.0.0.1:%(port)d
ServerName 127.0.0.1
User nobody
Group nogroup
PidFile %(home)s/apache.pid
ErrorLog /dev/stderr
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule wsgi_module /usr/lib/apache2/modules/mod_wsgi.so
WSGIPythonPath %(path)s
WSGIScriptAlias / %(here)s/app.py
WSGICallableObject app
"""


def serve_mod_wsgi():
    """Debian's, whose interpreter is the system's of the same version."""
    import os
    import sysconfig

    home = sys.argv[3]
    here = os.path.dirname(os.path.abspath(__file__))
    path = os.path.join(home, "apache.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(APACHE % {
            "port": PORT, "home": home, "here": here,
            "path": sysconfig.get_path("purelib")})
    os.execv("/usr/sbin/apache2", ["apache2", "-X", "-f", path])


globals()["serve_" + NAME]()
