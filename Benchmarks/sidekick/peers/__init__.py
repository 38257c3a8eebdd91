"""What the Sidekick is measured beside: the tools that do one of its jobs each, started for us alone on loopback.

Each is a context manager. `Absent` says why a peer cannot take part; the others go on.
"""
import shutil
import socket
import time


class Absent(Exception):
    pass


def tool(name):
    """Where an executable is, also where services are kept, which is not in everybody's PATH."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if not found:
        raise Absent(f"there is no {name}: scripts/install-packages bench")
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, process, seconds=30):
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process.poll() is not None:
                raise Absent(f"{process.args[0]} ended with {process.returncode}") from None
            if time.monotonic() > deadline:
                raise Absent(f"{process.args[0]} does not listen") from None
            time.sleep(0.02)


def end(process, seconds=10):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except Exception:
            process.kill()
    process.wait()
