from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from logging import Logger
from types import TracebackType
from typing import IO, Any, Literal, Optional, Union, overload

__version__: str
PROCESS_OPTIONS: str

Message = Union[str, bytes]
Headers = Union[Mapping[str, str], Iterable[tuple[str, str]]]

class WebSocketError(OSError):
    """A WebSocket cannot do what was asked: it is closed, or never opened."""
class ProtocolError(WebSocketError):
    """A frame that RFC 6455 does not allow."""
class FrameTooLargeException(ProtocolError):
    """A frame longer than RFC 6455 or a limit allows."""

class Event:
    """Event(*handlers)

    Handlers that are called in order, by calling the event. += and + add a
    handler, -= and - remove one. Each gets as many of the arguments as it takes.
    """
    owner: Any
    """Passed first to a handler that takes one argument more."""
    def __init__(self, *handlers: Callable[..., Any]) -> None: ...
    def __call__(self, *args: Any) -> None: ...
    def __add__(self, handler: Callable[..., Any]) -> Event: ...
    def __iadd__(self, handler: Callable[..., Any]) -> Event: ...
    def __sub__(self, handler: Callable[..., Any]) -> Event: ...
    def __isub__(self, handler: Callable[..., Any]) -> Event: ...
    def __iter__(self) -> Iterator[Callable[..., Any]]: ...
    def __len__(self) -> int: ...
    def clear(self) -> None:
        """Remove every handler."""

class MessageStream:
    text: bool
    def __iter__(self) -> Iterator[Message]: ...
    def __next__(self) -> Message: ...

