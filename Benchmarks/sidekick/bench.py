#!/usr/bin/env python3
"""The Sidekick beside tools that do one of its jobs each, in the same place and in one run.

  bench.py --sidekick FILE [--place plain|gvisor|all] [--runsc FILE]... [--only WORD]... [--quick] [--json FILE]

Prints a table for each place. `docs/benchmarks.md` says what is measured and how to read it.
"""
import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import gvisor
import series
from performance import MEASUREMENTS, broken, perform
from sidekick import NotReady, Sidekick
from stage import FULL, OPTIONS, QUICK, Stage


def main():
    options = read_options()
    series.self_test()
    # On a disk, as a compute's files are; and where another account can get through to.
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="sk-bench-") as folder:
        scratch = pathlib.Path(folder)
        scratch.chmod(0o755)
        executable = scratch / "sidekick"
        subprocess.run(["strip", "-o", executable, options.sidekick], check=True)
        executable.chmod(0o755)
        # What it gives to shells and terminals lies beside it, as in a compute.
        for name in ("libwaitingshell.so", "terminal-signals"):
            shutil.copy(options.sidekick.with_name(name), scratch)
        results = []
        if options.place in ("plain", "all"):
            here = scratch / "plain"
            here.mkdir()
            stage = Stage(executable, here, effort(options))
            with stage.sidekick:
                results.append(perform(stage, "this kernel", options.only))
        if options.place in ("gvisor", "all"):
            for runsc in options.runsc or ["runsc"]:
                results += in_gvisor(options, runsc, executable, scratch)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(results, indent=1))
    # A missed target is a figure; only what broke is a failure.
    sys.exit(1 if not results or any(result["broken"] for result in results) else 0)


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sidekick", type=pathlib.Path, required=True)
    parser.add_argument("--place", choices=("plain", "gvisor", "all"), default="all")
    parser.add_argument("--runsc", action="append", help="a runsc to be in; the one in PATH when none is named")
    parser.add_argument("--platform", help="systrap or ptrace; the first that boots when absent")
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, help="leave the others out")
    parser.add_argument("--quick", action="store_true", help="see that it runs; the figures say nothing")
    parser.add_argument("--json", type=pathlib.Path)
    return parser.parse_args()


def in_gvisor(options, name, executable, scratch):
    try:
        runsc = gvisor.Runsc(shutil.which(name) or name, scratch, options.platform)
    except (gvisor.CannotRun, OSError) as problem:
        result = broken("gVisor", str(problem))
        # Asked for by name it has to be; else the other place is what there is.
        return [] if options.place == "all" and not options.runsc else [result]
    here = pathlib.Path(tempfile.mkdtemp(dir=scratch))
    here.chmod(0o755)
    sidekick = Sidekick(executable, here / "sidekick", OPTIONS, listen="127.0.0.1:18080", internal="127.0.0.1:18081")
    container = runsc.container(sidekick.command)
    sidekick.command, sidekick.terminate = container.run, lambda: container.kill("TERM")
    arguments = [sys.executable, pathlib.Path(__file__).with_name("inside.py").resolve(), "--sidekick", executable,
                 "--place", runsc.name, "--scratch", here, "--json", here / "result.json"]
    arguments += ["--quick"] if options.quick else []
    for name in options.only or ():
        arguments += ["--only", name]
    try:
        start = sidekick.start()
        print(f"… {runsc.name}: {start * 1000:.0f} ms from the start of runsc to listening", file=sys.stderr)
        sidekick.hand_over()
        container.execute(arguments, lambda line: print(line, end="", flush=True))
        return [json.loads((here / "result.json").read_text())]
    except (NotReady, OSError) as problem:
        return [broken(runsc.name, f"{problem}")]
    finally:
        sidekick.stop()
        container.remove()


def effort(options):
    return QUICK if options.quick else FULL


if __name__ == "__main__":
    main()
