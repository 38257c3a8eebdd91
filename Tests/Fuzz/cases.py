"""Requests as values: read from the corpus, changed, written as bytes, and kept when they break something."""
import base64
import dataclasses
import json
import pathlib

CORPUS = pathlib.Path(__file__).with_name("corpus")
# What a case may name without knowing it: `{terminal}` and the like are filled in from what the Sidekick said of late.
NAMES = ("secret", "terminal", "holder", "command", "watcher", "upload", "overlay")

FRAMING = {b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"connection"}


@dataclasses.dataclass
class Request:
    method: bytes
    target: bytes
    headers: list
    body: bytes
    # What is said of the body's length in place of the truth.
    declared: bytes | None = None
    # How many of the bytes are sent; all when None.
    cut: int | None = None
    is_authorized: bool = True

    def wire(self, names):
        target, body = filled(self.target, names), filled(self.body, names)
        lines = [self.method + b" " + target + b" HTTP/1.1", b"Host: sidekick", b"Connection: close"]
        if self.is_authorized:
            lines.append(b"Authorization: Bearer " + names["secret"])
        lines += [name + b": " + value for name, value in self.headers]
        lines.append(b"Content-Length: " + (str(len(body)).encode() if self.declared is None else self.declared))
        return (b"\r\n".join(lines) + b"\r\n\r\n" + body)[:self.cut]

    @property
    def is_torn(self):
        """Whether more may be announced than is sent."""
        names = {name.lower() for name, _ in self.headers}
        return self.cut is not None or self.declared is not None or bool(names & FRAMING)

    @property
    def document(self):
        plain = dataclasses.asdict(self)
        plain["headers"] = [[text(name), text(value)] for name, value in self.headers]
        plain |= {"method": text(self.method), "target": text(self.target), "body": None,
                  "declared": self.declared and text(self.declared), "body64": base64.b64encode(self.body).decode()}
        return plain

    @classmethod
    def read(cls, document):
        """From a line of the corpus: `body` is JSON, `body64` is anything."""
        body = document.get("body")
        return cls(
            raw(document["method"]), raw(document["target"]),
            [(raw(name), raw(value)) for name, value in document.get("headers", [])],
            base64.b64decode(document["body64"]) if "body64" in document
            else b"" if body is None else json.dumps(body).encode(),
            document.get("declared") and raw(document["declared"]), document.get("cut"),
            document.get("is_authorized", True))


@dataclasses.dataclass
class Frame:
    is_text: bool
    payload: bytes

    @property
    def document(self):
        return {"is_text": self.is_text, "payload64": base64.b64encode(self.payload).decode()}

    @classmethod
    def read(cls, document):
        """`text` is a JSON message, `hex` a binary one, `payload64` anything."""
        if "text" in document:
            return cls(True, json.dumps(document["text"]).encode())
        if "hex" in document:
            return cls(False, bytes.fromhex(document["hex"].replace(" ", "")))
        return cls(document["is_text"], base64.b64decode(document["payload64"]))


def requests():
    return [Request.read(line) for line in _lines("requests.jsonl")]


def frames():
    return [Frame.read(line) for line in _lines("frames.jsonl")]


def conversations():
    """Frames that once broke something, in their order."""
    return [[Frame.read(frame) for frame in line["frames"]] for line in _lines("found-frames.jsonl")]


def found_requests():
    """Requests that once broke something."""
    return [Request.read(line) for line in _lines("found-requests.jsonl")]


def filled(template, names):
    for name in NAMES:
        template = template.replace(b"{%s}" % name.encode(), names[name])
    return template


def _lines(name):
    path = CORPUS / name
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line and not line.startswith("//")]


# Every byte is a character of Latin-1, so nothing is lost between bytes and JSON.
def text(data):
    return data.decode("latin-1")


def raw(data):
    return data.encode("latin-1")
