/* ext/websocket_doc: what help(WebSocket) says. The samples run as tests, with
 * `ws` open to a peer that sends everything back. */
#ifndef WSK_EXT_WEBSOCKET_DOC_H
#define WSK_EXT_WEBSOCKET_DOC_H

#define DOC_WEBSOCKET                                                          \
    "One WebSocket, as environ['wsgi.websocket'] has it.\n\n"                  \
    "    def app(environ, start_response):\n"                                  \
    "        with environ['wsgi.websocket'] as ws:\n"                          \
    "            for message in ws:\n"                                         \
    "                ws.send(message)\n"                                       \
    "        return []\n\n"                                                    \
    "Any thread may send; one at a time receives. Leaving a with block\n"      \
    "closes it, with 1011 after an exception."

#define DOC_ACCEPT                                                             \
    "accept($self, /, headers=None, subprotocol=None)\n--\n\n"                 \
    "Open the WebSocket now. The first use of it does the same.\n\n"           \
    "headers\n"                                                                \
    "    more fields for the 101: a dict, or (name, value) pairs.\n"           \
    "subprotocol\n"                                                            \
    "    one that the client offered; else the first of `protocols` is\n"      \
    "    taken that it did.\n\n"                                               \
    "WebSocketError: it is open or refused already, or this is not the\n"      \
    "handler's thread. ValueError: a header is illegal, or the subprotocol\n"  \
    "was not offered; then it can be called again.\n\n"                        \
    ">>> ws.accept()\n"                                                        \
    "Traceback (most recent call last):\n"                                     \
    "wsocket.WebSocketError: accept: the WebSocket is open already; ..."

#define DOC_RECEIVE                                                            \
    "receive($self, /, timeout=None)\n--\n\n"                                  \
    "Wait for a message: str or bytes. None once, when the peer has left.\n\n" \
    "timeout\n"                                                                \
    "    in seconds; 0 only looks.\n\n"                                        \
    "TimeoutError: no message came in time. WebSocketError: None was\n"        \
    "returned before, another thread receives, or the messages go to the\n"    \
    "events of an app. An exception of on_ping or on_pong comes through.\n\n"  \
    ">>> ws.send('hello')\n"                                                   \
    ">>> ws.receive()\n"                                                       \
    "'hello'\n"                                                                \
    ">>> ws.receive(timeout=0.01)\n"                                           \
    "Traceback (most recent call last):\n"                                     \
    "TimeoutError: receive: the time is up"

#define DOC_RECEIVE_STREAM                                                     \
    "receive_stream($self, /, timeout=None)\n--\n\n"                           \
    "Wait for a message, and return an iterator over its pieces as they\n"     \
    "arrive: str, cut between characters, or bytes. None once, when the "      \
    "peer\n"                                                                   \
    "has left.\n\n"                                                            \
    "ws_max_size does not limit the message, for it is not held: one that "    \
    "is\n"                                                                     \
    "longer waits until it is received by this, or closes with 1009 when it\n" \
    "is received by receive().\n\n"                                            \
    "timeout\n"                                                                \
    "    in seconds, for each piece.\n\n"                                      \
    "TimeoutError: no piece came in time; go on with the same iterator.\n"     \
    "WebSocketError: as receive(); the last message has not been read to "     \
    "its\n"                                                                    \
    "end; and from the iterator, the WebSocket was closed in the middle.\n"    \
    "\n"                                                                       \
    ">>> ws.send(b'x' * 1000000)\n"                                            \
    ">>> sum(len(piece) for piece in ws.receive_stream())\n"                   \
    "1000000"

#define DOC_SEND                                                               \
    "send($self, /, message, binary=None, do_compress=True)\n--\n\n"           \
    "Send a message; from any thread.\n\n"                                     \
    "message\n"                                                                \
    "    str is sent as text, bytes-like objects as binary, everything else\n" \
    "    as str(message).\n"                                                   \
    "binary\n"                                                                 \
    "    True or False decides it otherwise.\n"                                \
    "do_compress\n"                                                            \
    "    False sends it as it is though compression was agreed: for what is\n" \
    "    compressed already, or holds a secret beside a stranger's text.\n\n"  \
    "What happens when the peer is slow, send_policy says.\n\n"                \
    "WebSocketError: it is closed. ValueError: binary=False, and not UTF-8.\n" \
    "\n"                                                                       \
    ">>> ws.send(b'\\x00\\xff')\n"                                             \
    ">>> ws.receive()\n"                                                       \
    "b'\\x00\\xff'"

