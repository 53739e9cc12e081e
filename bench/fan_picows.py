"""A loop over a set, by picows on uvloop: python fan_picows.py PORT."""

import asyncio
import sys

import picows
import uvloop

clients = set()


class Room(picows.WSListener):
    def on_ws_connected(self, transport):
        clients.add(transport)

    def on_ws_frame(self, transport, frame):
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
            return
        message = frame.get_payload_as_bytes()
        for other in tuple(clients):
            other.send(frame.msg_type, message)

    def on_ws_disconnected(self, transport):
        clients.discard(transport)


async def main():
    server = await picows.ws_create_server(
        lambda request: Room(), "127.0.0.1", int(sys.argv[1]), backlog=2048)
    await server.serve_forever()


uvloop.install()
asyncio.run(main())
