"""What a client forges, through the proxies of docs/guide/deploy.md: the rows of
its table, for pages and for WebSockets."""

import json

TOLD = [
    *("REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST", "SERVER_PORT"),
    *("SCRIPT_NAME", "PATH_INFO"),
]
CLEARED = [
    *("HTTP_FORWARDED", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT"),
    "HTTP_X_FORWARDED_PREFIX",
]

FORGED = [
    (),
    ("X-Forwarded-For: 10.1.2.3",),
    ("X-Forwarded-For: unknown",),
    ('X-Forwarded-For: "',),
    ('X-Forwarded-For: 10.1.2.3, "', "X-Forwarded-For: \\"),
    ("X-Forwarded-Proto: http",),
    ("X-Forwarded-Host: evil.example",),
    ("X-Forwarded-Port: 4444",),
    ("X-Forwarded-Prefix: /evil",),
    ("Forwarded: for=10.1.2.3;proto=http;host=evil.example",),
    ('Forwarded: for="',),
    ("X_Forwarded_For: 10.1.2.3", "X_Forwarded_Host: evil.example"),
]


def app(environ, start_response):
    seen = {key: environ[key] for key in TOLD}
    seen["passed on"] = [key for key in CLEARED if key in environ]
    body = json.dumps(seen)
    if "wsgi.websocket" in environ:
        environ["wsgi.websocket"].send(body)
        return []
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body.encode()]


def right(site):
    return {
        "REMOTE_ADDR": "127.0.0.2",
        "wsgi.url_scheme": "https",
        "HTTP_HOST": site.host,
        "SERVER_PORT": str(site.port),
        "SCRIPT_NAME": "",
        "PATH_INFO": "/x",
        "passed on": [],
    }


def test_what_a_client_forges_does_not_count(front):
    site = front(app)
    for forged in FORGED:
        assert (forged, site.get(*forged)) == (forged, (200, right(site)))
        assert (forged, site.websocket(*forged)) == (
            forged,
            (101, right(site)),
        )


def test_a_client_cannot_have_the_proxys_field_dropped(front):
    """RFC 9110 7.6.1: what Connection names ends at the next hop."""
    site = front(app)
    field = "Connection: close, X-Forwarded-For, X-Forwarded-Proto"
    assert site.get(field) == (200, right(site))


def test_another_host_is_answered_421(front):
    site = front(app)
    assert site.get(host="evil.example")[0] == 421
    assert site.get("X-Forwarded-Host: shop.example", host="evil.example") == (
        421,
        None,
    )
    assert site.get(host="SHOP.example.:%d" % site.port)[0] == 200


def test_only_pages_of_the_site_open_websockets(front):
    site = front(app)
    own, evil = "https://" + site.host, "https://evil.example"
    assert site.websocket("Origin: " + own) == (101, right(site))
    for fields in (
        ("Origin: http://" + site.host,),
        ("Origin: http://" + site.host, "X-Forwarded-Proto: http"),
        ("Origin: " + evil,),
        ("Origin: " + evil, "X-Forwarded-Host: evil.example"),
        ("Origin: " + evil, "Forwarded: host=evil.example"),
        ("Origin: " + evil, "Forwarded: proto=https;host=evil.example"),
        ("Origin: " + own, "Origin: " + evil),
    ):
        assert (fields, site.websocket(*fields)) == (fields, (403, None))