#define DOC_SEND_FRAME                                                         \
    "send_frame($self, /, message, opcode, do_compress=False, fin=True)\n"     \
    "--\n\n"                                                                   \
    "Send one frame: opcode 1 is text, 2 binary, 9 a ping, 10 a pong.\n\n"     \
    "fin\n"                                                                    \
    "    False begins a message in pieces, which opcode 0 continues, and\n"    \
    "    ends with fin=True. send_stream() does that by itself.\n"             \
    "do_compress\n"                                                            \
    "    True compresses a whole message, if that was agreed.\n\n"             \
    "ProtocolError: RFC 6455 does not allow this frame here.\n"                \
    "FrameTooLargeException: a ping or pong of more than 125 octets.\n"        \
    "WebSocketError: it is closed.\n\n"                                        \
    ">>> ws.send_frame('hel', 1, fin=False)\n"                                 \
    ">>> ws.send_frame('lo', 0)\n"                                             \
    ">>> ws.receive()\n"                                                       \
    "'hello'"

#define DOC_SEND_STREAM                                                        \
    "send_stream($self, /, iterable, do_compress=True)\n--\n\n"                \
    "Send one message in pieces, each as soon as the iterable yields it:\n"    \
    "all str is a text, all bytes a binary message. It is compressed if the\n" \
    "first piece by itself would be, see ws_compression_threshold.\n\n"        \
    "Other threads that send wait until it has ended; pings pass.\n\n"         \
    "An exception in the iterable closes the WebSocket with 1011, so that\n"   \
    "the peer does not take half a message for a whole one. TypeError: a\n"    \
    "piece is neither, or of the other kind. WebSocketError: it is closed.\n"  \
    "\n"                                                                       \
    ">>> ws.send_stream(str(n) for n in range(3))\n"                           \
    ">>> ws.receive()\n"                                                       \
    "'012'"

#define DOC_PING                                                               \
    "ping($self, /, payload=b'')\n--\n\n"                                      \
    "Ask the peer for a pong; from any thread. The server does so by itself\n" \
    "every ws_ping_interval. See latency and on_pong.\n\n"                     \
    "FrameTooLargeException: more than 125 octets. WebSocketError: closed.\n"  \
    "\n"                                                                       \
    ">>> pongs = []\n"                                                         \
    ">>> ws.on_pong = pongs.append\n"                                          \
    ">>> ws.ping(b'are you there?')\n"                                         \
    ">>> ws.send('after it')\n"                                                \
    ">>> ws.receive(), pongs\n"                                                \
    "('after it', [b'are you there?'])\n"                                      \
    ">>> 0 < ws.latency < 60\n"                                                \
    "True"

#define DOC_PONG                                                               \
    "pong($self, /, payload=b'')\n--\n\n"                                      \
    "Send a pong that nobody asked for; pings are answered without it.\n\n"    \
    "FrameTooLargeException: more than 125 octets. WebSocketError: closed.\n"  \
    "\n"                                                                       \
    ">>> ws.pong(b'still here')"

#define DOC_CLOSE                                                              \
    "close($self, /, code=1000, message=b'')\n--\n\n"                          \
    "Say that this is the end. It returns at once; the server waits for the\n" \
    "peer's answer (ws_close_timeout) and ends the connection.\n\n"            \
    "code\n"                                                                   \
    "    1000 to 1003, 1007 to 1014, or 3000 to 4999 (RFC 6455 7.4).\n"        \
    "message\n"                                                                \
    "    the reason: UTF-8, cut to 123 octets.\n\n"                            \
    "Closing again does nothing. ValueError: another code or reason.\n\n"      \
    ">>> ws.close(4000, 'enough')\n"                                           \
    ">>> ws.receive()\n"                                                       \
    ">>> ws.close_code, ws.close_clean\n"                                      \
    "(4000, True)"

