"""fastwsgi without its access log: python http_fastwsgi.py PORT."""

import sys

import fastwsgi

from http_app import app

fastwsgi.server.hook_sigint = 2
fastwsgi.run(wsgi_app=app, host="127.0.0.1", port=int(sys.argv[1]), loglevel=0)
