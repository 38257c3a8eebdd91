"""What every measurement gets: a claimed Sidekick, room for files, and how much of everything is wanted."""
import dataclasses
import itertools
import os
import pathlib

from http_connection import HTTPConnection
from peers import Absent
from sidekick import Sidekick


@dataclasses.dataclass(frozen=True)
class Effort:
    """Counts are for each contestant; those of one round unless said otherwise."""
    rounds: int
    commands: int
    keys: int
    changes: int
    # In all.
    starts: int
    transfers: int
    terminal_megabytes: int
    # (megabytes, how many in all)
    files: tuple


FULL = Effort(
    rounds=10, commands=100, keys=200, changes=30, starts=20, transfers=3, terminal_megabytes=100,
    files=((1, 50), (64, 7), (512, 3)))
# To see that all of it runs. Its figures say nothing.
QUICK = Effort(
    rounds=2, commands=10, keys=20, changes=5, starts=2, transfers=1, terminal_megabytes=5, files=((1, 3), (16, 1)))


# As in a compute: the Sidekick is root, what it starts is not. Where we are not root, all is one account.
OPTIONS = ("--user", "user") if os.geteuid() == 0 else ()


class NotServed(Exception):
    """This Sidekick does not do what is to be measured."""


def want_streams(connection):
    """Files as raw bytes, which is how all large ones are sent."""
    answer = connection.upload("/files/content/probe", b"probe", 1)
    if answer.status not in (200, 201):
        raise NotServed(f"PUT /files/content: {answer.status} {answer.body[:150]!r}")
    answer = connection.request("DELETE", "/files/probe")
    assert answer.status == 204, answer


class Stage:
    def __init__(self, executable, scratch, effort, sidekick=None):
        self.executable = pathlib.Path(executable)
        self.scratch = pathlib.Path(scratch)
        self.effort = effort
        self.options = OPTIONS
        self.absences = []
        self._numbers = itertools.count(1)
        # The one that runs here already, or one of our own.
        self.is_given = sidekick is not None
        self.sidekick = sidekick or Sidekick(self.executable, self.folder("sidekick"), self.options)

    def folder(self, name):
        """A new one, that the user of the Sidekick can get through to."""
        folder = self.scratch / f"{name}-{next(self._numbers)}"
        folder.mkdir(mode=0o755)
        return folder

    def peer(self, stack, name, kind, *arguments):
        """The peer, until the stack ends it; None when it cannot take part, which is noted."""
        try:
            return stack.enter_context(kind(*arguments))
        except Absent as absence:
            self.absences.append(f"{name}: {absence}")
            return None

    def connection(self, stack, address):
        return stack.enter_context(HTTPConnection(address, timeout=300))