#define DOC_SUBSCRIBE                                                          \
    "subscribe($self, /, topic, policy=None)\n--\n\n"                          \
    "Get what wsocket.publish() says to a topic from now on. Twice is "        \
    "once.\n\n"                                                                \
    "policy\n"                                                                 \
    "    when the peer is so slow that its next message is gone: 'close' "     \
    "(the\n"                                                                   \
    "    WebSocket, with 1013), 'drop' (it goes on with the oldest that is\n"  \
    "    kept) or 'latest' (it only ever gets the newest). Without it the\n"   \
    "    options topics and topic_policy decide.\n\n"                          \
    "ValueError: the name or the policy. WebSocketError: it is closed.\n"      \
    "BlockingIOError: topics_max. RuntimeError: it is on another server.\n\n"  \
    ">>> ws.subscribe('news')"

#define DOC_UNSUBSCRIBE                                                        \
    "unsubscribe($self, topic, /)\n--\n\n"                                     \
    "End that. What was published before leaves first. Returns whether it "    \
    "had\n"                                                                    \
    "subscribed.\n\n"                                                          \
    ">>> ws.subscribe('news')\n"                                               \
    ">>> ws.unsubscribe('news')\n"                                             \
    "True"

#define DOC_TOPICS                                                             \
    "The topics that it has subscribed to, a tuple of str.\n\n"                \
    ">>> ws.topics\n"                                                          \
    "('news',)"

#define DOC_ATTACH                                                             \
    "attach($self, app, /)\n--\n\n"                                            \
    "Give the WebSocket to app.onconnect, app.onmessage and app.onclose, "     \
    "and\n"                                                                    \
    "app.ondrain and app.ondraining if they exist. The handler may return;\n"  \
    "no thread waits for the messages.\n\n"                                    \
    "TypeError: app does not have them. WebSocketError: attached already,\n"   \
    "or not called by the handler in its own thread."

#define DOC_ON_PING                                                            \
    "Called with the payload of each ping of the peer, or None (the\n"         \
    "default). Pings are answered without it. It is called inside\n"           \
    "receive(), in order with the messages; for events like onmessage. A\n"    \
    "subclass may have it as a method."

#define DOC_ON_PONG "The same for pongs, the answers to our pings."

#define DOC_CLOSE_CODE                                                         \
    "How it ended: the code of the peer's Close; 1005 if that had none, "      \
    "1006\n"                                                                   \
    "if none came. None while it is open. If our side gave the peer up, see\n" \
    "sent_code."

#define DOC_CLOSE_REASON                                                       \
    "The reason of the peer's Close, or None while it is open. If our side\n"  \
    "gave the peer up, what that was for.\n\n"                                 \
    ">>> ws.close_reason\n"                                                    \
    "'sent 1009: message too big (ws_max_size)'"

#define DOC_SENT_CODE                                                          \
    "The code that our side has sent, when it has ended; None if it has "      \
    "sent\n"                                                                   \
    "no Close. 1007 or 1009, say, if it gave the peer up."

#define DOC_DRAINING                                                           \
    "True once the server leaves: the WebSocket will be closed soon. An "      \
    "app's\n"                                                                  \
    "ondraining is called then. False on other servers, and for a client."

#define DOC_LATENCY                                                            \
    "Seconds from the last of our pings that was answered to its answer,\n"    \
    "the automatic ones included; None before."

#define DOC_BUFFERED_AMOUNT                                                    \
    "Octets that were sent and have not left yet, because the peer is slow."

#define DOC_IS_FULL                                                            \
    "Whether more than ws_send_limit waits for a slow peer, or what waits "    \
    "for\n"                                                                    \
    "all of them is too much for memory_limit. When that is over, an app's\n"  \
    "ondrain is called. Never true where send() itself waits: for a client,\n" \
    "and on other servers.\n\n"                                                \
    ">>> ws.is_full\n"                                                         \
    "False"

#define DOC_SEND_POLICY                                                        \
    "What send() does when the peer is so slow that ws_send_limit octets\n"    \
    "wait: 'wait' (the default in a blocking handler), 'drop' the message, or" \
    "\n'close' with 1013 when it is ws_send_max (the default in events,\n"     \
    "unless ws_send_policy says drop). A stream waits unless this is 'close'."

#endif
