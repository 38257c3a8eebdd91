"""Asks a Sidekick one strange thing after the other, and says what must not be: a death, a silence, a fault of its own."""
import json
import random
import re
import socket
import time

import cases
import mutations
from http_connection import ConnectionBroken, HTTPConnection, connect
from web_socket import BINARY, TEXT, WebSocket

# 503 and 507 are answers when they say what there is too much of; every other 5xx is a fault.
BOUNDS = {503: b'"unavailable"', 507: b'"disk_full"'}
# How often the Sidekick is asked whether it is well, and what has gathered is removed.
CHECK_EVERY, CLEAR_EVERY = 25, 200
# An answer whose head has come may go on for as long as a command does; it is left after this.
REST_SECONDS = 1.5
CONVERSATION_SHARE = 0.2
# Where answers name what later cases may speak of.
LEARNED = (
    ("holder", b"", re.compile(rb'"terminal_id":"([\w-]+)"')), ("command", b"", re.compile(rb'"cmd_id":"([\w-]+)"')),
    ("watcher", b"/watchers", re.compile(rb'"id":"([\w-]+)"')), ("upload", b"/files/uploads", re.compile(rb'"id":"([\w-]+)"')),
    ("overlay", b"/filesystem/overlays", re.compile(rb'"id":"([\w-]+)"')),
)


class Broken(Exception):
    """What a Sidekick must never do."""


class Fuzzer:
    def __init__(self, sidekick, seed, patience):
        self.sidekick, self.seed, self.patience = sidekick, seed, patience
        self.names = dict.fromkeys(cases.NAMES, b"none") | {"secret": sidekick.claim.secret.encode()}
        self.request_seeds, self.frame_seeds = cases.requests(), cases.frames()
        self.statuses = {}

    def run(self, seconds, only=None):
        """Sends the corpus as it is, then changes of it until the time is over; returns how many cases there were."""
        self.clear()
        if only is not None:
            self.case(only)
            return 1
        for request in self.request_seeds + cases.found_requests():
            self.watched(lambda: self.send(request), request)
        for conversation in [[frame] for frame in self.frame_seeds] + cases.conversations():
            self.watched(lambda: self.converse(conversation), conversation)
        deadline, number = time.monotonic() + seconds, 0
        while time.monotonic() < deadline:
            self.case(number)
            number += 1
            if number % CLEAR_EVERY == 0:
                self.clear()
        return number

    def case(self, number):
        numbers = random.Random(f"{self.seed}-{number}")
        if numbers.random() < CONVERSATION_SHARE:
            conversation = mutations.conversation(numbers, self.frame_seeds)
            self.watched(lambda: self.converse(conversation), conversation, number)
        else:
            request = mutations.request(numbers, self.request_seeds)
            self.watched(lambda: self.send(request), request, number)

    def watched(self, act, case, number=0):
        try:
            act()
            if number % CHECK_EVERY == 0:
                self.check()
        except (Broken, OSError, ConnectionBroken) as problem:
            if not self.sidekick.is_alive:
                problem = f"the Sidekick died ({self.sidekick.process.poll()})"
            elif not isinstance(problem, Broken):
                problem = f"{type(problem).__name__}: {problem}"
            document = {"frames": [frame.document for frame in case]} if isinstance(case, list) else case.document
            shown = str(case)
            raise Broken(
                f"{problem}\nseed {self.seed}, case {number}: repeat with --seed {self.seed} --only {number}, or without --only "
                f"when it takes what came before; names were {self.names}\n"
                f"{shown[:3000]}\nfor corpus/found-{'frames' if isinstance(case, list) else 'requests'}.jsonl, "
                f"when it is mended:\n{json.dumps(document)[:20000]}") from None

    # One case.

    def send(self, request):
        wire = request.wire(self.names)
        with connect(self.sidekick.address, self.patience) as connection:
            try:
                connection.sendall(wire)
                # What is incomplete ends here, so that nobody has to wait for the rest.
                if request.is_torn:
                    connection.shutdown(socket.SHUT_WR)
            except (BrokenPipeError, ConnectionResetError):
                pass
            answer = self.read(connection)
        self.judge(answer)
        self.learn(request, answer)

    def learn(self, request, answer):
        if answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201")):
            for name, route, pattern in LEARNED:
                if request.target.startswith(route) and (found := pattern.search(answer)):
                    self.names[name] = found[1]

    def read(self, connection):
        """All that comes, or as much as comes in time. What is refused unread may be cut off: that is an end as well."""
        answer, deadline = b"", None
        while True:
            try:
                piece = connection.recv(1 << 16)
            except ConnectionResetError:
                return answer
            except TimeoutError:
                if answer:
                    return answer
                raise Broken(f"no answer within {self.patience:g} s") from None
            if not piece:
                return answer
            answer = (answer + piece)[:1 << 20]
            deadline = deadline or time.monotonic() + REST_SECONDS
            if time.monotonic() > deadline:
                return answer
            connection.settimeout(REST_SECONDS)

    def judge(self, answer):
        status = int(answer[9:12]) if answer[9:12].isdigit() else 0
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status >= 500 and BOUNDS.get(status, b"\x00") not in answer:
            raise Broken(f"{status}: {answer[:1000]!r}")
        head, _, body = answer.partition(b"\r\n\r\n")
        if status >= 400 and body and b"application/json" in head.lower() and b"chunked" not in head.lower():
            if not json.loads(body).get("error"):
                raise Broken(f"{status} without a reason: {answer[:1000]!r}")

    def converse(self, conversation):
        try:
            with WebSocket(self.sidekick.address, "/ws", self.sidekick.claim.secret, self.patience) as web_socket:
                for frame in conversation:
                    payload = cases.filled(frame.payload, self.names)
                    web_socket.send_frame(TEXT if frame.is_text else BINARY, payload)
                # It answers this, or has closed: anything but silence.
                web_socket.send({"type": "are you there"})
                web_socket.event("error", lambda event: "are you there" in event["data"].get("error", ""))
        except (ConnectionBroken, BrokenPipeError, ConnectionResetError):
            # A close is an answer too; whether it is still well, the next check tells.
            pass
        except TimeoutError:
            raise Broken(f"silence on the socket for {self.patience:g} s") from None

    # Between cases.

    def check(self):
        with HTTPConnection(self.sidekick.address, timeout=self.patience) as connection:
            if connection.request("GET", "/health").status != 200:
                raise Broken("it is not healthy")
        if errors := self.sidekick.errors:
            raise Broken(f"it logged a fault of its own: {errors[0][:1000]}")

    def clear(self):
        """Removes what was made, and makes the one terminal that cases speak of."""
        with self.sidekick.connection(timeout=self.patience) as connection:
            for route, name, key in (("/terminals", "terminals", "id"), ("/watchers", "watchers", "id"),
                                     ("/servers", "servers", "slug"), ("/filesystem/overlays", "overlays", "id")):
                answer = connection.request("GET", route)
                if answer.status == 200:
                    for one in answer.json.get(name) or answer.data.get(name) or []:
                        connection.request("DELETE", f"{route}/{one[key]}")
            answer = connection.request("POST", "/terminals", {"pty": True, "shell": "/bin/sh"})
            if answer.status == 201:
                self.names["terminal"] = answer.data["id"].encode()
            elif answer.status != 503:
                raise Broken(f"no terminal any more: {answer.status} {answer.body[:300]!r}")