class WebSocket:
    """One WebSocket, as environ['wsgi.websocket'] has it.

        def app(environ, start_response):
            with environ['wsgi.websocket'] as ws:
                for message in ws:
                    ws.send(message)
            return []

    Any thread may send; one at a time receives. Leaving a with block
    closes it, with 1011 after an exception.
    """
    protocols: Sequence[str]
    """Subprotocols to choose from, the preferred first."""
    accept_headers: Headers
    """Headers for the 101, a list of (name, value)."""
    @property
    def environ(self) -> dict[str, Any]:
        """The environ of the handshake."""
    @property
    def origin(self) -> Optional[str]:
        """The Origin header, or None."""
    @property
    def path(self) -> str:
        """PATH_INFO, without the query."""
    @property
    def protocol(self) -> Optional[str]:
        """The chosen subprotocol, or None."""
    @property
    def version(self) -> str:
        """The protocol version, '13', or of a draft '8' or '7'."""
    @property
    def closed(self) -> bool:
        """True when nothing can be sent."""
    @property
    def close_code(self) -> Optional[int]:
        """How it ended: the code of the peer's Close; 1005 if that had none, 1006
        if none came. None while it is open. If our side gave the peer up, see
        sent_code.
        """
    @property
    def close_reason(self) -> Optional[str]:
        """The reason of the peer's Close, or None while it is open. If our side
        gave the peer up, what that was for.

        >>> ws.close_reason
        'sent 1009: message too big (ws_max_size)'
        """
    @property
    def sent_code(self) -> Optional[int]:
        """The code that our side has sent, when it has ended; None if it has sent
        no Close. 1007 or 1009, say, if it gave the peer up.
        """
    @property
    def sent_reason(self) -> Optional[str]:
        """The reason that our side has sent with it, or None."""
    @property
    def close_clean(self) -> bool:
        """True when both sides said that it ends."""
    @property
    def draining(self) -> bool:
        """True once the server leaves: the WebSocket will be closed soon. An app's
        ondraining is called then. False on other servers, and for a client.
        """
    @property
    def do_compress(self) -> bool:
        """True when compression was negotiated."""
    @property
    def logger(self) -> Logger:
        """The logger 'wsocket'."""
    on_ping: Optional[Callable[[bytes], Any]]
    """Called with the payload of each ping of the peer, or None (the
    default). Pings are answered without it. It is called inside
    receive(), in order with the messages; for events like onmessage. A
    subclass may have it as a method.
    """
    on_pong: Optional[Callable[[bytes], Any]]
    """The same for pongs, the answers to our pings."""
    @property
    def latency(self) -> Optional[float]:
        """Seconds from the last of our pings that was answered to its answer,
        the automatic ones included; None before.
        """
    @property
    def buffered_amount(self) -> int:
        """Octets that were sent and have not left yet, because the peer is slow."""
    @property
    def is_full(self) -> bool:
        """Whether more than ws_send_limit waits for a slow peer, or what waits for
        all of them is too much for memory_limit. When that is over, an app's
        ondrain is called. Never true where send() itself waits: for a client,
        and on other servers.

        >>> ws.is_full
        False
        """
    send_policy: Literal["wait", "drop", "close"]
    """What send() does when the peer is so slow that ws_send_limit octets
    wait: 'wait' (the default in a blocking handler), 'drop' the message, or
    'close' with 1013 when it is ws_send_max (the default in events,
    unless ws_send_policy says drop). A stream waits unless this is 'close'.
    """
    def accept(
        self,
        headers: Optional[Headers] = None,
        subprotocol: Optional[str] = None,
    ) -> None:
        """Open the WebSocket now. The first use of it does the same.

        headers
            more fields for the 101: a dict, or (name, value) pairs.
        subprotocol
            one that the client offered; else the first of `protocols` is
            taken that it did.

        WebSocketError: it is open or refused already, or this is not the
        handler's thread. ValueError: a header is illegal, or the subprotocol
        was not offered; then it can be called again.

        >>> ws.accept()
        Traceback (most recent call last):
        wsocket.WebSocketError: accept: the WebSocket is open already; ...
        """
    def receive(self, timeout: Optional[float] = None) -> Optional[Message]:
        """Wait for a message: str or bytes. None once, when the peer has left.

        timeout
            in seconds; 0 only looks.

        TimeoutError: no message came in time. WebSocketError: None was
        returned before, another thread receives, or the messages go to the
        events of an app. An exception of on_ping or on_pong comes through.

        >>> ws.send('hello')
        >>> ws.receive()
        'hello'
        >>> ws.receive(timeout=0.01)
        Traceback (most recent call last):
        TimeoutError: receive: the time is up
        """
    def receive_stream(
        self, timeout: Optional[float] = None
    ) -> Optional[MessageStream]:
        """Wait for a message, and return an iterator over its pieces as they
        arrive: str, cut between characters, or bytes. None once, when the peer
        has left.

        ws_max_size does not limit the message, for it is not held: one that is
        longer waits until it is received by this, or closes with 1009 when it
        is received by receive().

        timeout
            in seconds, for each piece.

        TimeoutError: no piece came in time; go on with the same iterator.
        WebSocketError: as receive(); the last message has not been read to its
        end; and from the iterator, the WebSocket was closed in the middle.

        >>> ws.send(b'x' * 1000000)
        >>> sum(len(piece) for piece in ws.receive_stream())
        1000000
        """
    def send(
        self,
        message: object,
        binary: Optional[bool] = None,
        do_compress: bool = True,
    ) -> None:
        """Send a message; from any thread.

        message
            str is sent as text, bytes-like objects as binary, everything else
            as str(message).
        binary
            True or False decides it otherwise.
        do_compress
            False sends it as it is though compression was agreed: for what is
            compressed already, or holds a secret beside a stranger's text.

        What happens when the peer is slow, send_policy says.

        WebSocketError: it is closed. ValueError: binary=False, and not UTF-8.

        >>> ws.send(b'\\x00\\xff')
        >>> ws.receive()
        b'\\x00\\xff'
        """
    def send_frame(
        self,
        message: object,
        opcode: int,
        do_compress: bool = False,
        fin: bool = True,
    ) -> None:
        """Send one frame: opcode 1 is text, 2 binary, 9 a ping, 10 a pong.

        fin
            False begins a message in pieces, which opcode 0 continues, and
            ends with fin=True. send_stream() does that by itself.
        do_compress
            True compresses a whole message, if that was agreed.

        ProtocolError: RFC 6455 does not allow this frame here.
        FrameTooLargeException: a ping or pong of more than 125 octets.
        WebSocketError: it is closed.

        >>> ws.send_frame('hel', 1, fin=False)
        >>> ws.send_frame('lo', 0)
        >>> ws.receive()
        'hello'
        """
    def send_stream(
        self,
        iterable: Union[Iterable[str], Iterable[bytes]],
        do_compress: bool = True,
    ) -> None:
        """Send one message in pieces, each as soon as the iterable yields it:
        all str is a text, all bytes a binary message. It is compressed if the
        first piece by itself would be, see ws_compression_threshold.

        Other threads that send wait until it has ended; pings pass.

        An exception in the iterable closes the WebSocket with 1011, so that
        the peer does not take half a message for a whole one. TypeError: a
        piece is neither, or of the other kind. WebSocketError: it is closed.

        >>> ws.send_stream(str(n) for n in range(3))
        >>> ws.receive()
        '012'
        """
    def ping(self, payload: Message = b"") -> None:
        """Ask the peer for a pong; from any thread. The server does so by itself
        every ws_ping_interval. See latency and on_pong.

        FrameTooLargeException: more than 125 octets. WebSocketError: closed.

        >>> pongs = []
        >>> ws.on_pong = pongs.append
        >>> ws.ping(b'are you there?')
        >>> ws.send('after it')
        >>> ws.receive(), pongs
        ('after it', [b'are you there?'])
        >>> 0 < ws.latency < 60
        True
        """
    def pong(self, payload: Message = b"") -> None:
        """Send a pong that nobody asked for; pings are answered without it.

        FrameTooLargeException: more than 125 octets. WebSocketError: closed.

        >>> ws.pong(b'still here')
        """
    def close(self, code: int = 1000, message: Message = b"") -> None:
        """Say that this is the end. It returns at once; the server waits for the
        peer's answer (ws_close_timeout) and ends the connection.

        code
            1000 to 1003, 1007 to 1014, or 3000 to 4999 (RFC 6455 7.4).
        message
            the reason: UTF-8, cut to 123 octets.

        Closing again does nothing. ValueError: another code or reason.

        >>> ws.close(4000, 'enough')
        >>> ws.receive()
        >>> ws.close_code, ws.close_clean
        (4000, True)
        """
    def attach(self, app: Any) -> None:
        """Give the WebSocket to app.onconnect, app.onmessage and app.onclose, and
        app.ondrain and app.ondraining if they exist. The handler may return;
        no thread waits for the messages.

        TypeError: app does not have them. WebSocketError: attached already,
        or not called by the handler in its own thread.
        """
    def subscribe(
        self,
        topic: str,
        policy: Optional[Literal["close", "drop", "latest"]] = None,
    ) -> None:
        """Get what wsocket.publish() says to a topic from now on. Twice is once.

        policy
            when the peer is so slow that its next message is gone: 'close' (the
            WebSocket, with 1013), 'drop' (it goes on with the oldest that is
            kept) or 'latest' (it only ever gets the newest). Without it the
            options topics and topic_policy decide.

        ValueError: the name or the policy. WebSocketError: it is closed.
        BlockingIOError: topics_max. RuntimeError: it is on another server.

        >>> ws.subscribe('news')
        """
    def unsubscribe(self, topic: str, /) -> bool:
        """End that. What was published before leaves first. Returns whether it had
        subscribed.

        >>> ws.subscribe('news')
        >>> ws.unsubscribe('news')
        True
        """
    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that it has subscribed to, a tuple of str.

        >>> ws.topics
        ('news',)
        """
    def __iter__(self) -> Iterator[Message]: ...
    def __next__(self) -> Message: ...
    def __enter__(self) -> WebSocket: ...
    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> bool: ...

class Response:
    """Response(environ, start_response, app, debug=None)

    One run of a handler of the Framework: process_response() calls it and
    gives what a WSGI application returns. The handler gets environ and this
    object, as its start_response(status=200, headers=None).
    """
    environ: dict[str, Any]
    """Of the request."""
    app: Callable[..., Any]
    """The handler."""
    def __init__(
        self,
        environ: dict[str, Any],
        start_response: Callable[..., Any],
        app: Callable[..., Any],
        debug: Optional[bool] = None,
    ) -> None: ...
    def __call__(
        self,
        status: Union[int, str, None] = None,
        headers: Optional[Headers] = None,
        exc_info: Any = None,
    ) -> Callable[[object], Any]: ...
    def __iter__(self) -> Iterator[bytes]: ...
    def __next__(self) -> bytes: ...
    def process_response(self) -> Iterable[bytes]:
        """process_response() -> iterable of bytes

        Run the handler and begin the answer.
        """
    def close(self) -> None:
        """Close what the handler returned."""

class Router:
    routes: dict[str, Callable[..., Any]]
    debug: Optional[bool]
    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]: ...
    def find_route(
        self, environ: dict[str, Any]
    ) -> Optional[Callable[..., Any]]: ...

class Server:
    app: Callable[..., Iterable[bytes]]
    _events_only: bool
    @property
    def _environ(self) -> dict[str, Any]: ...
    @property
    def port(self) -> int: ...
    @property
    def urls(self) -> list[str]: ...
    @property
    def metrics_url(self) -> Optional[str]: ...
    @property
    def addresses(self) -> list[str]: ...
    @property
    def fds(self) -> list[int]: ...
    def __init__(
        self, app: Callable[..., Iterable[bytes]], **options: object
    ) -> None: ...
    @staticmethod
    def check(name: str, value: object) -> None: ...
    def listen(self) -> None: ...
    def can_start(self) -> None: ...
    def refuse_new(self) -> None: ...
    def pending(self) -> tuple[int, int, int]: ...
    def reload_tls(self) -> None: ...
    def reopen_logs(
        self,
        access: Union[int, IO[Any], None] = None,
        error: Union[int, IO[Any], None] = None,
    ) -> None: ...
    def set_board(
        self, board: Board, slot: int, generation: int = 0
    ) -> None: ...
    def set_worker(self, number: int, /) -> None: ...
    def accept(self, on: bool, /) -> None: ...
    def adopt(self, fd: int, /) -> None: ...
    def start(self) -> None: ...
    def stop(self, timeout: Optional[float] = None) -> None: ...
    def drain(
        self,
        ms: Optional[int] = None,
        *,
        idle_ms: Optional[int] = None,
        spread_ms: Optional[int] = None,
        delay_ms: Optional[int] = 0,
        part: int = 0,
        parts: int = 1,
        code: Optional[int] = None,
        successor: bool = False,
        alone: bool = False,
    ) -> None: ...
    def join(self, timeout: Optional[float] = None) -> bool: ...

class Board:
    @property
    def workers(self) -> int: ...
    @overload
    def __init__(self, workers: int) -> None: ...
    @overload
    def __init__(self, *, fd: int) -> None: ...
    def __len__(self) -> int: ...
    def fileno(self) -> int: ...
    def slot(self, i: int, /) -> dict[str, Any]: ...
    def clear(self, i: int, /) -> None: ...
    def count(self, what: str, why: str, /) -> None: ...
    def set(self, what: str, value: int, /) -> None: ...
    def take_first(self, i: int, /) -> bool: ...

class Ask:
    head: bytes
    def __init__(
        self,
        host: str,
        target: str,
        protocols: str,
        headers: list[tuple[str, str]],
        deflate: bool,
        takeover: bool,
        nonce: bytes,
    ) -> None: ...
    def read(self, data: bytes) -> Optional[tuple[int, str, str, int]]: ...

class Reader:
    def __init__(
        self,
        *,
        max_body: int = ...,
        max_request_line: int = ...,
        max_header_bytes: int = ...,
        max_headers: int = ...,
    ) -> None: ...
    def feed(self, data: bytes) -> tuple[int, list[tuple[str, Any]]]: ...
    def feed_eof(self) -> list[tuple[str, Any]]: ...

class Foreign:
    def __init__(self, **options: object) -> None: ...
    def admit(
        self,
        app: Callable[..., Any],
        environ: dict[str, Any],
        head: bytes,
        socket: Any,
        kind: str,
        early: bytes,
        peer: str,
        port: int,
    ) -> Union[WebSocket, tuple[int, str]]: ...
    def finish(self, websocket: WebSocket, accept: bool = False, abort: bool = False) -> bool: ...
    def open(
        self,
        ask: Ask,
        data: bytes,
        socket: Any,
        kind: str,
        peer: str,
        port: int,
        seed: bytes,
    ) -> WebSocket: ...
    def crash(self, websocket: WebSocket) -> None: ...
    def accepted(self, websocket: WebSocket) -> bool: ...

class ErrorStream:
    def write(self, text: str, /) -> int: ...
    def writelines(self, lines: Iterable[str], /) -> None: ...
    def flush(self) -> None: ...
    def entry(self, text: str, /) -> bool: ...
    def warn(self, text: str, /) -> bool: ...
    def info(self, text: str, /) -> bool: ...

class Listener:
    """An iterator of what is published; see listen()."""
    def __iter__(self) -> Listener: ...
    def __next__(self) -> Any: ...  # a message, or None after a timeout
    def __enter__(self) -> Listener: ...
    def __exit__(self, *exc_info: object) -> None: ...
    def close(self) -> None:
        """End it; from any thread."""

def publish(
    topic: Union[str, Iterable[str]],
    message: Any,
    exclude: Optional[WebSocket] = None,
    binary: Optional[bool] = None,
    do_compress: bool = True,
) -> bool:
    """Send a message to all WebSockets that have subscribed to a topic, in all
    processes of the bus; from any thread, and from any process that a
    server has started.

    topic
        a str, or several: a WebSocket in more than one gets one copy
    message, binary, do_compress
        as of WebSocket.send()
    exclude
        a WebSocket that gets no copy

    Returns True: it is on its way; False: the broker is down. That nobody
    has subscribed is no error.
    TypeError, ValueError: the name, or over topic_message_max.
    ConnectionError: no server here, and none that has started this process.

    >>> wsocket.publish('news', 'hello')
    True
    """
def count(topic: str, /) -> int:
    """How many have subscribed to a topic, in this process.

    >>> wsocket.count('news')
    0
    """
def disconnect(topic: str, code: int = 1000, reason: str = "") -> None:
    """Close all WebSockets that have subscribed to a topic, in all processes of
    the bus: for rights that end.

    ValueError: the name or the code. ConnectionError: as publish().

    >>> wsocket.disconnect('user:42', 4001, 'signed out')
    """
def listen(*topics: str, timeout: Optional[float] = None) -> Listener:
    """Subscribe without a WebSocket: an iterator of the messages that are
    published to the topics from now on, for server-sent events, bridges and
    tests. With a timeout it gives None after so many seconds of silence.
    Its close() ends it, as leaving a with statement does.

    OverflowError: it was so slow that messages are gone; it goes on.
    ConnectionError: the server has a broker, and this process has not.

    >>> for message in wsocket.listen('news'):
    ...     print(message)
    """
def next_gap() -> tuple[str, ...]: ...
def topic_stats() -> dict[str, int]: ...
def join(folder: str, /) -> None: ...
def open_broker(url: str, prefix: str, /) -> None: ...
def hold_folder(folder: str, /) -> tuple[str, int]: ...
def leave() -> None: ...
def leave_bus() -> None: ...
def set_outbox(outbox: Optional[list[Any]], /) -> None: ...
def error_stream() -> Optional[ErrorStream]: ...
def cpus() -> int: ...
def unheed(numbers: Iterable[int], /) -> None: ...
def libraries() -> str: ...
def options() -> list[tuple[str, str, Optional[str], str]]: ...
def choices(name: str) -> Optional[list[str]]: ...
