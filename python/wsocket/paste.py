"""A server for PasteDeploy, as Pyramid's ``pserve`` uses it.

    [server:main]
    use = egg:wsocket#main
    host = 127.0.0.1
    port = 8080

The settings are the options of the server. The items of a list are separated by
commas or line ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from . import config
from .run import run

Application = Callable[..., Iterable[bytes]]


def server_runner(
    app: Application, global_config: Mapping[str, str], /, **settings: str
) -> None:
    """Serve until SIGINT or SIGTERM: the entry point paste.server_runner."""
    options: dict[str, Any] = {}
    for name, value in settings.items():
        options[name] = value
        if config.KINDS.get(name) == "list":
            options[name] = config.items(value.replace("\n", ","))
        config.check(name, options[name], "[server:...] use = egg:wsocket#main")
    run(app, **options)


def server_factory(
    global_config: Mapping[str, str], /, **settings: str
) -> Callable[[Application], None]:
    """Return server_runner() with its settings: the entry point
    paste.server_factory."""

    def serve(app: Application) -> None:
        server_runner(app, global_config, **settings)

    return serve
