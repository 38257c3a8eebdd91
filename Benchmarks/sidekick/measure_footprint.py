"""How large it is, how fast it listens, what it takes while it does nothing and while it is in use.

`private` is what nobody else could share: memory that it has written, or made. The text of the executable is not: it is the
same in all computes of a machine.
"""
import contextlib
import os
import time

import memory
from series import Series, Target
from sidekick import NotReady, Sidekick
from stage import NotServed

STARTS, MEMORY = "start to listening", "memory"
TERMINALS, WATCHERS = 50, 20
# What is given back after the start is given back by then.
SETTLE_SECONDS = 3


def measure(stage):
    size = os.path.getsize(stage.executable) / 1e6
    series = [Series("stripped executable", "sidekick", "MB", [size])]
    targets = [Target("stripped executable", size, 22, "MB")]
    with contextlib.ExitStack() as stack:
        try:
            series.append(starts(stage))
        except NotReady as problem:
            # Builds of gVisor without subreapers can have it as their first process alone, and that is there already.
            stage.absences.append(f"{STARTS}: {str(problem).strip()}")
        sidekick = stage.sidekick if stage.is_given else stack.enter_context(
            Sidekick(stage.executable, stage.folder("footprint"), stage.options))
        time.sleep(SETTLE_SECONDS)
        resident, private, idle = look(sidekick, "idle")
        targets += [Target("RSS idle", resident, 10, "MB"), Target("private memory idle", private, 2, "MB")]
        note = use(sidekick, stack)
        time.sleep(SETTLE_SECONDS)
        resident, _, in_use = look(sidekick, f"{TERMINALS} terminals, {WATCHERS} watchers")
        in_use[0].note = note
        targets.append(Target(f"RSS with {TERMINALS} terminals and {WATCHERS} watchers", resident, 25, "MB"))
    return series + idle + in_use, targets


def starts(stage):
    series = Series(STARTS, "sidekick", "ms")
    for _ in range(stage.effort.starts):
        one = Sidekick(stage.executable, stage.folder("start"), stage.options)
        series.values.append(one.start() * 1000)
        one.stop()
    return series


def look(sidekick, state):
    resident = memory.resident_megabytes(sidekick.pid)
    parts = memory.rollup(sidekick.pid)
    # gVisor does not tell whose a page is.
    private = parts.get("Private_Dirty", float("nan"))
    figures = {"RSS": resident, "PSS": parts.get("Pss"), "private": parts.get("Private_Dirty")}
    series = [Series(f"{MEMORY} {state}", name, "MB", [value]) for name, value in figures.items() if value]
    return resident, private, series


def use(sidekick, stack):
    """Opens terminals and watchers until the stack ends; what cannot be had is named."""
    connection = stack.enter_context(sidekick.connection())

    def open(route, body):
        answer = connection.request("POST", route, body)
        if answer.status != 201:
            return answer.status
        stack.callback(connection.request, "DELETE", f"{route}/{answer.data['id']}")

    for _ in range(TERMINALS):
        if status := open("/terminals", {"pty": True, "shell": "/bin/sh"}):
            raise NotServed(f"POST /terminals: {status}")
    for number in range(WATCHERS):
        path = f"watched-{number}"
        made = connection.request("POST", "/run/command", {"command": f"mkdir {path}", "shell": "/bin/sh"})
        assert made.data["exit_code"] == 0, made
        if status := open("/watchers", {"path": path}):
            return f"WITHOUT watchers: POST /watchers is {status}"
    return ""
