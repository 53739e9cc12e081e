"""Cases for fuzz/binding.py: what a client sends on one connection.

A case is a dict: ``site``, the name of an application in binding_apps.py, and
``steps``, a list of ``(kind, data)``:

    send   write the bytes
    pause  wait for this many milliseconds
    deaf   read nothing from now on, and write only what is taken
    hear   read again
    half   close the writing half
    reset  close with a reset, whatever was not read
    leave  close without reading the rest

Cases grow from a random.Random alone, so a seed and a number name one. A
mutated case needs the one that it came from, too; therefore findings are kept
as files, in JSON with latin-1 for bytes.
"""

import json
import zlib

SITES = ["flask", "plain", "proxied", "events", "framework", "hidden",
         "middleware", "fixed", "classic"]

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
PATHS = [b"/", b"/echo", b"/view", b"/error", b"/plain", b"/ws", b"/form",
         b"/static/a.txt", b"/static/", b"/static/../x", b"/none", b"/users/x",
         b"/str", b"/bytes", b"/number", b"/file", b"/text", b"/items",
         b"/generator", b"/dict", b"/raise", b"/raise-late", b"/nothing"]
NAMES = [b"X-A", b"x-a", b"X_A", b"Accept", b"Cookie", b"Referer", b"Via",
         b"User-Agent", b"Content-Type", b"Authorization", b"Proxy", b"TE",
         b"If-Modified-Since", b"If-None-Match", b"If-Range", b"If-Match",
         b"Range", b"Origin", b"Trailer", b"Keep-Alive", b"Date", b"Age",
         b"Accept-Encoding", b"Accept-Language", b"Max-Forwards", b"From",
         b"X-Request-Id", b"Content-Encoding", b"Upgrade-Insecure-Requests",
         b"X-", b"-", b"!#$%&'*+.^`|~", b"HTTP_HOST", b"Content_Length"]
ODD = [b"", b" ", b"\t", b",", b";", b"=", b'"', b'"\\', b'"a\\"', b"\0", b"\x7f",
       b"\x80", b"\xff", b"\xc3\xa9", b"\xe2\x80\xa8", b"\xc2\x85", b"\xed\xa0\x80",
       b"%00", b"%", b"%2", b"%zz", b"%C3%A9", b"%ff", b"%2f..%2f", b"*", b"(c)",
       b"\r", b"\n", b"\r\n x", b"{}", b"%s%n", b"0", b"-1", b"18446744073709551616",
       b"1e3", b"0x10", b"+5", b"a=b; a=c", b"null", b"[::1]", b"unknown", b"\x1b[2J"]
DATES = [b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT",
         b"Sun Nov  6 08:49:37 1994", b"Thu, 01 Jan 1970 00:00:00 GMT",
         b"Fri, 31 Dec 9999 23:59:59 GMT", b"0", b"Sun, 99 Nov 1994 99:99:99 GMT"]
ADDRESSES = [b"127.0.0.1", b"10.0.0.1", b"[::1]", b"::1", b"[2001:db8::1]:80",
             b"192.0.2.1:8080", b"unknown", b"_hidden", b'"[::1]:9"', b'"', b"",
             b"999.1.1.1", b"a" * 300]


# ---------------------------------------------------------------- values ---

def word(rng, longest=12):
    return bytes(rng.choice(b"abcdefghijklmnopqrstuvwxyzABC0123456789-_.")
                 for _ in range(rng.randint(1, longest)))


def octets(rng, longest=40):
    return rng.randbytes(rng.randint(0, longest))


def length(rng):
    """A length near a bound: of blocks, buffers and options."""
    bound = rng.choice([0, 1, 8, 16, 64, 100, 125, 126, 128, 255, 256, 512, 1000,
                        1024, 4096, 8192, 16384, 65535, 65536])
    return max(0, bound + rng.randint(-2, 2))


