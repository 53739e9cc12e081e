"""WebSocket clients of others, each behind the same few methods.

    clients.py NAME PORT PLAN

plays the plan, a JSON file as made by plan.py, against the applications of echoes.py on
127.0.0.1:PORT, and prints how many messages came back as they went.
"""

import asyncio
import contextlib
import json
import random
import sys
import zlib

UNIT = "h\xe9llo \u20ac \U0001f600 "
WIDTH = len(UNIT.encode())
PATIENCE = 60  # seconds for one message


def payload(index, binary, size):
    """A message of `size` octets; no two alike, where there is room."""
    if binary:
        return random.Random(index).randbytes(size)
    text = ("%d " % index)[:size]
    whole, rest = divmod(size - len(text), WIDTH)
    return text + UNIT * whole + "x" * rest


def cut(message, n):
    """The message in n pieces, the last of them maybe empty."""
    step = max(1, len(message) // n)
    ends = [step * i for i in range(n)] + [len(message)]
    return [message[a:b] for a, b in zip(ends, ends[1:])]


def octets(piece):
    return piece.encode() if isinstance(piece, str) else piece


class Websockets:
    """https://pypi.org/project/websockets/"""

    def __init__(self, url, deflate):
        from websockets.sync import client

        options = {
            "compression": "deflate" if deflate else None,
            "max_size": None,
        }
        try:
            connection = client.connect(url, proxy=None, **options)
        except TypeError:  # before version 15 there was no proxy
            connection = client.connect(url, **options)
        self.stack = contextlib.ExitStack()
        self.ws = self.stack.enter_context(connection)

    def send(self, message, pieces):
        self.ws.send(message if pieces == 1 else cut(message, pieces))

    def receive(self):
        return self.ws.recv(PATIENCE)

    def close(self):
        self.stack.close()


class WebsocketClient:
    """https://pypi.org/project/websocket-client/, which does not compress."""

    def __init__(self, url, deflate):
        import websocket

        self.frame = websocket.ABNF.create_frame
        self.ws = websocket.create_connection(url, PATIENCE)

    def send(self, message, pieces):
        opcode = 1 if isinstance(message, str) else 2
        parts = cut(message, pieces)
        for i, part in enumerate(parts):
            self.ws.send_frame(
                self.frame(
                    octets(part), 0 if i else opcode, i == len(parts) - 1
                )
            )

    def receive(self):
        opcode, data = self.ws.recv_data()
        return data.decode() if opcode == 1 else data

    def close(self):
        self.ws.close()


class Looped:
    """What is common to clients of asyncio."""

    def __init__(self, url, deflate):
        self.loop = asyncio.new_event_loop()
        self.run(self.open(url, deflate))

    def run(self, coroutine):
        return self.loop.run_until_complete(
            asyncio.wait_for(coroutine, PATIENCE)
        )

    def close(self):
        self.run(self.finish())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


class Aiohttp(Looped):
    """https://pypi.org/project/aiohttp/, which sends no fragments."""

    async def open(self, url, deflate):
        import aiohttp

        self.session = aiohttp.ClientSession()
        self.ws = await self.session.ws_connect(
            url, compress=15 if deflate else 0, max_msg_size=0
        )

    def send(self, message, pieces):
        send = self.ws.send_str
        if isinstance(message, bytes):
            send = self.ws.send_bytes
        self.run(send(message))

    def receive(self):
        return self.run(self.ws.receive()).data

    async def finish(self):
        await self.ws.close()
        await self.session.close()


class Picows(Looped):
    """https://pypi.org/project/picows/; what compression needs, is here."""

    OFFER = (
        "permessage-deflate; server_no_context_takeover; "
        "client_no_context_takeover"
    )

    async def open(self, url, deflate):
        import picows

        got = self.got = asyncio.Queue()

        class Listener(picows.WSListener):
            def on_ws_frame(self, transport, frame):
                got.put_nowait(
                    (
                        int(frame.msg_type),
                        frame.rsv1,
                        frame.get_payload_as_bytes(),
                    )
                )

            def on_ws_disconnected(self, transport):
                got.put_nowait((8, False, b""))

        self.type = picows.WSMsgType
        self.deflate = deflate
        self.ws, _ = await picows.ws_connect(
            Listener,
            url,
            extra_headers={"Sec-WebSocket-Extensions": self.OFFER}
            if deflate
            else None,
        )

    def send(self, message, pieces):
        opcode = 1 if isinstance(message, str) else 2
        parts = [octets(part) for part in cut(message, pieces)]
        if self.deflate:
            packer = zlib.compressobj(wbits=-15)
            packed = packer.compress(octets(message))
            packed += packer.flush(zlib.Z_SYNC_FLUSH)
            parts = cut(packed[:-4], pieces)
        for i, part in enumerate(parts):
            self.ws.send(
                self.type(0 if i else opcode),
                part,
                fin=i == len(parts) - 1,
                rsv1=self.deflate and i == 0,
            )

    def receive(self):
        opcode, packed, data = self.run(self.got.get())
        if packed:
            data = zlib.decompressobj(-15).decompress(data + b"\0\0\xff\xff")
        return data.decode() if opcode == 1 else data

    async def finish(self):
        self.ws.send_close()
        await self.ws.wait_disconnected()


CLIENTS = {
    "websockets": Websockets,
    "websocket-client": WebsocketClient,
    "aiohttp": Aiohttp,
    "picows": Picows,
}


def play(client, port, plan):
    """How many messages came back as they went, in both echoes, with
    compression and without."""
    good = 0
    for k in range(4):
        path = ("/events", "/blocking")[k % 2]
        url = "ws://127.0.0.1:%d%s" % (port, path)
        opened = CLIENTS[client](url, k >= 2)
        for index in range(k, len(plan), 4):
            binary, size, pieces = plan[index]
            message = payload(index, binary, size)
            opened.send(message, pieces)
            got = opened.receive()
            good += type(got) is type(message) and got == message
        opened.close()
    return good


def main():
    name, port, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        print(play(name, int(port), json.load(file)))


if __name__ == "__main__":
    main()
