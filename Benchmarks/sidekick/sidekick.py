"""A Sidekick of our own: started, claimed, looked at, ended."""
import json
import os
import pathlib
import signal
import subprocess
import threading
import time

from claims import Claim
from http_connection import HTTPConnection
from web_socket import WebSocket

# A debug build on a loaded machine; a release build is there within milliseconds.
START_SECONDS = 60
STOP_SECONDS = 15


class NotReady(Exception):
    pass


class Sidekick:
    """As a member of a pool is started, with its folder for everything: state, home, log."""

    def __init__(self, executable, folder, options=(), wrapper=(), listen="127.0.0.1:0", internal="127.0.0.1:0"):
        self.folder = pathlib.Path(folder)
        self.home = self.folder / "home"
        self.claim = Claim()
        self.command = [
            *wrapper, str(executable), "--listen", listen, "--internal-listen", internal, "--member",
            self.claim.member, "--claim-key", self.claim.public_key, "--state-dir", str(self.folder / "state"),
            "--home", str(self.home), *options,
        ]
        self.process = None
        # What ends it; in a container a signal has to go in.
        self.terminate = lambda: self.process.send_signal(signal.SIGTERM)

    @classmethod
    def running(cls, executable, folder):
        """One that somebody else has started here with `hand_over`, as the first process."""
        self = cls(executable, folder)
        said = json.loads((self.folder / "handed-over").read_text())
        self.claim = Claim(said["claim"])
        self.address, self.internal_address = _address(said["listen"]), _address(said["internal"])
        self.pid = 1
        return self

    def hand_over(self):
        (self.folder / "handed-over").write_text(json.dumps({"claim": self.claim.document, **self.ready}))

    def start(self):
        """Starts it, and returns the seconds until it said that it listens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # The user gets through to the home, which the Sidekick makes and gives away.
        self.folder.chmod(0o711)
        with open(self.folder / "log", "ab") as log:
            start = time.perf_counter()
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, bufsize=0,
                env={"PATH": os.environ.get("PATH", "/usr/bin:/bin")})
            hanging = threading.Timer(START_SECONDS, self.process.kill)
            hanging.start()
            line = self.process.stdout.readline()
            elapsed = time.perf_counter() - start
            hanging.cancel()
        if not line.endswith(b"\n"):
            raise NotReady(f"{self.process.wait()}: {self.log[-2000:]}")
        self.ready = json.loads(line)
        self.address, self.internal_address = _address(self.ready["listen"]), _address(self.ready["internal"])
        self.pid = self.process.pid
        return elapsed

    def take(self):
        """Claims it: from now on it serves."""
        credential, body = self.claim.order()
        with HTTPConnection(self.internal_address) as connection:
            answer = connection.request("POST", "/internal/claim", body, [("X-ComputeSDK-Claim", credential)])
        if answer.status != 200:
            raise NotReady(f"the claim: {answer.status} {answer.body!r}")

    def __enter__(self):
        self.start()
        try:
            self.take()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Its exit code. One that does not listen to SIGTERM is killed."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.stdout.close()
        return self.process.wait()

    @property
    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def connection(self, timeout=30):
        return HTTPConnection(self.address, self.claim.secret, timeout)

    def socket(self, timeout=30):
        return WebSocket(self.address, "/ws", self.claim.secret, timeout)


def _address(text):
    if text.startswith("unix:"):
        return text[5:]
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
