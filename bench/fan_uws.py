"""One topic for all, by uWebSockets under socketify: python fan_uws.py PORT
[deflate]."""

import sys

from socketify import App, CompressOptions, OpCode


def join(ws):
    ws.subscribe("all")


def tell_all(ws, message, opcode):
    app.publish("all", message, opcode, compresses)


compresses = "deflate" in sys.argv
app = App()
app.ws("/*", {
    "compression": (CompressOptions.SHARED_COMPRESSOR if compresses
                    else CompressOptions.DISABLED),
    "idle_timeout": 0,
    "open": join,
    "message": tell_all,
})
app.listen({"port": int(sys.argv[1]), "host": "127.0.0.1"})
app.run()
