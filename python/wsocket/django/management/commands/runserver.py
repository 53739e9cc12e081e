"""``manage.py runserver`` on wsocket."""

from __future__ import annotations

import socketserver
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from django.apps import apps

from wsocket import Server

if TYPE_CHECKING:
    from wsocket.typing import ServerOptions

if apps.is_installed("django.contrib.staticfiles"):
    from django.contrib.staticfiles.management.commands import runserver
else:
    from django.core.management.commands import runserver


class DevelopmentServer:
    """The wsocket server with the interface that Django expects of wsgiref's."""

    def __init__(
        self, address: tuple[str, int], handler: type, ipv6: bool = False
    ) -> None:
        # Django adds this base class unless --nothreading is given.
        several = isinstance(self, socketserver.ThreadingMixIn)
        options: ServerOptions = {} if several else {"threads": 1}
        self.server = Server(self.call, *address, **options)
        self.server.listen()
        self.server_port = self.server.port

    def set_app(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app

    def call(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        return self.app(environ, start_response)

    def serve_forever(self) -> None:
        self.server.serve_forever()


class Command(runserver.Command):  # type: ignore[misc, name-defined]
    """Django's command, with another server."""

    server_cls = DevelopmentServer
