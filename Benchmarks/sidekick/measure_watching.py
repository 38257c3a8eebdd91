"""From before a file is written to the event about it."""
import contextlib
import itertools
import time

from peers.inotifywait import Inotifywait
from series import Series, Target, alternate
from stage import NotServed

DISCIPLINE = "change to event"
# Far more than any event takes: one that never comes ends the run with a word.
PATIENCE = 20
# Changes by hand or by a compiler are not a stream: whoever watches is asleep when one comes.
PAUSE = 0.005


def measure(stage):
    series = {name: Series(DISCIPLINE, name, "ms") for name in ("sidekick", "inotifywait")}
    with contextlib.ExitStack() as stack:
        ours = Folder(stage.sidekick.home / "watched")
        theirs = Folder(stage.folder("watched"))
        watchers = {"sidekick": (ours, stack.enter_context(SidekickWatcher(stage.sidekick, ours.path)))}
        if peer := stage.peer(stack, "inotifywait", Inotifywait, theirs.path):
            watchers["inotifywait"] = (theirs, peer)

        def several(name):
            folder, watcher = watchers[name]
            for _ in range(stage.effort.changes):
                series[name].values.append(folder.change(watcher))

        for folder, watcher in watchers.values():
            folder.change(watcher)
        alternate(watchers, stage.effort.rounds, several)
    behind = series["sidekick"].rank(0.5) - series["inotifywait"].rank(0.5)
    return list(series.values()), [Target("event p50 behind inotifywait's", behind, 2, "ms")]


class Folder:
    """Files that are written in turn, so that a late second event of one is never taken for the event of another."""

    def __init__(self, path):
        self.path = path
        path.mkdir(exist_ok=True)
        files = [path / f"file-{number}" for number in range(50)]
        for file in files:
            file.write_text("new")
        self._next = itertools.cycle(files)

    def change(self, watcher):
        """Writes a file, and waits for word of it: milliseconds."""
        file = next(self._next)
        start = time.perf_counter()
        file.write_text("changed")
        watcher.wait(file)
        elapsed = (time.perf_counter() - start) * 1000
        time.sleep(PAUSE)
        return elapsed


class SidekickWatcher:
    def __init__(self, sidekick, folder):
        self.sidekick, self.folder = sidekick, folder

    def __enter__(self):
        self.connection = self.sidekick.connection()
        answer = self.connection.request("POST", "/watchers", {"path": str(self.folder)})
        if answer.status != 201:
            raise NotServed(f"POST /watchers: {answer.status} {answer.body[:200]!r}")
        self.id = answer.data["id"]
        self.socket = self.sidekick.socket(timeout=PATIENCE)
        self.socket.send({"type": "subscribe", "channel": f"watcher:{self.id}"})
        # What is answered behind it tells that the subscription is there.
        self.socket.send({"type": "marker"})
        self.socket.event("error")
        return self

    def wait(self, path):
        self.socket.event("file:changed", lambda event: event["data"]["path"].endswith(f"/{path.name}")
                          or event["data"]["path"] == path.name)

    def __exit__(self, *_):
        self.socket.close()
        self.connection.request("DELETE", f"/watchers/{self.id}")
        self.connection.close()
