"""A shell in a terminal, reached in three ways: over the Sidekick's WebSocket, over terminado's, over ssh.

Each has `write(text)`, `read()` (the next bytes, whenever there are some), `close()`, and `dropped`: bytes that it was told
are lost. The shell is `/bin/sh` in all of them.
"""
import json
import os
import subprocess

from http_connection import ConnectionBroken
from web_socket import CLOSE, WebSocket

READ_BYTES = 1 << 18


class SidekickTerminal:
    name = "sidekick"

    def __init__(self, sidekick):
        self.dropped = 0
        self._connection = sidekick.connection()
        answer = self._connection.request("POST", "/terminals", {"pty": True, "shell": "/bin/sh"})
        if answer.status != 201:
            raise ConnectionBroken(f"POST /terminals: {answer.status} {answer.body!r}")
        self.id = answer.data["id"]
        self.socket = sidekick.socket()
        self.socket.send({"type": "subscribe", "channel": f"terminal:{self.id}"})

    def write(self, text):
        self.socket.send({"type": "terminal:input", "channel": "", "data": {"terminal_id": self.id, "input": text}})

    def read(self):
        data = self.socket.event("terminal:output")["data"]
        self.dropped += data.get("dropped_bytes", 0)
        return data["output"].encode()

    def close(self):
        self.socket.close()
        self._connection.request("DELETE", f"/terminals/{self.id}")
        self._connection.close()


class TerminadoTerminal:
    name = "terminado"
    dropped = 0

    def __init__(self, terminado):
        self.socket = WebSocket(terminado.address, "/terminal")

    def write(self, text):
        self.socket.send(["stdin", text])

    def read(self):
        while True:
            opcode, payload = self.socket.receive_frame()
            if opcode == CLOSE:
                raise ConnectionBroken("terminado closed")
            kind, *rest = json.loads(payload)
            if kind == "stdout":
                return rest[0].encode()

    def close(self):
        self.socket.close()


class SSHTerminal:
    name = "ssh"
    dropped = 0

    def __init__(self, ssh):
        self.process = subprocess.Popen(
            ssh.command("-tt", run=["exec /bin/sh"]), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, bufsize=0)

    def write(self, text):
        self.process.stdin.write(text.encode())

    def read(self):
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
