"""The same over TLS: requests by wrk on kept connections and with a handshake
each, and echoes over wss. All servers have the same certificate, of P-256;
`wsocket-plain` is ours without TLS, so that the difference is its price; `null`
does what no server with OpenSSL can avoid."""

import http.client
import os
import shutil
import socket
import ssl
import subprocess

import http_app
import http_bench
import rig

FLOOR, OURS = "nginx", "wsocket"
WARM_UP = 1
CONNECTIONS = 64

# name: arguments of wrk, or the size of a message
ROWS = {
    "hello": [],
    "hello, a handshake each": ["-H", "Connection: close"],
    "wss, 125 B": 125,
    "wss, 16 KiB": 16384,
}

CERTFILE = os.path.join(rig.FOLDER, "tls.pem")
KEYFILE = os.path.join(rig.FOLDER, "tls.key")
PAIR = ["--certfile", CERTFILE, "--keyfile", KEYFILE]
BIN = rig.VENV + "/bin/"
WSOCKET = [rig.PYTHON, "-m", "wsocket", "--port", "{port}",
           "--access-logfile", "none"]
# name: the command, and what it serves for requests and for echoes
SERVERS = {
    "nginx": ([rig.PYTHON, "tls_nginx.py", "{port}", CERTFILE, KEYFILE],
              [], None),
    "null": ([os.path.join(rig.FOLDER, "null_tls"), "{port}", CERTFILE,
              KEYFILE], [], None),
    "wsocket": ([*WSOCKET, *PAIR], ["http_app:app"], ["ws_events:app"]),
    "wsocket-plain": (WSOCKET, ["http_app:app"], ["ws_events:app"]),
    "granian": ([BIN + "granian", "--interface", "asgi", "--port", "{port}",
                 "--ssl-certificate", CERTFILE, "--ssl-keyfile", KEYFILE],
                ["tls_asgi:app"], ["tls_asgi:app"]),
    "uvicorn": ([BIN + "uvicorn", "--port", "{port}", "--no-access-log",
                 "--ssl-certfile", CERTFILE, "--ssl-keyfile", KEYFILE],
                ["tls_asgi:app"], ["tls_asgi:app"]),
    "hypercorn": ([BIN + "hypercorn", "-b", "127.0.0.1:{port}", *PAIR],
                  ["tls_asgi:app"], ["tls_asgi:app"]),
    "gunicorn-gthread": ([BIN + "gunicorn", "-k", "gthread", "--threads", "4",
                          "-b", "127.0.0.1:{port}", *PAIR],
                         ["http_app:app"], None),
}
FROM_PYPI = {
    "granian": ("granian",),
    "uvicorn": ("uvicorn", "uvloop", "httptools", "websockets"),
    "hypercorn": ("hypercorn",),
    "gunicorn-gthread": ("gunicorn",),
}


def prepare(wanted):
    """Build and install what is needed; the servers that can be run."""
    rig.build_library()
    if not rig.build_program("ws_load_tls", "-DLOAD_TLS", "-lz", "-lssl",
                             "-lcrypto", source="ws_load"):
        raise SystemExit("bench/ws_load.c does not compile with OpenSSL")
    rig.build_program("null_tls", "-DNULL_TLS", "-lssl", "-lcrypto",
                      source="null")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-out", CERTFILE, "-keyout", KEYFILE],
        check=True, capture_output=True)
    able = []
    for name in wanted:
        packages = FROM_PYPI.get(name)
        if name.startswith("wsocket"):
            rig.install_package()
        elif name != "null" and not (
                rig.have(packages[0], *packages) if packages
                else shutil.which("nginx")):
            print("left out: %s is not to be had here" % name)
            continue
        able.append(name)
    return able


def context_for(port):
    """How to speak TLS there; None where that is not done."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as sock:
            context.wrap_socket(sock).close()
    except (ssl.SSLError, ConnectionError):
        return None
    return context


def fetch(port):
    context = context_for(port)
    if context is None:
        conn = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    else:
        conn = http.client.HTTPSConnection("127.0.0.1", port, timeout=5,
                                           context=context)
    conn.request("GET", "/")
    body = conn.getresponse().read()
    conn.close()
    return body


def check(servers):
    notes = {}
    for server in servers:
        with rig.serving(command(server, "hello")) as (port, _):
            if fetch(port) != http_app.HELLO:
                notes[server, "hello"] = "answers wrongly"
    return notes


def command(server, row):
    """How to start it; None where there is nothing to measure."""
    start, requests, echoes = SERVERS[server]
    what = echoes if isinstance(ROWS[row], int) else requests
    if what is not None and server == "null" and ROWS[row]:
        what = ["close"]  # it reads no Connection: close
    return None if what is None else start + what


def burst(server, port, row, seconds, meter):
    """Requests or messages, seconds, errors."""
    secure = context_for(port) is not None
    if not isinstance(ROWS[row], int):
        url = "http%s://127.0.0.1:%d/" % ("s" if secure else "", port)
        return http_bench.wrk(url, CONNECTIONS, ROWS[row], seconds, meter)
    return rig.messages("ws_load_tls", meter, port, CONNECTIONS, ROWS[row], 1,
                        seconds, *(["tls"] if secure else []))