def text(rng):
    """What one field may say."""
    kind = rng.random()
    if kind < 0.4:
        return word(rng, 30)
    if kind < 0.65:
        return rng.choice(ODD)
    if kind < 0.85:
        return b"".join(rng.choice([rng.choice(ODD), word(rng)])
                        for _ in range(rng.randint(1, 6)))
    if kind < 0.95:
        return rng.choice([b"a", b"\xff", b'"', b"\\", b"%41", b", ", b"a,"]) * (
            length(rng) // 2)
    return octets(rng)


def elements(rng):
    """A list, now and then a long one."""
    n = rng.choice([1, 2, 3, 12, 13, 14, 40, 200, 3000]) if (
        rng.random() < 0.5) else rng.randint(0, 30)
    if rng.random() < 0.6:
        return [rng.choice([b"a", b"", b" b\t", b"keep-alive", b"\xe9"])] * n
    return [rng.choice([word(rng), rng.choice(ODD)]) for _ in range(n)]


def listing(rng, *needed):
    every = elements(rng)
    for one in needed:
        every.insert(rng.randint(0, len(every)), one)
    return rng.choice([b",", b", ", b" ,\t"]).join(every)


# ---------------------------------------------------------------- fields ---

def connection(rng):
    return [(b"Connection", listing(rng, rng.choice(
        [b"Upgrade", b"upgrade", b"close", b"keep-alive", b"X-A"])))]


def cookies(rng):
    return [(b"Cookie", b"; ".join(
        b"%b=%b" % (word(rng), text(rng)) for _ in range(rng.randint(1, 5))))
        for _ in range(rng.randint(1, 3))]


def forwarded(rng):
    fields = []
    for _ in range(rng.randint(1, 3)):
        name = rng.choice([b"Forwarded", b"X-Forwarded-For", b"X-Forwarded-Proto",
                           b"X-Forwarded-Host", b"X-Forwarded-Port",
                           b"X-Forwarded-Prefix", b"X-Forwarded-By"])
        value = b", ".join(
            rng.choice([rng.choice(ADDRESSES), text(rng)])
            for _ in range(rng.randint(1, 4)))
        if name == b"Forwarded":
            value = b", ".join(
                b";".join(b"%b=%b" % (rng.choice([b"for", b"by", b"proto", b"host",
                                                  b"FOR", b"ext"]),
                                      rng.choice([rng.choice(ADDRESSES), text(rng)]))
                          for _ in range(rng.randint(1, 4)))
                for _ in range(rng.randint(1, 4)))
        elif rng.random() < 0.4:
            value = rng.choice([b"https", b"http", b"wss", b"443", b"0", b"65536",
                                b"/prefix", b"//x", b"/p/../q", b"example.com:1"])
        fields.append((name, value))
    return fields


def selection(rng):
    ranges = b",".join(
        b"%b-%b" % (str(length(rng)).encode() if rng.random() < 0.7 else b"",
                    str(length(rng)).encode() if rng.random() < 0.7 else b"")
        for _ in range(rng.choice([1, 1, 2, 5, 200])))
    fields = [(b"Range", rng.choice([b"bytes=", b"bytes =", b"octets=", b""]) + ranges)]
    for name in (b"If-Range", b"If-Match", b"If-None-Match", b"If-Modified-Since",
                 b"If-Unmodified-Since"):
        if rng.random() < 0.3:
            fields.append((name, rng.choice(
                [rng.choice(DATES), b"*", b'"abc"', b'W/"x", "y"', text(rng)])))
    return fields


def many(rng):
    return [(word(rng, 20), text(rng)) for _ in range(
        rng.choice([5, 20, 98, 99, 100, 101, 300]))]


def twice(rng):
    name = rng.choice(NAMES + [b"Host", b"Content-Length", b"Upgrade",
                               b"Sec-WebSocket-Key", b"Transfer-Encoding"])
    return [(name, text(rng)) for _ in range(rng.randint(2, 4))]


def expectation(rng):
    return [(b"Expect", rng.choice([b"100-continue", b"100-Continue, a", text(rng)]))]


def anything(rng):
    return [(rng.choice([rng.choice(NAMES), word(rng, 40), text(rng)]), text(rng))]


def sockets(rng):
    """Oddities of an opening handshake."""
    return [rng.choice([
        (b"Sec-WebSocket-Protocol", listing(rng, b"chat")),
        (b"Sec-WebSocket-Protocol", text(rng)),
        (b"Sec-WebSocket-Extensions", listing(rng, b"permessage-deflate")),
        (b"Sec-WebSocket-Extensions", b"permessage-deflate; " + b"; ".join(
            rng.choice([b"client_max_window_bits", b"server_max_window_bits=9",
                        b"client_no_context_takeover", text(rng),
                        b'server_max_window_bits="15"', b"server_max_window_bits=8"])
            for _ in range(rng.randint(1, 5)))),
        (b"Sec-WebSocket-Key", text(rng)),
        (b"Sec-WebSocket-Version", rng.choice([b"8", b"7", b"0", b"13, 8", b"14"])),
        (b"Sec-WebSocket-Origin", text(rng)),
        (b"Origin", rng.choice([b"http://localhost", b"null", b"https://e.com:1",
                                b"http://[::1", text(rng)])),
        (b"Upgrade", listing(rng, b"websocket")),
        (b"Upgrade", rng.choice([b"h2c", b"websocket/13", b"WebSocket, h2c"])),
    ])]


FIELDS = [connection, connection, cookies, forwarded, selection, many, twice,
          expectation, anything, anything, sockets]


# -------------------------------------------------------------- requests ---

def target(rng):
    path = rng.choice(PATHS)
    if rng.random() < 0.35:
        path += rng.choice([b"/", b"", b"%2e%2e/"]) + text(rng).replace(b" ", b"+")
    if rng.random() < 0.35:
        path += b"?" + b"&".join(b"%b=%b" % (word(rng), text(rng).replace(b" ", b"%20"))
                                 for _ in range(rng.randint(0, 4)))
    if rng.random() < 0.06:
        path = rng.choice([b"*", b"http://e.com" + path, b"HTTPS://[::1]:9" + path,
                           b"e.com:80", b"//" + path, b"", text(rng),
                           b"/" + b"a" * length(rng), path + b"#f",
                           b"http://u@e.com/", b"http:///"])
    return path


def chunked(rng, body):
    out, at = [], 0
    while at < len(body):
        n = min(len(body) - at, rng.choice([1, 2, 7, 100, 5000]))
        ext = rng.choice([b"", b"", b"", b";a", b';a="b c"', b" ; a=b", b";" + text(rng)])
        out.append(b"%x%b\r\n%b\r\n" % (n, ext, body[at:at + n]))
        at += n
    out.append(rng.choice([b"0", b"000", b"0;x=y"]) + b"\r\n")
    if rng.random() < 0.3:
        out += [b"%b: %b\r\n" % pair for pair in anything(rng) + many(rng)[:3]]
    if rng.random() < 0.1:
        out.append(text(rng))
    return b"".join(out) + b"\r\n"


def content(rng):
    """The fields of a body, and its octets."""
    body = rng.choice([word, octets])(rng, rng.choice([1, 30, 3000]))
    if rng.random() < 0.3:
        body = rng.choice([b"line\n", b"\r\n", b"\n", b"x", b"a=b&c=%ff&",
                           b"--b\r\nContent-Disposition: form-data; name=f\r\n\r\n"]
                          ) * (length(rng) // 4)
    kind = rng.choice([b"text/plain", b"application/x-www-form-urlencoded",
                       b"multipart/form-data; boundary=b", b"application/json",
                       text(rng)])
    if rng.random() < 0.4:
        return [(b"Transfer-Encoding", b"chunked" if rng.random() < 0.9 else
                 text(rng)), (b"Content-Type", kind)], chunked(rng, body)
    size = len(body) if rng.random() < 0.9 else len(body) + rng.randint(-3, 3)
    said = b"%d" % size if rng.random() < 0.95 else text(rng)
    return [(b"Content-Length", said), (b"Content-Type", kind)], body


def head(rng, line, fields):
    """The octets of a head, with the odd fields that it gets."""
    for _ in range(rng.choice([0, 0, 1, 1, 2, 3])):
        for field in rng.choice(FIELDS)(rng):
            fields.insert(rng.randint(0, len(fields)), field)
    end = b"\r\n" if rng.random() < 0.97 else b"\n"
    lines = [line]
    for name, value in fields:
        colon = b": " if rng.random() < 0.95 else rng.choice(
            [b":", b" : ", b":\t", b":\r\n ", b""])
        lines.append(name + colon + value)
    return end.join(lines) + end + end


def request(rng):
    fields, body = [(b"Host", b"localhost")], b""
    if rng.random() < 0.05:
        fields = [(b"Host", text(rng))] if rng.random() < 0.7 else []
    method = rng.choice([b"GET", b"GET", b"GET", b"POST", b"POST", b"PUT", b"HEAD",
                         b"OPTIONS", b"DELETE", b"PATCH", b"get", b"TRACE", b"CONNECT"])
    if rng.random() < 0.02:
        method = text(rng)
    if method in (b"POST", b"PUT", b"PATCH") or rng.random() < 0.1:
        more, body = content(rng)
        fields += more
    version = b"HTTP/1.1" if rng.random() < 0.93 else rng.choice(
        [b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"http/1.1", b"", b"HTTP/11"])
    line = b"%b %b %b" % (method, target(rng), version)
    return head(rng, line, fields) + body


def handshake(rng):
    fields = [(b"Host", b"localhost"), (b"Upgrade", b"websocket"),
              (b"Sec-WebSocket-Version", b"13"), (b"Sec-WebSocket-Key", KEY)]
    if rng.random() < 0.3:
        fields.append((b"Connection", listing(rng, b"Upgrade")))
    else:
        fields.append((b"Connection", rng.choice([b"Upgrade", b"keep-alive, Upgrade"])))
    if rng.random() < 0.5:
        fields.append((b"Sec-WebSocket-Extensions", rng.choice(
            [b"permessage-deflate", b"permessage-deflate; client_max_window_bits",
             b"permessage-deflate; server_no_context_takeover"])))
    if rng.random() < 0.5:
        fields.append((b"Sec-WebSocket-Protocol", rng.choice([b"chat", b"other, chat"])))
    rng.shuffle(fields)
    path = target(rng) if rng.random() < 0.5 else rng.choice([b"/", b"/ws", b"/plain"])
    return head(rng, b"GET %b HTTP/1.1" % path, fields)


# ---------------------------------------------------------------- frames ---

def frame(rng, opcode, payload, first=0x80, masked=True):
    n = len(payload)
    mask = 0x80 if masked else 0
    if n < 126 and rng.random() < 0.97:
        out = bytes([first | opcode, mask | n])
    elif n < 65536 and rng.random() < 0.97:
        out = bytes([first | opcode, mask | 126]) + n.to_bytes(2, "big")
    else:
        out = bytes([first | opcode, mask | 127]) + n.to_bytes(8, "big")
    if not masked:
        return out + payload
    key = rng.randbytes(4)
    pad = (key * (n // 4 + 1))[:n]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")
    return out + key + mixed.to_bytes(n, "big")


def message(rng):
    if rng.random() < 0.3:
        return rng.choice([b"end", b"close", b"ping", b"stream", b"raise", b"odd"])
    if rng.random() < 0.3:
        return text(rng)
    return rng.choice([b"x", b"\xc3\xa9", b"ab\0", b"\xff"]) * length(rng)


def deflated(rng, payload):
    pack = zlib.compressobj(rng.choice([1, 6, 9]), zlib.DEFLATED, -rng.choice([9, 12, 15]))
    out = pack.compress(payload) + pack.flush(zlib.Z_SYNC_FLUSH)
    out = out[:-4] if rng.random() < 0.95 else out
    return octets(rng) if rng.random() < 0.05 else out


def frames(rng):
    """The frames of one message, with others between them; or an odd one."""
    kind = rng.random()
    if kind < 0.15:
        return frame(rng, rng.choice([9, 10]), octets(rng, 125))
    if kind < 0.25:
        code = rng.choice([1000, 1001, 1006, 1011, 4000, 999, 0, 65535])
        return frame(rng, 8, rng.choice([b"", b"x", code.to_bytes(2, "big") + text(rng)]))
    if kind < 0.32:
        return frame(rng, rng.randrange(16), text(rng), rng.choice([0, 0x80, 0xc0, 0xf0]),
                     rng.random() < 0.5)
    opcode, first, payload = rng.choice([1, 1, 2]), 0, message(rng)
    if rng.random() < 0.35:
        first, payload = 0x40, deflated(rng, payload)
    if rng.random() < 0.7:
        return frame(rng, opcode, payload, 0x80 | first)
    out = frame(rng, opcode, payload[:3], first)
    for at in range(3, len(payload), max(1, len(payload) // 3)):
        if rng.random() < 0.2:
            out += frame(rng, 9, b"?")
        out += frame(rng, 0, payload[at:at + max(1, len(payload) // 3)], 0)
    return out + frame(rng, 0, b"")


# ----------------------------------------------------------------- cases ---

def proxy_header(rng):
    if rng.random() < 0.5:
        return b"PROXY %b %b %b %d %d\r\n" % (
            rng.choice([b"TCP4", b"TCP6", b"UNKNOWN", b"TCP5"]),
            rng.choice([b"192.0.2.1", b"::1", text(rng)]),
            rng.choice([b"192.0.2.2", b"::2"]), length(rng), length(rng))
    body = rng.randbytes(rng.choice([12, 36, 216, 0, 11, 40]))
    return (b"\r\n\r\n\0\r\nQUIT\n" + bytes([rng.choice([0x20, 0x21, 0x22, 0x11]),
                                            rng.choice([0x11, 0x21, 0x31, 0x12, 0])]) +
            len(body).to_bytes(2, "big") + body)


def mutate(rng, data):
    """A few octets otherwise, a piece doubled, gone, or from elsewhere."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4])):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice([1, 1, 2, 8, 60]))
        kind = rng.randrange(5)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at:end]
        elif kind == 2:
            data[at:at] = data[at:end] * rng.choice([1, 2, 15, 300])
        elif kind == 3:
            data[at:at] = rng.choice([rng.choice(ODD), octets(rng, 8), text(rng)])
        else:
            data[at:end] = rng.choice([rng.choice(ODD), word(rng)])
    return bytes(data)


def cut(rng, data):
    """The steps that send it: whole, or in pieces of any size."""
    if rng.random() < 0.6:
        return [("send", data)]
    steps, at, most = [], 0, rng.choice([2, 6, 20])
    while at < len(data) and len(steps) < 2 * most:
        n = rng.choice([1, 2, 10, 100, len(data)])
        steps += [("send", data[at:at + n]), ("pause", rng.choice([0, 0, 1, 3]))]
        at += n
    return steps + [("send", data[at:])]


def fresh(rng, site=None):
    site = site or rng.choice(SITES)
    if rng.random() < 0.1:
        return {"site": site, "steps": ignored(rng, site)}
    data = proxy_header(rng) if site == "proxied" and rng.random() < 0.9 else b""
    for _ in range(rng.choice([1, 1, 2, 3, 8])):
        data += request(rng)
    if rng.random() < 0.6:
        if rng.random() < 0.8:  # nothing before it that could spoil it
            data = data[:len(data) * (site == "proxied")]
            data = proxy_header(rng) if data else b""
        data += handshake(rng)
        data += b"".join(frames(rng) for _ in range(rng.choice([0, 1, 3, 8])))
    if rng.random() < 0.12:
        data = mutate(rng, data)
    if rng.random() < 0.08:
        data = data[:rng.randrange(len(data) + 1)]
    return {"site": site, "steps": cut(rng, data) + ending(rng)}


def ignored(rng, site):
    """Requests, and something odd behind them, whose answers nobody reads for a
    while: where they stop is found by trying."""
    plain = b"%b %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % (
        rng.choice([b"GET", b"GET", b"HEAD", b"DELETE"]), rng.choice(PATHS))
    data = proxy_header(rng) if site == "proxied" and rng.random() < 0.9 else b""
    data += plain * rng.choice([1, 3, rng.randint(1, 60), 200])
    odd = rng.choice([request(rng), mutate(rng, request(rng)), handshake(rng),
                      b"nonsense\r\n\r\n",
                      b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nno"])
    steps = [("deaf", b"")] + cut(rng, data) + cut(rng, odd)
    if rng.random() < 0.7:
        steps += [("pause", rng.choice([1, 5, 30])), ("send", rng.choice([plain, b"x"])),
                  ("pause", rng.choice([1, 5]))]
    if rng.random() < 0.3:
        return steps + [(rng.choice(["reset", "leave"]), b"")]
    return steps + [("hear", b""), ("half", b"")]


def ending(rng):
    kind = rng.random()
    if kind < 0.85:
        return [("half", b"")]
    return [("pause", rng.choice([0, 2, 10])),
            (rng.choice(["reset", "leave"]), b"")]


def sent(case):
    return b"".join(data for kind, data in case["steps"] if kind == "send")


def descendant(rng, one, other):
    """A mutation of a case that was worth keeping, or a cross of two."""
    data = sent(one)
    if rng.random() < 0.2:
        there = sent(other)
        data = data[:rng.randrange(len(data) + 1)] + there[rng.randrange(len(there) + 1):]
    site = one["site"] if rng.random() < 0.8 else rng.choice(SITES)
    return {"site": site, "steps": cut(rng, mutate(rng, data)) + ending(rng)}


def dump(case):
    """JSON of a case, one line."""
    steps = [[kind, data.decode("latin-1") if isinstance(data, bytes) else data]
             for kind, data in case["steps"]]
    return json.dumps({"site": case["site"], "steps": steps})


def load(line):
    case = json.loads(line)
    case["steps"] = [(kind, data.encode("latin-1") if isinstance(data, str) else data)
                     for kind, data in case["steps"]]
    return case
