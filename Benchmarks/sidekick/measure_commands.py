"""A command's round trip: `true` by a shell, from asking to knowing how it ended."""
import contextlib
import os
import subprocess
import time

from peers.ssh import SSH
from series import Series, Target, alternate

DISCIPLINE = "command round trip"
SHELL = "/bin/sh"


def measure(stage):
    series = {name: Series(DISCIPLINE, name, "ms") for name in ("sidekick", "posix_spawn", "ssh")}
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(stage.sidekick.connection())
        request = connection.prepared("POST", "/run/command", {"command": "true", "shell": SHELL})
        contestants = {"sidekick": lambda: connection.exchange(request), "posix_spawn": by_spawning}
        if ssh := stage.peer(stack, "ssh", SSH, stage.folder("ssh")):
            command = ssh.command(run=["true"])
            contestants["ssh"] = lambda: by_ssh(command)
        for name, call in contestants.items():
            assert succeeded[name](call()), name

        def several(name):
            # One of ssh starts a program of its own: the fewer of it are as good, and do not take the most of the time.
            for _ in range(stage.effort.commands // (5 if name == "ssh" else 1)):
                start = time.perf_counter()
                outcome = contestants[name]()
                series[name].values.append((time.perf_counter() - start) * 1000)
                assert succeeded[name](outcome), outcome

        alternate(contestants, stage.effort.rounds, several)
    ratio = series["sidekick"].rank(0.5) / series["posix_spawn"].rank(0.5)
    return list(series.values()), [Target("command p50 / posix_spawn's", ratio, 1.3, "×")]


# Looked at once the clock has stopped: what is timed is the server and not this client.
succeeded = {
    "sidekick": lambda answer: answer.status == 200 and answer.data["exit_code"] == 0,
    "posix_spawn": lambda status: status == 0,
    "ssh": lambda code: code == 0,
}


def by_spawning():
    pid = os.posix_spawn(SHELL, [SHELL, "-c", "true"], os.environ)
    return os.waitpid(pid, 0)[1]


def by_ssh(command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).returncode
