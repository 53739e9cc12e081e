"""The same as service.py, as an ASGI application: service_asgi:app."""

import os

BIG = (b"abcdefghijklmnopqrstuvw" * 45592)[:1 << 20]
HANDLED = os.open(os.environ.get("HANDLED", os.devnull),
                  os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


async def length_of(receive):
    length, more = 0, True
    while more:
        event = await receive()
        length += len(event.get("body", b""))
        more = event.get("more_body", False)
    return length


async def plain(path, receive, send):
    if path == "/pid":
        body = b"%d" % os.getpid()
    else:
        body = BIG if path == "/big" else path.rpartition("/")[2].encode()
        if path == "/upload":
            body = b"%d" % await length_of(receive)
        os.write(HANDLED, b"h")
    await send({"type": "http.response.start", "status": 200, "headers": [
        (b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def echo(receive, send):
    while True:
        event = await receive()
        if event["type"] == "websocket.connect":
            os.write(HANDLED, b"w")
            await send({"type": "websocket.accept"})
        elif event["type"] == "websocket.disconnect":
            return
        else:
            await send({"type": "websocket.send", "text": event["text"]})


async def lifespan(receive, send):
    while True:
        event = await receive()
        await send({"type": event["type"] + ".complete"})
        if event["type"] == "lifespan.shutdown":
            return


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "websocket":
        await echo(receive, send)
    else:
        await plain(scope["path"], receive, send)
