"""HTTP over one connection that is kept, with as little of our own as can be: what the client costs is timed as well."""
import dataclasses
import itertools
import json
import socket


class ConnectionBroken(Exception):
    """It ended before the answer did, or what came is no HTTP."""


@dataclasses.dataclass
class Answer:
    status: int
    head: bytes
    body: bytes

    @property
    def json(self):
        return json.loads(self.body or b"{}")

    @property
    def data(self):
        return self.json.get("data", {})

    def header(self, name):
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.strip().lower() == name.lower().encode():
                return value.strip().decode("latin-1")
        return None


def connect(address, timeout):
    """`address` is a path, or a pair of host and port."""
    if isinstance(address, str):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        connection.connect(address)
        return connection
    connection = socket.create_connection(address, timeout)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


class HTTPConnection:
    def __init__(self, address, bearer=None, timeout=30):
        self.socket = connect(address, timeout)
        self.bearer = bearer
        self._rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def prepared(self, method, target, body=b"", headers=(), length=None):
        """The bytes of a request; a `dict` becomes JSON. With `length` the body is sent later."""
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        lines = [f"{method} {target} HTTP/1.1", "Host: sidekick"]
        if self.bearer:
            lines.append(f"Authorization: Bearer {self.bearer}")
        lines += [f"{name}: {value}" for name, value in headers]
        lines.append(f"Content-Length: {len(body) if length is None else length}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def request(self, method, target, body=b"", headers=()):
        return self.exchange(self.prepared(method, target, body, headers))

    def exchange(self, request):
        self.socket.sendall(request)
        return self.answer()

    def answer(self, method=None):
        head, status = self._head()
        headers = head.lower()
        if method == "HEAD" or status in (204, 304):
            return Answer(status, head, b"")
        if b"transfer-encoding: chunked" in headers:
            return Answer(status, head, b"".join(self._chunks()))
        return Answer(status, head, self._exactly(_length(headers)))

    def download(self, target, into, digest=None):
        """How many bytes came; they are read into the buffer `into`, each over the one before."""
        self.socket.sendall(self.prepared("GET", target))
        head, status = self._head()
        if status != 200:
            raise ConnectionBroken(f"GET {target}: {status} {self._exactly(min(_length(head.lower()), 500))!r}")
        expected = _length(head.lower())
        count, first, self._rest = len(self._rest), self._rest, b""
        if digest:
            digest.update(first)
        while count < expected:
            received = self.socket.recv_into(into)
            if digest:
                digest.update(memoryview(into)[:received])
            if not received:
                raise ConnectionBroken(f"the download of {target} ended after {count} of {expected} bytes")
            count += received
        return count

    def stream(self, target):
        """The pieces of an answer whose length nobody knows before, as they come."""
        self.socket.sendall(self.prepared("GET", target))
        head, status = self._head()
        if status != 200 or b"transfer-encoding: chunked" not in head.lower():
            raise ConnectionBroken(f"GET {target}: {status} {self._exactly(min(_length(head.lower()), 500))!r}")
        return self._chunks()

    def upload(self, target, piece, count, headers=()):
        """`count` times the same piece as one body."""
        return self.send("PUT", target, itertools.repeat(piece, count), len(piece) * count, headers)

    def send(self, method, target, pieces, length, headers=()):
        self.socket.sendall(self.prepared(method, target, headers=headers, length=length))
        try:
            for piece in pieces:
                self.socket.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            # Refused before its end: the answer says why.
            pass
        return self.answer()

    def _head(self):
        while (end := self._rest.find(b"\r\n\r\n")) < 0:
            self._receive()
        head, self._rest = self._rest[:end], self._rest[end + 4:]
        try:
            status = int(head[9:12])
        except ValueError:
            raise ConnectionBroken(f"not HTTP: {head[:100]!r}") from None
        return (head, status) if status >= 200 or status == 101 else self._head()

    def _exactly(self, count):
        while len(self._rest) < count:
            self._receive()
        body, self._rest = self._rest[:count], self._rest[count:]
        return body

    def _chunks(self):
        while size := int(self._line().split(b";")[0], 16):
            yield self._exactly(size + 2)[:-2]
        # What was not known at the begin; nobody here asks for it.
        while self._line():
            pass

    def _line(self):
        while (end := self._rest.find(b"\r\n")) < 0:
            self._receive()
        line, self._rest = self._rest[:end], self._rest[end + 2:]
        return line

    def _receive(self):
        received = self.socket.recv(1 << 18)
        if not received:
            raise ConnectionBroken(f"the connection ended within an answer; before its end came {self._rest[:200]!r}")
        self._rest += received


def _length(headers):
    _, found, rest = headers.partition(b"content-length:")
    return int(rest.split(b"\r\n", 1)[0]) if found else 0
