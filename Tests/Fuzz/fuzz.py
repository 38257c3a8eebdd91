#!/usr/bin/env python3
"""Asks a running Sidekick strange things for a while. Needs root: it is kept away from this machine's files.

  fuzz.py --sidekick FILE [--seconds N] [--seed N] [--only CASE] [--patience SECONDS]

Fails, and says how to repeat it, on a 5xx that is not a bound, a silence, a death, a logged fault, or a zombie.
"""
import argparse
import secrets
import sys

from caged_sidekick import CagedSidekick, can_be_caged
from fuzzer import Broken, Fuzzer


def fuzz(executable, seconds, seed, patience, only=None):
    """Raises `Broken`; returns the number of cases, and how often each status was the answer."""
    with CagedSidekick(executable) as sidekick:
        fuzzer = Fuzzer(sidekick, seed, patience)
        count = fuzzer.run(seconds, only)
        fuzzer.check()
        if zombies := sidekick.zombies():
            raise Broken(f"seed {seed}: {len(zombies)} zombies")
        code = sidekick.stop()
    if code != 0:
        raise Broken(f"seed {seed}: it ended with {code} when asked to")
    return count, dict(sorted(fuzzer.statuses.items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sidekick", required=True)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    parser.add_argument("--only", type=int, help="one case of that seed")
    # Nothing that is asked takes longer than a moment, or its answer begins before it ends.
    parser.add_argument("--patience", type=float, default=5)
    options = parser.parse_args()
    if absence := can_be_caged():
        sys.exit(f"fuzz: {absence}")
    print(f"fuzz: seed {options.seed}", flush=True)
    try:
        count, statuses = fuzz(options.sidekick, options.seconds, options.seed, options.patience, options.only)
    except Broken as broken:
        sys.exit(f"fuzz: {broken}")
    print(f"fuzz: {count} cases, answers by status: {statuses}")


if __name__ == "__main__":
    main()
