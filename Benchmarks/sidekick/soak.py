#!/usr/bin/env python3
"""Gigabytes through one Sidekick, then everything at once for minutes: it stays small, and nothing is left behind.

  soak.py --sidekick FILE [--seconds N] [--gigabytes N]

Fails when a promise is broken. Wants a release build: the figures are its.
"""
import argparse
import pathlib
import statistics
import sys
import tempfile
import time

import memory
import transfers
from load import Load
from promises import Promise
from sidekick import Sidekick
from stage import OPTIONS, NotServed

# What an allocator keeps or gives back as it likes; a leak grows past it within minutes. What is made on first use, for each
# thread and size, is still being made in a short run, which cannot tell the two apart.
GROWTH_MEGABYTES, SHORT_SECONDS, SHORT_GROWTH_MEGABYTES = 3, 120, 10
# The output of a terminal that has ended is kept for half a minute.
SETTLE_SECONDS = 45


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sidekick", type=pathlib.Path, required=True)
    parser.add_argument("--seconds", type=float, default=600, help="of mixed load")
    parser.add_argument("--gigabytes", type=float, default=4, help="of the large file")
    options = parser.parse_args()
    promises = []
    # On a disk: in memory, four gigabytes would be what is measured.
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="sk-soak-") as folder:
        pathlib.Path(folder).chmod(0o755)
        with Sidekick(options.sidekick.resolve(), pathlib.Path(folder) / "sidekick", OPTIONS) as sidekick:
            for part, amount in ((transfers.run, options.gigabytes), (mixed_load, options.seconds)):
                try:
                    for promise in part(sidekick, amount):
                        print(promise.line, flush=True)
                        promises.append(promise)
                except NotServed as problem:
                    promises.append(Promise("all of it is served", False, str(problem)))
                    print(promises[-1].line, flush=True)
            logged = [line for line in sidekick.log.splitlines() if '"level":"error"' in line]
            promises.append(Promise("it logs no fault of its own", not logged, "; ".join(logged[:3])))
            promises.append(Promise("it ends as it is asked to", sidekick.stop() == 0))
            print(promises[-2].line, promises[-1].line, sep="\n")
    sys.exit(0 if all(promise.is_kept for promise in promises) else 1)


def mixed_load(sidekick, seconds):
    load = Load(sidekick)
    absent = load.once()
    # Connections of ours that have just been closed are not what it has.
    time.sleep(2)
    _, before = settled(sidekick, None)
    resident = []
    load.start(absent)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and sidekick.process.poll() is None:
        time.sleep(min(1, max(0.1, seconds / 60)))
        resident.append(memory.resident_megabytes(sidekick.pid))
    load.stop()
    yield Promise("it lives", sidekick.process.poll() is None)
    yield Promise("all of it is served", not absent, "; ".join(absent.values()))
    done = ", ".join(f"{count} {name}" for name, count in load.done.items())
    yield Promise("every answer is right", not load.failures, "; ".join(load.failures[:3]) or done)
    yield flat(resident, GROWTH_MEGABYTES if seconds >= SHORT_SECONDS else SHORT_GROWTH_MEGABYTES)
    children, descriptors = settled(sidekick, before)
    yield Promise("no zombies and no processes are left", not children, ", ".join(map(str, children[:10])))
    yield Promise(
        "descriptors are back where they were", descriptors <= before, f"{before} before, {descriptors} after")
    with sidekick.connection() as connection:
        for route, name in (("/terminals", "terminals"), ("/watchers", "watchers")):
            answer = connection.request("GET", route)
            left = answer.data.get(name, []) if answer.status == 200 else []
            yield Promise(f"no {name} are left", not left, f"{len(left)} left" if left else "")


def flat(resident, limit):
    """The last fifth beside the second: by then all that is made once was made."""
    fifth = max(1, len(resident) // 5)
    early, late = statistics.median(resident[fifth:2 * fifth] or resident), statistics.median(resident[-fifth:])
    promise = Promise.at_most("memory is flat: growth from the second fifth to the last", late - early, limit, "MB")
    promise.found += f"; {early:.1f} → {late:.1f} MB, most {max(resident):.1f}"
    return promise


def settled(sidekick, descriptors):
    """What is left once it has had time to clean up: children, and how many descriptors."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        found = memory.children(sidekick.pid), memory.descriptors(sidekick.pid)
        if not found[0] and (descriptors is None or found[1] <= descriptors) or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


if __name__ == "__main__":
    main()
