"""Types for programs that are checked by mypy or pyright.

    from typing import cast
    from wsocket.typing import Environ, RunOptions, StartResponse

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        ws = environ.get("wsgi.websocket")
        ...

    options: RunOptions = {"threads": 16, "workers": "auto"}

In a framework, ``cast(Environ, request.environ)`` has the types of the keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import IO, Any, Optional, Protocol, TypedDict, Union

from ._options import RunOptions, ServerOptions
from ._wsocket import WebSocket

__all__ = [
    "Environ",
    "ExcInfo",
    "InputStream",
    "RunOptions",
    "ServerOptions",
    "StartResponse",
    "WSGIApplication",
    "WebSocket",
]

ExcInfo = Union[
    tuple[type[BaseException], BaseException, TracebackType],
    tuple[None, None, None],
]


class StartResponse(Protocol):
    """The function of PEP 3333 that begins an answer."""

    def __call__(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: Optional[ExcInfo] = ...,
        /,
    ) -> Callable[[bytes], object]: ...


class InputStream(Protocol):
    """``environ["wsgi.input"]``: the body of the request."""

    def read(self, size: int = ..., /) -> bytes: ...
    def readline(self, size: int = ..., /) -> bytes: ...
    def readlines(self, hint: int = ..., /) -> list[bytes]: ...
    def __iter__(self) -> Iterator[bytes]: ...


WSGIApplication = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

class _Always(TypedDict):
    REQUEST_METHOD: str
    SCRIPT_NAME: str
    PATH_INFO: str
    QUERY_STRING: str
    RAW_URI: str
    REQUEST_URI: str
    SERVER_NAME: str
    SERVER_PORT: str
    SERVER_PROTOCOL: str
    SERVER_SOFTWARE: str
    GATEWAY_INTERFACE: str
    REMOTE_ADDR: str


class _Sometimes(TypedDict, total=False):
    REMOTE_PORT: str
    CONTENT_TYPE: str
    CONTENT_LENGTH: str
    HTTPS: str
    HTTP_ACCEPT: str
    HTTP_ACCEPT_LANGUAGE: str
    HTTP_AUTHORIZATION: str
    HTTP_COOKIE: str
    HTTP_HOST: str
    HTTP_IF_MODIFIED_SINCE: str
    HTTP_IF_NONE_MATCH: str
    HTTP_ORIGIN: str
    HTTP_RANGE: str
    HTTP_REFERER: str
    HTTP_USER_AGENT: str
    HTTP_X_FORWARDED_FOR: str
    HTTP_X_FORWARDED_PROTO: str
    HTTP_X_REQUESTED_WITH: str
    HTTP_X_REQUEST_ID: str
    SSL_PROTOCOL: str
    SSL_CIPHER: str
    SSL_TLS_SNI: str
    SSL_CLIENT_VERIFY: str
    SSL_CLIENT_S_DN: str
    SSL_CLIENT_I_DN: str
    SSL_CLIENT_M_SERIAL: str
    SSL_CLIENT_V_START: str
    SSL_CLIENT_V_END: str
    SSL_CLIENT_CERT: str


_AlwaysDotted = TypedDict(
    "_AlwaysDotted",
    {
        "wsgi.version": tuple[int, int],
        "wsgi.url_scheme": str,
        "wsgi.input": InputStream,
        "wsgi.errors": IO[str],
        "wsgi.multithread": bool,
        "wsgi.multiprocess": bool,
        "wsgi.run_once": bool,
        "wsgi.input_terminated": bool,
        "wsgi.file_wrapper": Callable[..., Iterable[bytes]],
        "wsgi.early_hints": Callable[[list[tuple[str, str]]], object],
        "wsocket.client_disconnected": Callable[[], bool],
    },
)
_SometimesDotted = TypedDict(
    "_SometimesDotted",
    {"wsgi.websocket": WebSocket, "wsgi.websocket_version": str},
    total=False,
)


class Environ(_Always, _Sometimes, _AlwaysDotted, _SometimesDotted):
    """The keys of an environ, the usual ones of clients among them. Only a
    WebSocket's handshake has ``wsgi.websocket``."""
