"""A Sidekick that may be asked anything: what it is asked reaches nothing of this machine.

It is the first process of namespaces of its own, sees this machine's files without the right to change them, has no network
and no place on the disk. What it starts runs as an account that owns nothing.
"""
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Benchmarks/sidekick"))

import memory
from sidekick import Sidekick

# No account of any machine: above those that are given out, below those that mean nobody.
STRANGER = "64999"
HOME_MEGABYTES = 64
OPTIONS = ("--user", STRANGER, "--max-processes", "100", "--memory-limit", str(512 << 20))

CAGE = """
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
mkdir -p "$1/home"
mount -t tmpfs -o size={megabytes}m,mode=755 tmpfs "$1/home"
mount -o remount,bind,ro /
for place in /tmp /var/tmp /run /dev/shm; do
    ! mountpoint -q "$place" || mount -o remount,bind,ro "$place"
done
shift
exec "$@"
""".format(megabytes=HOME_MEGABYTES)

CAGED = ("unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--mount-proc", "--kill-child=KILL",
         "/bin/sh", "-c", CAGE, "cage")


def can_be_caged():
    """Why not; None when it can."""
    if os.geteuid() != 0:
        return "only root can keep a Sidekick away from this machine's files"
    return None if shutil.which("unshare") else "there is no unshare"


class CagedSidekick(Sidekick):
    def __init__(self, executable):
        # Short: a socket's path has room for 107 bytes.
        folder = tempfile.mkdtemp(prefix="sk-fuzz-", dir="/var/tmp")
        super().__init__(
            pathlib.Path(executable).resolve(), folder, OPTIONS, wrapper=(*CAGED, folder),
            listen=f"unix:{folder}/public.sock", internal=f"unix:{folder}/internal.sock")
        self.terminate = self._terminate

    def start(self):
        elapsed = super().start()
        # `unshare` waits for it, and hands no signals on.
        self.pid = memory.children(self.process.pid)[0][0]
        return elapsed

    def _terminate(self):
        try:
            os.kill(self.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass

    def stop(self):
        code = super().stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        return code

    @property
    def is_alive(self):
        return self.process.poll() is None

    @property
    def errors(self):
        """What it logged as its own fault."""
        return [line for line in self.log.splitlines() if '"level":"error"' in line]

    def zombies(self):
        """Processes whose end it never took note of; given a moment, since there is always one that just ended."""
        deadline = time.monotonic() + 5
        while found := [pid for pid, state in memory.children(self.pid) if state == "Z"]:
            if time.monotonic() > deadline:
                return found
            time.sleep(0.05)
        return []
