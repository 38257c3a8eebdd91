"""A shell in a terminal, reached in three ways: over the Sidekick's WebSocket, over terminado's, over ssh.

Each has `write(text)`, `read()` (the next bytes, whenever there are some), `close()`, and `dropped`: bytes that it was told
are lost. Where it is the server that is timed and not this client, `message(text)` is what `send` sends, and `receive()` gives
what `output` makes bytes of. The shell is `/bin/sh` in all of them.
"""
import json
import os
import subprocess

from http_connection import ConnectionBroken
from web_socket import CLOSE, TEXT, WebSocket, frame

READ_BYTES = 1 << 18


class Terminal:
    dropped = 0

    def write(self, text):
        self.send(self.message(text))

    def read(self):
        while True:
            output = self.output(self.receive())
            if output is not None:
                return output


class SocketTerminal(Terminal):
    """Over `self.socket`, a WebSocket that speaks JSON."""

    def message(self, text):
        return frame(TEXT, json.dumps(self.document(text)).encode())

    def send(self, message):
        self.socket.socket.sendall(message)

    def receive(self):
        opcode, payload = self.socket.receive_frame()
        if opcode == CLOSE:
            raise ConnectionBroken(f"closed: {payload!r}")
        return payload


class SidekickTerminal(SocketTerminal):
    name = "sidekick"

    def __init__(self, sidekick):
        self._connection = sidekick.connection()
        answer = self._connection.request("POST", "/terminals", {"pty": True, "shell": "/bin/sh"})
        if answer.status != 201:
            raise ConnectionBroken(f"POST /terminals: {answer.status} {answer.body!r}")
        self.id = answer.data["id"]
        self.socket = sidekick.socket()
        self.socket.send({"type": "subscribe", "channel": f"terminal:{self.id}"})

    def document(self, text):
        return {"type": "terminal:input", "channel": "", "data": {"terminal_id": self.id, "input": text}}

    def output(self, payload):
        event = json.loads(payload)
        if event["type"] == "terminal:output":
            self.dropped += event["data"].get("dropped_bytes", 0)
            return event["data"]["output"].encode()

    def close(self):
        self.socket.close()
        self._connection.request("DELETE", f"/terminals/{self.id}")
        self._connection.close()


class TerminadoTerminal(SocketTerminal):
    name = "terminado"

    def __init__(self, terminado):
        self.socket = WebSocket(terminado.address, "/terminal")

    def document(self, text):
        return ["stdin", text]

    def output(self, payload):
        kind, *rest = json.loads(payload)
        if kind == "stdout":
            return rest[0].encode()

    def close(self):
        self.socket.close()


class SSHTerminal(Terminal):
    name = "ssh"

    def __init__(self, ssh):
        self.process = subprocess.Popen(
            ssh.command("-tt", run=["exec /bin/sh"]), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, bufsize=0)

    def message(self, text):
        return text.encode()

    def send(self, message):
        self.process.stdin.write(message)

    def output(self, data):
        return data

    def receive(self):
        data = os.read(self.process.stdout.fileno(), READ_BYTES)
        if not data:
            raise ConnectionBroken("ssh ended")
        return data

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def read_until(terminal, mark):
    """Reads to the mark; returns how many bytes came, the mark's own among them."""
    count, tail = 0, b""
    while mark not in tail:
        data = terminal.read()
        count += len(data)
        tail = tail[-len(mark):] + data
    return count


def make_raw(terminal):
    """From now on nothing is printed or changed but what programs write: no prompt, no echo, no carriage returns."""
    terminal.write("PS1=; stty raw -echo; printf %s REA''DY\n")
    read_until(terminal, b"READY")
