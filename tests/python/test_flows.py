"""What four frameworks do on any server: uploads, downloads, streams,
redirects, cookies, HEAD and ranges."""

import hashlib
import io
import os

import pytest

PIECE = bytes(range(256)) * 256
QUICK = 3 << 20
LONG = 200 << 20


class Count:
    """Of a body: octets and digest."""

    def __init__(self):
        self.octets = 0
        self.digest = hashlib.md5()

    def read(self, stream):
        for piece in iter(lambda: stream.read(65536), b""):
            self.octets += len(piece)
            self.digest.update(piece)
        return "%d %s" % (self.octets, self.digest.hexdigest())


def make_flask(path):
    flask = pytest.importorskip("flask")
    app = flask.Flask("flow")

    @app.post("/upload")
    def upload():
        return Count().read(flask.request.stream)

    @app.get("/download")
    def download():
        return flask.send_file(path, conditional=True)

    @app.get("/stream")
    def stream():
        return flask.Response("%d," % i for i in range(10))

    @app.get("/redirect")
    def redirect():
        return flask.redirect("/elsewhere")

    @app.get("/cookie")
    def cookie():
        response = flask.make_response(flask.request.cookies.get("a", "none"))
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    return app


def make_bottle(path):
    bottle = pytest.importorskip("bottle")
    app = bottle.Bottle()

    @app.post("/upload")
    def upload():
        return Count().read(bottle.request.environ["wsgi.input"])

    @app.get("/download")
    def download():
        folder, name = os.path.split(path)
        return bottle.static_file(name, root=folder)

    @app.get("/stream")
    def stream():
        for i in range(10):
            yield "%d," % i

    @app.get("/redirect")
    def redirect():
        bottle.redirect("/elsewhere", 302)

    @app.get("/cookie")
    def cookie():
        bottle.response.set_cookie("a", "1")
        bottle.response.set_cookie("b", "2")
        return bottle.request.get_cookie("a") or "none"

    return app


def make_django(path):
    django = pytest.importorskip("django")
    import django.conf
    from django import http, urls
    from django.core.wsgi import get_wsgi_application

    def cookie(request):
        response = http.HttpResponse(request.COOKIES.get("a", "none"))
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    views = {
        "upload": lambda request: http.HttpResponse(Count().read(request)),
        "download": lambda request: http.FileResponse(open(path, "rb")),
        "stream": lambda request: http.StreamingHttpResponse(
            "%d," % i for i in range(10)
        ),
        "redirect": lambda request: http.HttpResponseRedirect("/elsewhere"),
        "cookie": cookie,
    }

    class Urls:
        urlpatterns = [urls.path(name, view) for name, view in views.items()]

    if not django.conf.settings.configured:
        django.conf.settings.configure(
            ALLOWED_HOSTS=["*"], DATA_UPLOAD_MAX_MEMORY_SIZE=None
        )
    app = get_wsgi_application()

    def with_urls(environ, start_response):
        from django.urls import set_urlconf

        set_urlconf(Urls)
        django.conf.settings.ROOT_URLCONF = Urls
        return app(environ, start_response)

    return with_urls


def make_pyramid(path):
    pytest.importorskip("pyramid")
    from pyramid import httpexceptions
    from pyramid.config import Configurator
    from pyramid.response import FileResponse, Response

    def cookie(request):
        response = Response(request.cookies.get("a", "none"))
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    def download(request):
        response = FileResponse(path, request=request)
        response.conditional_response = True
        return response

    views = {
        "upload": lambda request: Response(
            Count().read(request.environ["wsgi.input"])
        ),
        "download": download,
        "stream": lambda request: Response(
            app_iter=(b"%d," % i for i in range(10))
        ),
        "redirect": lambda request: httpexceptions.HTTPFound("/elsewhere"),
        "cookie": cookie,
    }
    config = Configurator()
    for name, view in views.items():
        config.add_route(name, "/" + name)
        config.add_view(view, route_name=name)
    return config.make_wsgi_app()


