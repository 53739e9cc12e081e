"""bjoern has no command line: python http_bjoern.py PORT."""

import sys

import bjoern

from http_app import app

bjoern.run(app, "127.0.0.1", int(sys.argv[1]))
