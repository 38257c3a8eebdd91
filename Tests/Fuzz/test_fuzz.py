"""A moment of what `make fuzz` does for long, and that its own arithmetic is right."""
import os
import pathlib
import random
import secrets
import signal
import types

import cases
import mutations
import pytest
from caged_sidekick import ROOT, CagedSidekick, can_be_caged
from fuzz import fuzz
from fuzzer import Broken, Fuzzer

EXECUTABLE = pathlib.Path(os.environ.get("COMPUTESDK_SIDEKICK", ROOT / ".build/debug/sidekick"))
SECONDS = float(os.environ.get("COMPUTESDK_FUZZ_SECONDS", 20))
# Other tests keep this machine busy: only what hangs takes this long.
PATIENCE = 30


@pytest.mark.skipif(can_be_caged() is not None, reason=f"{can_be_caged()}")
def test_strange_requests_and_frames_break_nothing():
    seed = secrets.randbelow(1 << 32)
    print(f"seed {seed}")
    count, statuses = fuzz(EXECUTABLE, SECONDS, seed, PATIENCE)
    assert count > 50
    # The corpus is understood: else only refusals would have been tested.
    assert statuses.get(200, 0) > 10, statuses


def test_the_same_seed_gives_the_same_cases():
    def drawn():
        numbers = random.Random("7-1")
        return ([mutations.request(numbers, cases.requests()).document for _ in range(200)],
                [[frame.document for frame in mutations.conversation(numbers, cases.frames())] for _ in range(50)])

    assert drawn() == drawn()


def test_a_case_survives_being_kept():
    numbers = random.Random("kept")
    names = dict.fromkeys(cases.NAMES, b"x")
    for _ in range(500):
        request = mutations.request(numbers, cases.requests())
        assert cases.Request.read(request.document).wire(names) == request.wire(names)
        for frame in mutations.conversation(numbers, cases.frames()):
            assert cases.Frame.read(frame.document) == frame


@pytest.mark.parametrize("answer, is_broken", [
    (b"HTTP/1.1 500 X\r\nContent-Type: application/json\r\n\r\n{\"error\":\"x\"}", True),
    (b"HTTP/1.1 503 X\r\n\r\n{\"code\":\"unavailable\",\"error\":\"64 are open\"}", False),
    (b"HTTP/1.1 503 X\r\n\r\n", True),
    (b"HTTP/1.1 404 X\r\nContent-Type: application/json\r\n\r\n{\"error\":\"x\"}", False),
    (b"HTTP/1.1 404 X\r\nContent-Type: application/json\r\n\r\n{}", True),
    (b"HTTP/1.1 200 OK\r\n\r\n", False),
    (b"", False),
], ids=["fault", "bound", "fault like a bound", "refusal", "refusal without a reason", "success", "nothing"])
def test_faults_are_told_from_answers(answer, is_broken):
    fuzzer = Fuzzer(types.SimpleNamespace(claim=types.SimpleNamespace(secret="s")), seed=0, patience=1)
    if is_broken:
        with pytest.raises(Broken):
            fuzzer.judge(answer)
    else:
        fuzzer.judge(answer)


@pytest.mark.skipif(can_be_caged() is not None, reason=f"{can_be_caged()}")
def test_a_death_is_noticed_and_the_case_is_named():
    with CagedSidekick(EXECUTABLE) as sidekick:
        fuzzer = Fuzzer(sidekick, seed=3, patience=PATIENCE)
        os.kill(sidekick.pid, signal.SIGKILL)
        sidekick.process.wait()
        with pytest.raises(Broken, match="died.*\n.*--seed 3 --only 1"):
            fuzzer.case(1)
