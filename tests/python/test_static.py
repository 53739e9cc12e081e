"""Files that the server answers itself: --static /url=folder."""

import gzip
import os
import threading

import pytest
import secure
from patience import PATIENCE

PAGE = b"<h1>hello</h1>"
BIG = bytes(range(256)) * 4096 * 4  # 4 MiB


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"the app: " + environ["PATH_INFO"].encode("latin-1")]


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "assets"
    (root / "sub").mkdir(parents=True)
    (root / "index.html").write_bytes(PAGE)
    (root / "sub" / "index.html").write_bytes(b"sub")
    (root / "empty").mkdir()
    (root / "a b.txt").write_bytes(b"blank")
    (root / "nothing.css").write_bytes(b"")
    (root / "big.bin").write_bytes(BIG)
    (root / "app.js").write_bytes(b"plain script")
    (root / "app.js.gz").write_bytes(gzip.compress(b"zipped script"))
    (root / "app.js.br").write_bytes(b"not really brotli")
    (root / "style.css").write_bytes(b"plain style")
    (root / "style.css.gz").write_bytes(gzip.compress(b"zipped style"))
    (tmp_path / "secret.txt").write_bytes(b"secret")
    (tmp_path / "assets-secret").mkdir()
    (tmp_path / "assets-secret" / "x").write_bytes(b"secret")
    (root / "inside.txt").symlink_to("a b.txt")
    (root / "outside.txt").symlink_to(tmp_path / "secret.txt")
    (root / "up").symlink_to("..")
    os.mkfifo(root / "pipe")
    return root


@pytest.fixture
def site(serve, folder):
    return serve(app, static={"/assets": folder})


def test_a_file_is_its_octets_and_what_they_are(site):
    status, headers, body = site.get("/assets/index.html")
    assert (status, body) == (200, PAGE)
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["content-length"] == str(len(PAGE))
    assert headers["accept-ranges"] == "bytes"
    assert headers["etag"].startswith('"') and headers["last-modified"]
    assert site.get("/assets/big.bin")[2] == BIG
    assert site.get("/assets/nothing.css")[::2] == (200, b"")


def test_other_paths_are_the_applications(site):
    for path in "/", "/asset", "/assetsx", "/assets-secret/x", "/x/assets/":
        assert site.get(path)[2] == b"the app: " + path.encode()


def test_a_name_is_decoded(site):
    assert site.get("/assets/a%20b.txt")[2] == b"blank"
    assert site.get("/%61ssets/a%20b.txt?query=1")[2] == b"blank"


def test_a_folder_is_its_index(site):
    assert site.get("/assets/")[2] == PAGE
    assert site.get("/assets/sub/")[2] == b"sub"
    for path in "/assets", "/assets/sub":
        status, headers, _ = site.get(path + "?a=b")
        assert (status, headers["location"]) == (308, path + "/?a=b")
    assert site.get("/assets/empty/")[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "%2e%2e/secret.txt",
        "sub/../../secret.txt",
        "sub/%2e%2e/%2E%2E/secret.txt",
        "..%2fsecret.txt",
        "sub%2findex.html",
        "./index.html",
        "sub//index.html",
        "/index.html",
        "index.html/",
        "index.html%00",
        "index.html%00.txt",
        "%",
        "%zz",
        "..",
        "missing",
        "index.html/x",
        "outside.txt",
        "up/secret.txt",
        "up/assets-secret/x",
        "pipe",
        "x" * 300,
        "x/" * 1500,
    ],
)
def test_nothing_else_is_found(site, path):
    status, _, body = site.get("/assets/" + path)
    assert status == (400 if "%00" in path else 404)
    assert b"secret" not in body


@pytest.fixture
def hidden(tmp_path):
    """A folder that is itself named with a dot, and what it hides."""
    root = tmp_path / ".pages"
    for path in (
        *("a.txt", "a.env", "x./y", ".env", ".env.gz", ".git/config", "..b"),
        *("sub/.env", "sub/index.html", ".hidden/index.html", "b.js", "...."),
        *(".well-known/security.txt", ".well-known/.env", ".well-known2/x"),
        *("b.js.gz", ".Well-Known/x"),
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"words")
    return root


