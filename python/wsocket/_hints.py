"""Hints for users of other servers: an option of theirs, and the one here."""

from __future__ import annotations

import re
from typing import Optional

RELOAD = "use --reload, with --reload-dirs and --reload-patterns"
PRELOAD = (
    "not yet: each worker imports the application itself, and a reload "
    "replaces one after the other; without --workers the application is loaded "
    "before anything is served"
)
TLS = "use --certfile and --keyfile (docs/guide/tls.md)"
CONTEXT = (
    "TLS is not Python's here, so a context of its ssl has no place; use "
    "certfile, keyfile and the like (docs/guide/tls.md)"
)
ALWAYS = "it is always so; leave it out"
MANAGER = "that is left to a process manager such as systemd"
FOLDER = "use --app-dir, start it in that folder, or set PYTHONPATH"
MODULE = "give the application as module:app"
BIND = "use --bind"
TIMEOUT = (
    "use --request-timeout (of a request), --head-timeout, or --worker-timeout "
    "(of a worker that hangs)"
)

# The hint, and the options it is given for: short ones, and long ones with
# underscores.
ANSWERS: dict[str, str] = {
    BIND: "listen http http_socket socket unix_socket uds fd",
    "use --port": "-p",
    "use --host": "-h -a address",
    "use --config": "ini",
    "use --workers": "processes worker_processes number_of_workers",
    "use --worker-timeout": "timeout_worker_healthcheck",
    TIMEOUT: "timeout harakiri channel_timeout",
    RELOAD: "-r -R reload_include reload_exclude reload_engine "
    "reload_extra_file reloader py_autoreload reload_paths",
    TLS: "cert key https https2 ssl_certificate ssl_private_key",
    CONTEXT: "ssl_context ssl_context_factory",
    ALWAYS: "do_handshake_on_connect suppress_ragged_eofs",
    "use --ca-certs": "ssl_ca",
    "put them behind the certificate, in certfile": "ssl_certificate_chain",
    "use --crl": "ssl_crl",
    "use --cert-reqs": "verify_mode ssl_client_verify",
    "use --tls-min": "ssl_version ssl_protocol_min",
    MANAGER: "-D -u -g -m -n daemon daemonize user group uid gid umask "
    "name proc_name master vacuum die_on_term",
    "use --pid-file": "pidfile pid",
    "use --reload-dirs": "reload_dir",
    FOLDER: "chdir pythonpath virtualenv venv home",
    MODULE: "module wsgi_file callable wsgi wsgi_app",
    "use --factory, or call it: 'module:create_app()'": "call",
    "wsocket has one kind of worker": "-k worker_class interface loop ws "
    "lifespan",
    "set it in the environment before the start": "-e env env_file",
    PRELOAD: "preload preload_app lazy_apps",
    "debugging is the application's or framework's": "-d debug debugger "
    "no_debug",
    "use --error-logfile": "log_file log_to logto error_log",
    "use --access-log-format": "access_logformat log_format logformat",
    "use --access-logfile; none is off": "access_log no_access_log "
    "disable_logging",
    "set up logging in the application": "log_config log_config_dict "
    "logconfig logger_class log_config_json",
    "use --max-connections": "worker_connections limit_concurrency "
    "connection_limit",
    "use --queue-limit": "listen_queue_size",
    "use --backlog": "listen_backlog",
    "use --max-requests": "limit_max_requests",
    "use --max-jitter, a percentage": "max_requests_jitter "
    "limit_max_requests_jitter max_requests_delta",
    "use --max-memory": "workers_max_rss reload_on_rss evil_reload_on_rss",
    "use --max-age": "workers_lifetime max_worker_lifetime",
    "use --keep-alive": "timeout_keep_alive keepalive keep_alive_timeout "
    "http_keepalive",
    "use --graceful-timeout": "timeout_graceful_shutdown shutdown_timeout "
    "stop_timeout",
    "use --max-request-line": "limit_request_line",
    "use --max-headers": "limit_request_fields",
    "use --max-header-bytes": "limit_request_field_size buffer_size "
    "max_request_header_size h11_max_incomplete_event_size",
    "use --max-body": "max_request_body_size limit_post "
    "max_content_length",
    "use --trusted-proxies": "forwarded_allow_ips trusted_proxy "
    "proxy_headers proxy_allow_ips trusted_proxy_count "
    "trusted_proxy_headers proxy_allow_from",
    "use --static": "static_map static_path static_folder",
    "use --script-name": "url_prefix root_path mount prefix",
    "use --server-header": "ident no_server_header",
    "use --date-header": "no_date_header",
    "use --ws-compression": "ws_per_message_deflate per_message_deflate",
}
HINTS = {name: hint for hint, names in ANSWERS.items() for name in names.split()}


def hint_for(name: str) -> Optional[str]:
    """Return what to use instead of an option of another server, if known.

    hint_for("workers"), hint_for("-w"), hint_for("ssl_keyfile")
    """
    if name not in HINTS and re.fullmatch(r"(ssl|tls)(_\w{1,40})?", name):
        return TLS
    return HINTS.get(name)
