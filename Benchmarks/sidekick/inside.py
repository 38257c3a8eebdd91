"""`bench.py` inside a container, where the Sidekick runs already: it is the first process."""
import argparse
import json
import pathlib

from performance import perform
from sidekick import Sidekick
from stage import FULL, QUICK, Stage

parser = argparse.ArgumentParser()
parser.add_argument("--sidekick", type=pathlib.Path, required=True)
parser.add_argument("--place", required=True)
parser.add_argument("--scratch", type=pathlib.Path, required=True)
parser.add_argument("--json", type=pathlib.Path, required=True)
parser.add_argument("--only", action="append")
parser.add_argument("--quick", action="store_true")
options = parser.parse_args()

sidekick = Sidekick.running(options.sidekick, options.scratch / "sidekick")
sidekick.take()
stage = Stage(options.sidekick, options.scratch, QUICK if options.quick else FULL, sidekick)
options.json.write_text(json.dumps(perform(stage, options.place, options.only)))