@pytest.mark.parametrize("mount", ["/s", ""])
def test_what_begins_with_a_dot_is_not_found(serve, hidden, mount):
    site = serve(app, static={mount or "/": hidden})
    for path, right in (
        *((path, 200) for path in ("a.txt", "a.env", "x./y", "sub/", "b.js")),
        (".well-known/security.txt", 200),
        (".well-known", 308),
        *((path, 404) for path in (".env", "%2eenv", "./.env", ".env.gz")),
        *((path, 404) for path in (".git", ".git/", ".git/config", "..b")),
        *((path, 404) for path in ("%2Egit/config", "sub/.env", "....")),
        *((path, 404) for path in (".hidden", ".hidden/", ".hidden/index.html")),
        *((path, 404) for path in (".well-known/.env", ".well-known2/x")),
        (".Well-Known/x", 404),
    ):
        got = site.get(mount + "/" + path, "Accept-Encoding: gzip, br")
        assert (path, got[0]) == (path, right)


def test_a_link_that_stays_inside_is_followed(site):
    status, _, body = site.get("/assets/inside.txt")
    # An old kernel walks without following any.
    assert (status, body) in ((200, b"blank"), (404, b"404 Not Found\n"))


def test_other_methods_are_not_allowed(site):  # RFC 9110 15.5.6
    for method in "POST", "PUT", "DELETE", "OPTIONS", "BREW":
        status, headers, _ = site.get(
            "/assets/index.html", method=method, body=b"x"
        )
        assert (status, headers["allow"]) == (405, "GET, HEAD")


def test_head_is_get_without_the_octets(site):  # RFC 9110 9.3.2
    def fields(method):
        headers = site.get("/assets/big.bin", method=method)[1]
        return {k: v for k, v in headers.items() if k != "date"}

    assert fields("HEAD") == fields("GET")


def test_what_the_client_has_is_not_sent_again(site):  # RFC 9110 13.1
    headers = site.get("/assets/index.html")[1]
    for condition in (
        "If-None-Match: " + headers["etag"],
        'If-None-Match: "x", W/' + headers["etag"],
        "If-None-Match: *",
        "If-Modified-Since: " + headers["last-modified"],
    ):
        status, again, body = site.get("/assets/index.html", condition)
        assert (status, body) == (304, b"")
        assert again["etag"] == headers["etag"]
        assert "content-length" not in again
    for condition in 'If-None-Match: "x"', "If-Modified-Since: Sunday":
        assert site.get("/assets/index.html", condition)[0] == 200
    assert site.get("/assets/index.html", 'If-Match: "x"')[0] == 412


def test_a_changed_file_has_another_tag(site, folder):
    before = site.get("/assets/index.html")[1]["etag"]
    with open(folder / "index.html", "ab") as file:  # in its place
        file.write(b"!")
    status, headers, body = site.get(
        "/assets/index.html", "If-None-Match: " + before
    )
    assert (status, body) == (200, PAGE + b"!")
    assert headers["etag"] != before


def test_a_replaced_file_is_soon_seen(site, folder, eventually):
    assert site.get("/assets/index.html")[2] == PAGE
    (folder / "new").write_bytes(b"new")
    (folder / "new").replace(folder / "index.html")
    eventually(lambda: site.get("/assets/index.html")[2] == b"new")
    (folder / "index.html").unlink()
    eventually(lambda: site.get("/assets/index.html")[0] == 404)
    (folder / "index.html").write_bytes(b"back")
    eventually(lambda: site.get("/assets/index.html")[2] == b"back")


@pytest.mark.parametrize(
    "spec, part",
    [
        ("0-9", slice(0, 10)),
        ("4194300-", slice(4194300, None)),
        ("-5", slice(-5, None)),
        ("100000-3000000", slice(100000, 3000001)),
    ],
)
def test_a_range_is_a_part(site, spec, part):  # RFC 9110 14
    status, headers, body = site.get("/assets/big.bin", "Range: bytes=" + spec)
    assert (status, body) == (206, BIG[part])
    first = part.start % len(BIG)
    assert headers["content-range"] == "bytes %d-%d/%d" % (
        first,
        first + len(body) - 1,
        len(BIG),
    )


def test_a_range_that_is_not_there(site):  # RFC 9110 15.5.17
    status, headers, _ = site.get(
        "/assets/big.bin", "Range: bytes=%d-" % len(BIG)
    )
    assert status == 416
    assert headers["content-range"] == "bytes */%d" % len(BIG)


