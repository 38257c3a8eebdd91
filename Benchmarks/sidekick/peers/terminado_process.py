"""The process of `terminado_server`."""
import pathlib
import subprocess
import sys

from peers import Absent, end


class Terminado:
    def __enter__(self):
        self.process = subprocess.Popen(
            [sys.executable, pathlib.Path(__file__).with_name("terminado_server.py")], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        line = self.process.stdout.readline()
        if not line:
            said = self.process.stderr.read().decode(errors="replace")[-300:]
            self.__exit__()
            raise Absent(f"terminado does not start: {said}")
        self.address = ("127.0.0.1", int(line))
        return self

    def __exit__(self, *_):
        end(self.process)
        self.process.stdout.close()
        self.process.stderr.close()
