"""Run nginx in the foreground: hello over TLS.

    tls_nginx.py PORT CERTFILE KEYFILE
"""

import os
import sys
import tempfile

CONF = """
daemon off;
worker_processes 1;
pid %(folder)s/pid;
error_log /dev/null;
events { worker_connections 4096; }
http {
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path %(folder)s;
    proxy_temp_path %(folder)s;
    fastcgi_temp_path %(folder)s;
    uwsgi_temp_path %(folder)s;
    scgi_temp_path %(folder)s;
    server {
        listen 127.0.0.1:%(port)s ssl backlog=2048;
        ssl_certificate %(certfile)s;
        ssl_certificate_key %(keyfile)s;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ecdh_curve X25519:P-256:P-384;
        location / {
            default_type text/plain;
            return 200 "Hello, World!";
        }
    }
}
"""

port, certfile, keyfile = sys.argv[1:]
folder = tempfile.mkdtemp(prefix="bench-nginx-")
path = os.path.join(folder, "nginx.conf")
with open(path, "w", encoding="utf-8") as file:
    file.write(CONF % {"folder": folder, "port": port,
                       "certfile": certfile, "keyfile": keyfile})
os.execvp("nginx", ["nginx", "-c", path, "-p", folder])