FRAMEWORKS = {
    "flask": make_flask,
    "bottle": make_bottle,
    "django": make_django,
    "pyramid": make_pyramid,
}


@pytest.fixture
def path(tmp_path):
    """A file of three megabytes."""
    with open(str(tmp_path / "file.bin"), "wb") as file:
        file.write(PIECE * (QUICK // len(PIECE)))
    return str(tmp_path / "file.bin")


@pytest.fixture(params=FRAMEWORKS)
def site(request, serve, path):
    return serve(FRAMEWORKS[request.param](path))


def peak():
    """The most memory this process ever had, in octets."""
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    raise AssertionError("no VmHWM")


SIZES = [QUICK, pytest.param(LONG, marks=pytest.mark.slow)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload_arrives_whole_in_bounded_memory(site, size, chunked):
    before = peak()
    digest = hashlib.md5()
    head = "POST /upload HTTP/1.1\r\nHost: t\r\nConnection: close\r\n"
    head += "Transfer-Encoding: chunked" if chunked else (
        "Content-Length: %d" % size
    )
    with site.raw() as client:
        client.send(head.encode() + b"\r\n\r\n")
        for _ in range(size // len(PIECE)):
            digest.update(PIECE)
            if chunked:
                client.send(b"%x\r\n" % len(PIECE), PIECE, b"\r\n")
            else:
                client.send(PIECE)
        if chunked:
            client.send(b"0\r\n\r\n")
        status, _, body = client.response()
    assert status == 200
    assert body.decode() == "%d %s" % (size, digest.hexdigest())
    assert peak() - before < 48 << 20


@pytest.mark.parametrize("size", SIZES)
def test_a_download_arrives_whole_in_bounded_memory(site, path, size):
    os.truncate(path, size)
    before = peak()
    octets = 0
    with site.raw() as client:
        client.send(
            b"GET /download HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
        )
        status, headers = client.head()
        for piece in iter(lambda: client.file.read(65536), b""):
            octets += len(piece)
    assert (status, headers["content-length"]) == (200, str(size))
    assert octets == size
    assert peak() - before < 48 << 20


def test_a_stream_a_redirect_and_cookies(site):
    status, headers, body = site.get("/stream")
    assert (status, body) == (200, b"0,1,2,3,4,5,6,7,8,9,")
    assert headers["transfer-encoding"] == "chunked"
    status, headers, _ = site.get("/redirect")
    assert status == 302 and headers["location"].endswith("/elsewhere")
    assert site.get("/cookie")[2] == b"none"
    assert site.get("/cookie", "Cookie: x=y; a=42")[2] == b"42"
    with site.raw() as client:
        client.send(
            b"GET /cookie HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
        )
        said = client.rest().lower()
    assert said.count(b"\r\nset-cookie: ") == 2


def test_head_is_get_without_the_body(site):
    for target in ("/download", "/cookie"):
        got = site.get(target)
        head = site.get(target, method="HEAD")
        assert (got[0], head[0], head[2]) == (200, 200, b"")
        assert head[1].get("content-length") == got[1].get("content-length")
        assert int(got[1].get("content-length", len(got[2]))) == len(got[2])


@pytest.mark.parametrize("name", ["flask", "bottle", "pyramid"])
def test_a_range_is_cut_out(serve, path, name):
    """RFC 9110 14; Django leaves ranges to others."""
    site = serve(FRAMEWORKS[name](path))
    whole = io.open(path, "rb").read()
    status, headers, body = site.get("/download", "Range: bytes=1000-99999")
    assert (status, body) == (206, whole[1000:100000])
    assert headers["content-range"] == "bytes 1000-99999/%d" % len(whole)
    assert site.get("/download", "Range: bytes=-10")[2] == whole[-10:]
    beyond = "Range: bytes=%d-" % len(whole)
    assert site.get("/download", beyond)[0] == 416
