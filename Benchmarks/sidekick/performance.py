"""All measurements of one place, one after the other."""
import os
import platform
import signal
import sys
import traceback

import measure_commands
import measure_files
import measure_footprint
import measure_terminals
import measure_watching
import report
from stage import QUICK, NotServed

# The footprint first: in a container it is that of the Sidekick which all others use.
MEASUREMENTS = {
    "footprint": measure_footprint, "commands": measure_commands, "terminals": measure_terminals,
    "files": measure_files, "watching": measure_watching,
}

# Several times what the slowest takes on a slow machine: something hangs, and the others shall have their turn.
LIMIT_SECONDS = 1800


def perform(stage, place, only=None):
    facts = {
        "kernel": platform.release(), "machine": platform.machine(), "processors": os.cpu_count(),
        "load_at_start": os.getloadavg()[0] if hasattr(os, "getloadavg") else None, "quick": stage.effort is QUICK,
    }
    all_series, targets, failures = [], [], []
    signal.signal(signal.SIGALRM, _too_long)
    for name in only or MEASUREMENTS:
        print(f"… {place}: {name}", file=sys.stderr, flush=True)
        signal.alarm(LIMIT_SECONDS)
        try:
            some_series, some_targets = MEASUREMENTS[name].measure(stage)
            all_series += some_series
            targets += some_targets
        except Exception as failure:
            # One that fails leaves the others their turn.
            failures.append(f"{name}: {type(failure).__name__}: {str(failure).strip()}")
            if not isinstance(failure, NotServed):
                traceback.print_exc()
    signal.alarm(0)
    absences = list(dict.fromkeys(stage.absences)) + failures
    print(report.table(place, all_series, targets, absences), flush=True)
    return report.document(place, facts, all_series, targets, absences) | {"broken": failures}


def _too_long(*_):
    raise TimeoutError(f"not done within {LIMIT_SECONDS} s")


def broken(place, problem):
    print(f"\n== {place}: {problem}")
    return report.document(place, {}, [], [], [problem]) | {"broken": [problem]}
