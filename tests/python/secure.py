"""TLS for the tests: a client whose every octet the test decides, and the switch
that lets the suites of HTTP and WebSocket run once more over TLS.

    WSK_TEST_TLS=1 python -m pytest tests/python
"""

import functools
import io
import os
import pathlib
import socket
import ssl
import tempfile
import threading

IS_ON = os.environ.get("WSK_TEST_TLS", "") not in ("", "0")

# The files whose tests know nothing of TLS and hold over it all the same. A test
# that needs plain TCP is marked `plain`.
SUITES = """
    test_access_log test_app test_compression test_ecosystem test_environ
    test_error_log test_file_wrapper test_flows test_framework test_frameworks
    test_guide_websocket test_handshake test_http_vectors test_input
    test_pep3333 test_plain_request test_refusals test_response test_static
    test_streaming test_tls test_tls_octets test_topics test_websocket
    test_websocket_object test_werkzeug test_ws_ends test_ws_limits
    test_ws_octets
""".split()


@functools.lru_cache(maxsize=None)
def authority():
    """One authority for all tests of a process, and a certificate of it."""
    from authority import Authority

    folder = pathlib.Path(tempfile.mkdtemp(prefix="wsocket-tls-"))
    ca = Authority(folder)
    return ca, ca.issue("localhost", "127.0.0.1", "::1")


def options():
    """Options of a server that speaks TLS."""
    _, pair = authority()
    return {"certfile": pair.certfile, "keyfile": pair.keyfile}


def context(**settings):
    """A context of a client that trusts the authority of the tests."""
    ca, _ = authority()
    made = ssl.create_default_context(cafile=ca.certfile)
    for name, value in settings.items():
        setattr(made, name, value)
    return made


class TlsSocket:
    """Like a socket, with TLS on it. Unlike ssl.SSLSocket it can end its own
    direction alone (RFC 8446 6.1), put records together or apart, and be read
    by one thread while another writes."""

    #: How the server has ended: by "close_notify", "FIN" or "reset".
    ended = None

    def __init__(self, sock, made=None, name="localhost", piece=None):
        self.socket = sock
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.tls = (made or context()).wrap_bio(
            self.incoming, self.outgoing, server_hostname=name
        )
        self.lock = threading.Lock()  # of the engine
        self.sending = threading.Lock()
        self.piece = piece  # octets of a segment; None: as many as there are
        self.do_handshake()

    def __getattr__(self, name):
        return getattr(self.socket, name)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def _step(self, call, *args):
        """Call the engine, and send what it has for the server. None: it needs
        more of the server."""
        try:
            with self.lock:
                return call(*args)
        except ssl.SSLWantReadError:
            return None
        finally:
            # What a reader finds there is a writer's, which may wait for the
            # server, and that for this reader.
            if call != self.tls.read and self.outgoing.pending:
                with self.sending:
                    with self.lock:
                        data = self.outgoing.read()
                    self._send(data)

    def _send(self, data):
        if self.piece is not None:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        step = self.piece or len(data) or 1
        for at in range(0, len(data), step):
            self.socket.sendall(data[at : at + step])

    def _receive(self):
        """Feed the engine with what comes; False at the end."""
        data = self.socket.recv(32768)
        with self.lock:
            if data:
                self.incoming.write(data)
            else:
                self.incoming.write_eof()
        return bool(data)

    def do_handshake(self):
        def shake():
            self.tls.do_handshake()
            return True

        while not self._step(shake):
            self._receive()

    def sendall(self, data):
        """Each call makes records of its own."""
        data = memoryview(data).cast("B")
        while data:
            data = data[self._step(self.tls.write, data[:16384]) :]

    send = sendall

    def recv(self, size, flags=0):
        """Return what there is, so that nothing waits inside for a reader that
        asks select() first; b"" at the end."""
        data = b""
        while len(data) < size and self.ended is None:
            try:
                more = self._step(self.tls.read, size - len(data))
                if more:
                    data += more
                elif more is not None:
                    self.ended = "close_notify"
                elif data:
                    break
                elif not self._receive():
                    self.ended = "FIN"
            except ssl.SSLZeroReturnError:
                self.ended = "close_notify"
            except (ConnectionResetError, BrokenPipeError):
                self.ended = "reset"
        return data

    def recv_into(self, buffer):
        data = self.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def shutdown(self, how):
        if how == socket.SHUT_WR:
            self._step(self.tls.unwrap)  # close_notify
        self.socket.shutdown(how)

    def makefile(self, mode="rb", *args):
        return io.BufferedReader(_Reader(self))


class _Reader(io.RawIOBase):
    def __init__(self, sock):
        self.sock = sock

    def readable(self):
        return True

    def readinto(self, buffer):
        return self.sock.recv_into(buffer)


def wrapped(sock, tls):
    """The same socket, or TLS on it."""
    return TlsSocket(sock) if tls else sock


def connected(port, tls=True, timeout=20, **settings):
    """A connection to 127.0.0.1, over TLS unless that is off."""
    sock = socket.create_connection(("127.0.0.1", port), timeout)
    if not tls:
        return sock
    try:
        return TlsSocket(sock, **settings)
    except BaseException:
        sock.close()
        raise
