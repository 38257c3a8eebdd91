"""`inotifywait -m` on one folder."""
import subprocess

from peers import Absent, end, tool


class Inotifywait:
    def __init__(self, folder):
        self.folder = folder

    def __enter__(self):
        self.process = subprocess.Popen(
            [tool("inotifywait"), "-m", "-r", "-e", "close_write", "--format", "%w%f", str(self.folder)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        # It says on its other stream when the watches are there.
        for line in self.process.stderr:
            if b"established" in line:
                return self
        self.process.wait()
        raise Absent("inotifywait set no watch")

    def wait(self, path):
        while line := self.process.stdout.readline():
            if line.rstrip(b"\n").decode() == str(path):
                return
        raise Absent("inotifywait ended")

    def __exit__(self, *_):
        end(self.process)
        self.process.stdout.close()
        self.process.stderr.close()
