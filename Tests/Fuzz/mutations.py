"""Changes to a case, each drawn from a generator of random numbers alone: the same seed gives the same case."""
import copy
import json

from cases import Frame, Request

METHODS = [b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT", b"PROPFIND", b"get",
           b"G" * 100, b"", b"P\x00ST", b"POST /x HTTP/1.1\r\nX:"]
SEGMENTS = [b"..", b"%2e%2e", b"%2F", b"%00", b"%", b"%zz", b"%c3%28", b"\xff", b"//", b"/./", b"a" * 5000, b"%41" * 2000, b"?",
            b"#", b";", b"*", b"{terminal}", b"{holder}", b"{command}", b"content", b"uploads", b"%E2%80%AE", b"CON", b" ", b"\t", b"~"]
QUERIES = [b"path=", b"path=/", b"path=..%2f..", b"since=-1", b"since=99999999999999999999", b"since=1e9", b"limit=0",
           b"limit=-1", b"encoding=utf-16", b"content=maybe", b"timeout=0.000001", b"timeout=-5", b"timeout=nan", b"file=%00",
           b"format=rar", b"a" * 3000 + b"=1", b"&&&===", b"token=", b"stream=9", b"follow=", b"delete_files=perhaps", b"%=%"]
HEADERS = [(b"Range", b"bytes=0-"), (b"Range", b"bytes=-0"), (b"Range", b"bytes=5-1,9-"), (b"Range", b"bytes=" + b"9" * 40),
           (b"If-Range", b"\"x"), (b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"gzip, chunked"),
           (b"Content-Length", b"7"), (b"Content-Encoding", b"gzip"), (b"Content-Type", b"text/\xff"), (b"Expect", b"nonsense"),
           (b"X-Request-Timeout", b"-1"), (b"X-Request-Timeout", b"9" * 30), (b"X-Request-Id", b"\"\\\x7f"), (b"Cookie", b"=;=;"),
           (b"X-Compute-Child", b"../.."), (b"X-Compute-Child", b"nobody"), (b"Authorization", b"Bearer x"), (b"Upload-Offset", b"-1"),
           (b"Upgrade", b"websocket"), (b"Upgrade", b"h2c"), (b"Connection", b"Upgrade"), (b"X", b"v" * 9000), (b"Bad Name", b"1"),
           (b"Origin", b"null"), (b"Accept-Encoding", b"identity;q=0, *;q=9")]
HOSTILE = [None, True, False, 0, -1, 1, 2**31, 2**63, -2**63, 2**64, 1e308, -0.0, 0.5, "", " ", "\x00", "a" * 70000, "..", "/",
           "../../etc/passwd", "/proc/self/mem", "\ud800", "\u202e", "é" * 300, "%s%n", "*", "[", "**/**/**", "true", "raw", "base64",
           [], {}, [[]], [None], {"": None}, {"a": {"b": [1, "x", None]}}, [0] * 2000, {str(n): n for n in range(500)}]
# As text, for what no encoder writes.
TEXTS = [b"", b"{", b"null", b"[]", b"\"x\"", b"1", b"{}{}", b"\xff\xfe", b"\xef\xbb\xbf{}", b"{\"a\":\xc3}", b"[" * 20000, b"{\"a\":" * 5000,
         b"1" * 50000, b"{\"command\":\"true\",\"command\":1}", b"{\"path\":1e999}", b"{\"path\":-}", b"\"\\ud800\"", b"{\"x\":\"\\u0000\"}",
         b"nan", b" " * 70000]


def request(random, seeds):
    """A request like one of the seeds, with one to three things wrong with it."""
    case = copy.deepcopy(random.choice(seeds))
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        random.choice(REQUEST_CHANGES)(random, case)
    return case


def conversation(random, seeds):
    """Frames one after the other, most of them wrong."""
    frames = [copy.deepcopy(random.choice(seeds)) for _ in range(random.randint(1, 12))]
    for frame in frames:
        if random.random() < 0.8:
            _change_frame(random, frame)
    return frames


def _method(random, case):
    case.method = random.choice(METHODS)


def _segment(random, case):
    path, mark, query = case.target.partition(b"?")
    parts = path.split(b"/")
    parts[random.randrange(1, len(parts)) if len(parts) > 1 else 0] = random.choice(SEGMENTS)
    case.target = b"/".join(parts) + mark + query


def _longer(random, case):
    case.target = case.target + random.choice((b"/", b"//", b"?", b"&")) + random.choice(SEGMENTS + QUERIES)


def _query(random, case):
    case.target += (b"&" if b"?" in case.target else b"?") + random.choice(QUERIES)


def _target_bytes(random, case):
    case.target = damaged(random, case.target)


def _header(random, case):
    case.headers.append(random.choice(HEADERS))


def _value(random, case):
    """One value anywhere in the JSON becomes another; or a member appears or goes."""
    try:
        root = json.loads(case.body or b"{}")
    except (ValueError, RecursionError):
        return _body_bytes(random, case)
    places = list(_places(root))
    if not places:
        case.body = json.dumps({"path": random.choice(HOSTILE)}).encode()
        return
    container, key = random.choice(places)
    change = random.random()
    if change < 0.75:
        container[key] = random.choice(HOSTILE)
    elif change < 0.85 and isinstance(container, dict):
        container[random.choice(["path", "cwd", "env", "timeout_ms", "pty", "encoding", "x" * 1000])] = random.choice(HOSTILE)
    else:
        del container[key]
    case.body = json.dumps(root).encode("utf-8", "surrogatepass")


def _body_bytes(random, case):
    case.body = damaged(random, case.body)


def _body_text(random, case):
    case.body = random.choice(TEXTS)


def _length(random, case):
    case.declared = random.choice((b"0", b"1", b"-1", b"99", b"+5", b"0x5", b"5, 5", b"9" * 25, b"", b"1e2"))


def _tear(random, case):
    case.cut = random.randrange(0, 60 + len(case.body))


def _stranger(random, case):
    case.is_authorized = False


REQUEST_CHANGES = [_method, _segment, _segment, _longer, _query, _query, _target_bytes, _header, _header, _value, _value, _value,
                   _value, _value, _body_bytes, _body_bytes, _body_text, _length, _tear, _stranger]


def _change_frame(random, frame):
    if frame.is_text and random.random() < 0.6:
        case = Request(b"", b"", [], frame.payload)
        (_body_text if random.random() < 0.2 else _value)(random, case)
        frame.payload = case.body
    else:
        frame.payload = damaged(random, frame.payload)
    if random.random() < 0.1:
        frame.is_text = not frame.is_text


def damaged(random, data):
    """The same bytes with some of them changed, missing, doubled or new."""
    data = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(data) + 1)
        change = random.randrange(6)
        if change == 0 and at < len(data):
            data[at] ^= 1 << random.randrange(8)
        elif change == 1 and at < len(data):
            data[at] = random.choice((0, 1, 2, 0x7F, 0x80, 0xFF, 0x0A, 0x22, 0x25, 0x2F, 0x7B))
        elif change == 2:
            del data[at:at + random.randint(1, 8)]
        elif change == 3:
            data[at:at] = data[at:at + random.randint(1, 64)]
        elif change == 4:
            data[at:at] = random.randbytes(random.randint(1, 8))
        else:
            # Lengths that lie: the largest that fit.
            data[at:at + 4] = random.choice((b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x7f\xff\xff\xff", b"\x00\x01"))
    return bytes(data)


def _places(value):
    """Each place of a JSON value that can be replaced, as its container and key."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])
