"""Everything at once: workers that each do one kind of thing again and again, and check what they get."""
import collections
import itertools
import os
import threading
import time

from stage import NotServed, want_streams

SHELL = "/bin/sh"
MEGABYTE = os.urandom(1_000_000)


class Load:
    """Counts what was done and keeps what went wrong."""

    def __init__(self, sidekick):
        self.sidekick = sidekick
        self.done, self.failures = collections.Counter(), []
        self._is_over = threading.Event()
        self._threads = []

    def once(self):
        """Each kind once, so that what is made on first use is there. Those that are not served are named, to be left out."""
        absent = {}
        for kind in KINDS:
            try:
                kind(self.sidekick, 0)
            except NotServed as problem:
                absent[kind] = str(problem)
        return absent

    def start(self, absent):
        for kind in KINDS:
            if kind not in absent:
                self._threads.append(threading.Thread(target=self._repeat, args=(kind,), daemon=True))
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._is_over.set()
        deadline = time.monotonic() + 60
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))
            if thread.is_alive():
                self.failures.append("a worker hangs")

    def _repeat(self, kind):
        for number in itertools.count(1):
            if self._is_over.is_set():
                return
            try:
                kind(self.sidekick, number)
                self.done[kind.__name__] += 1
            except Exception as failure:
                self.failures.append(f"{kind.__name__} {number}: {type(failure).__name__}: {failure}")
                # Twenty say as much as a million.
                if len(self.failures) > 20:
                    return


def call(connection, method, route, body=b"", wanted=(200, 201, 204)):
    answer = connection.request(method, route, body)
    if answer.status == 404 and "nothing at this path" in answer.json.get("error", ""):
        raise NotServed(f"{method} {route}")
    assert answer.status in wanted, f"{method} {route}: {answer.status} {answer.body[:300]!r}"
    return answer


# The kinds. Each is one round of what a worker does again and again.

def commands(sidekick, number):
    """Exit codes are exact, also while children of theirs outlive them."""
    with sidekick.connection() as connection:
        for code in (0, number % 256):
            text = f"(sleep 0.01 &) >/dev/null 2>&1; echo {number}; exit {code}"
            data = call(connection, "POST", "/run/command", {"command": text, "shell": SHELL}).data
            assert (data["exit_code"], data["stdout"]) == (code, f"{number}\n"), data


def output(sidekick, number):
    """A megabyte of output of a command."""
    with sidekick.connection() as connection:
        body = {"command": "head -c 1000000 /dev/zero | tr '\\0' x", "shell": SHELL}
        data = call(connection, "POST", "/run/command", body).data
        assert data["exit_code"] == 0 and len(data["stdout"]) == 1_000_000, len(data["stdout"])


def terminals(sidekick, number):
    """A shell ends with its own exit code, or is deleted in the middle of much output that nobody reads."""
    with sidekick.connection() as connection, sidekick.socket() as socket:
        made = call(connection, "POST", "/terminals", {"pty": True, "shell": SHELL}).data["id"]
        socket.send({"type": "subscribe", "channel": f"terminal:{made}"})

        def say(text):
            socket.send({"type": "terminal:input", "data": {"terminal_id": made, "input": text}})

        if number % 4 == 3:
            say("while :; do echo much; done\n")
            time.sleep(0.2)
            call(connection, "DELETE", f"/terminals/{made}")
        else:
            say(f"exit {number % 256}\n")
            ended = socket.event("terminal:destroyed", lambda event: event["data"]["id"] == made)
            assert ended["data"]["exit_code"] == number % 256, ended


def files(sidekick, number):
    """What was written is read, as JSON and as a stream, and then gone."""
    with sidekick.connection() as connection:
        want_streams(connection)
        name = f"soak-{number % 7}"
        call(connection, "POST", "/files", {"path": f"{name}/text", "content": f"é{number}"})
        assert call(connection, "GET", f"/files/{name}/text?content=true").data["content"] == f"é{number}"
        answer = connection.upload(f"/files/content/{name}/bytes", MEGABYTE, 3)
        assert answer.status in (200, 201), answer
        assert connection.download(f"/files/content/{name}/bytes", bytearray(1 << 18)) == 3 * len(MEGABYTE)
        call(connection, "DELETE", f"/files/{name}")


def uploads(sidekick, number):
    """In two requests; every third is given up between them."""
    with sidekick.connection() as connection:
        name = f"upload-{number % 7}"
        made = call(connection, "POST", "/files/uploads", {"path": name, "size": 2 * len(MEGABYTE)}).data["id"]
        for offset in (0, len(MEGABYTE)):
            if offset and number % 3 == 0:
                call(connection, "DELETE", f"/files/uploads/{made}")
                break
            answer = connection.send(
                "PATCH", f"/files/uploads/{made}", [MEGABYTE], len(MEGABYTE), [("Upload-Offset", offset)])
            assert answer.status in (200, 201), answer
        else:
            call(connection, "DELETE", f"/files/{name}")


def trees(sidekick, number):
    """Copied, packed, unpacked, searched, and then gone."""
    name, kind = f"tree-{number % 7}", ("tar", "tar.gz", "zip")[number % 3]
    with sidekick.connection() as connection, sidekick.connection() as other:
        writes = [{"path": f"{name}/{part}/{part}", "operation": "write", "content": f"needle {number}\n"} for part in "abc"]
        call(connection, "POST", "/files/batch", {"files": writes})
        call(connection, "POST", "/files/copy", {"from": name, "to": f"{name}/d", "recursive": True})
        archive = f"/files/archive?path={name}&format={kind}"
        length = sum(len(part) for part in connection.stream(archive))
        answer = connection.send("POST", f"/files/archive?path=out-{name}", other.stream(archive), length)
        assert answer.status == 200, answer
        for path in (name, f"out-{name}"):
            found = call(connection, "POST", "/files/search", {"path": path, "pattern": f"needle {number}"}).data
            assert found["count"] == 6, found
            call(connection, "DELETE", f"/files/{path}")


def watchers(sidekick, number):
    """A change is told; a watcher leaves nothing."""
    with sidekick.connection() as connection, sidekick.socket() as socket:
        call(connection, "POST", "/files", {"path": f"seen-{number % 5}/file", "content": "1"})
        made = call(connection, "POST", "/watchers", {"path": f"seen-{number % 5}"}).data["id"]
        socket.send({"type": "subscribe", "channel": f"watcher:{made}"})
        # What is answered behind it tells that the subscription is there.
        socket.send({"type": "marker"})
        socket.event("error")
        call(connection, "POST", "/files", {"path": f"seen-{number % 5}/file-{number}", "content": "2"})
        socket.event("file:changed", lambda event: event["data"]["path"].endswith(f"file-{number}"))
        call(connection, "DELETE", f"/watchers/{made}")
        call(connection, "DELETE", f"/files/seen-{number % 5}")


KINDS = (commands, output, terminals, files, uploads, trees, watchers)