def test_several_ranges_are_answered_with_the_whole(site):
    status, _, body = site.get("/assets/big.bin", "Range: bytes=0-1,5-6")
    assert (status, body) == (200, BIG)


def test_a_range_of_a_file_that_has_changed_is_the_whole(site):
    etag = site.get("/assets/big.bin")[1]["etag"]
    for condition, status in (etag, 206), ('"x"', 200), ("W/" + etag, 200):
        assert (
            site.get(
                "/assets/big.bin",
                "Range: bytes=0-1",
                "If-Range: " + condition,
            )[0]
            == status
        )


def test_a_compressed_twin_is_sent_to_who_takes_it(site):
    def get(accept):
        status, headers, body = site.get(
            "/assets/app.js", "Accept-Encoding: " + accept
        )
        assert status == 200 and headers["vary"] == "Accept-Encoding"
        assert headers["content-type"] == "text/javascript; charset=utf-8"
        return headers.get("content-encoding"), body, headers["etag"]

    assert get("gzip, br")[:2] == ("br", b"not really brotli")
    coding, body, zipped = get("gzip, br;q=0")
    assert (coding, gzip.decompress(body)) == ("gzip", b"zipped script")
    coding, body, plain = get("identity")
    assert (coding, body) == (None, b"plain script")
    assert plain != zipped
    headers = site.get("/assets/style.css", "Accept-Encoding: br, gzip")[1]
    assert headers["content-encoding"] == "gzip"
    assert "vary" not in site.get("/assets/index.html")[1]


def test_the_longest_mount_wins(serve, folder):
    site = serve(app, static=["/=%s" % folder, "/x/=%s" % (folder / "sub")])
    assert site.get("/")[2] == PAGE
    assert site.get("/x/index.html")[2] == b"sub"
    assert site.get("/xx")[0] == 404


def test_a_slow_reader_holds_no_thread_and_no_slot(serve, folder):
    site = serve(app, static="/assets=%s" % folder, threads=1)
    slow = [secure.connected(site.port, site.tls) for _ in "12345"]
    for client in slow:
        client.sendall(b"GET /assets/big.bin HTTP/1.1\r\nHost: t\r\n\r\n")
    for _ in range(10):
        assert site.get("/x")[0] == 200
        assert site.get("/assets/index.html")[0] == 200
    for client in slow:
        client.close()


def test_files_do_not_wait_for_the_application(serve, folder):
    inside, leave = threading.Event(), threading.Event()

    def busy(environ, start_response):
        inside.set()
        assert leave.wait(PATIENCE)
        return app(environ, start_response)

    site = serve(busy, static="/assets=%s" % folder, threads=1)
    with site.raw() as client:
        client.send(b"GET /busy HTTP/1.1\r\nHost: t\r\n\r\n")
        assert inside.wait(PATIENCE)
        for _ in range(5):
            assert site.get("/assets/index.html")[2] == PAGE
        leave.set()
        assert client.response()[0] == 200


def test_pipelined_requests_keep_their_order(site):
    with site.raw() as client:
        for path in "/assets/big.bin", "/x", "/assets/", "/assets/no", "/y":
            client.send(b"GET %s HTTP/1.1\r\nHost: t\r\n\r\n" % path.encode())
        assert client.response()[2] == BIG
        assert client.response()[2] == b"the app: /x"
        assert client.response()[2] == PAGE
        assert client.response()[0] == 404
        assert client.response()[2] == b"the app: /y"


def test_a_folder_that_is_missing_is_named(serve, tmp_path):
    with pytest.raises(OSError, match="/a=.*missing: No such file"):
        serve(app, static={"/a": tmp_path / "missing"})
    with pytest.raises(ValueError, match="static takes /url=folder"):
        serve(app, static="assets")
    with pytest.raises(ValueError, match="static takes /url=folder"):
        serve(app, static={"a": "b"})


def test_descriptors_stay_bounded(serve, tmp_path):
    for i in range(300):
        (tmp_path / ("%d.txt" % i)).write_bytes(b"%d" % i)
    site = serve(app, static={"/f": tmp_path})
    before = len(os.listdir("/proc/self/fd"))
    with site.raw() as client:
        for i in range(300):
            client.send(b"GET /f/%d.txt HTTP/1.1\r\nHost: t\r\n\r\n" % i)
            assert client.response()[2] == b"%d" % i
    assert len(os.listdir("/proc/self/fd")) - before < 80
