"""A WebSocket client that does nothing beside reading and writing frames, so that what is timed is the server."""
import json
import struct

from http_connection import ConnectionBroken, connect

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class WebSocket:
    def __init__(self, address, target, bearer=None, timeout=30):
        self.socket = connect(address, timeout)
        self._file = self.socket.makefile("rb", buffering=1 << 18)
        lines = [
            f"GET {target} HTTP/1.1", "Host: localhost", "Connection: Upgrade", "Upgrade: websocket",
            "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ]
        if bearer:
            lines.append(f"Authorization: Bearer {bearer}")
        self.socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        status = self._file.readline()
        while self._file.readline() not in (b"\r\n", b""):
            pass
        if b" 101 " not in status:
            self.close()
            raise ConnectionBroken(f"no upgrade: {status!r}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._file.close()
        self.socket.close()

    def send(self, document):
        self.send_frame(TEXT, json.dumps(document).encode())

    def send_frame(self, opcode, payload):
        self.socket.sendall(frame(opcode, payload))

    def receive_frame(self):
        """The next message's opcode and payload. Messages in several frames come as one."""
        first, whole = None, b""
        while True:
            head = self._exactly(2)
            length = head[1] & 0x7F
            if length == 126:
                length, = struct.unpack(">H", self._exactly(2))
            elif length == 127:
                length, = struct.unpack(">Q", self._exactly(8))
            payload = self._exactly(length)
            opcode = head[0] & 0x0F
            if opcode == PING:
                self.send_frame(PONG, payload)
            elif opcode >= CLOSE:
                return opcode, payload
            else:
                first = opcode or first
                whole = whole + payload if whole else payload
                if head[0] & 0x80:
                    return first, whole

    def receive(self):
        """The next message, which is JSON."""
        while True:
            opcode, payload = self.receive_frame()
            if opcode in (TEXT, BINARY):
                return json.loads(payload)
            if opcode == CLOSE:
                raise ConnectionBroken(f"closed: {payload!r}")

    def event(self, type, matches=lambda event: True):
        """The next event of this type; others before it are passed over."""
        while True:
            event = self.receive()
            if event.get("type") == type and matches(event):
                return event

    def _exactly(self, count):
        data = self._file.read(count) if count else b""
        if len(data) != count:
            raise ConnectionBroken("the WebSocket ended without a close")
        return data


def frame(opcode, payload):
    """One whole frame of a client. Its mask is zeros, which is a mask, and costs nothing."""
    length = len(payload)
    if length < 126:
        head = struct.pack(">BB", 0x80 | opcode, 0x80 | length)
    elif length < 1 << 16:
        head = struct.pack(">BBH", 0x80 | opcode, 0x80 | 126, length)
    else:
        head = struct.pack(">BBQ", 0x80 | opcode, 0x80 | 127, length)
    return head + bytes(4) + payload
