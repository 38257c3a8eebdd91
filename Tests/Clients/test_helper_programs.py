"""What `serve` makes of helper programs that fail, hang, or are killed in the middle of their work."""
import concurrent.futures
import os
import random
import shutil

import httpx
import pytest

from running_system import ISOLATION, RunningSystem, eventually

# Programs that only `serve` itself uses as it starts, that a start of a compute uses, and that only an end uses.
SERVING = ["nft"]
STARTING = ["bridge", "mount", "runsc"]
ENDING = ["umount"]

# Stands before the real program. A file with its name is a fault for the next call, and taken by just one.
STAND_IN = """#!/bin/sh
if mv '{faults}/{name}' "{faults}/{name}.$$" 2>/dev/null; then
    read -r how moment <"{faults}/{name}.$$"
    case $how in
    fails) echo 'made to fail' >&2; exit 1 ;;
    hangs) exec sleep 600 ;;
    is-killed)
        # Its input by another number: a shell gives a background program none.
        exec 3<&0
        '{real}' "$@" <&3 3<&- &
        sleep "$moment"
        kill -9 $! $$ ;;
    esac
fi
exec '{real}' "$@"
"""


class HelperPrograms:
    def __init__(self, folder):
        self.bin, self.faults = folder / "bin", folder / "faults"
        for path in (self.bin, self.faults):
            path.mkdir()
        folder.chmod(0o755)
        search = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
        for name in SERVING + STARTING + ENDING:
            real = shutil.which(name, path=search)
            assert real, f"computes in gVisor need {name}"
            stand_in = self.bin / name
            stand_in.write_text(STAND_IN.format(faults=self.faults, name=name, real=real))
            stand_in.chmod(0o755)

    def arm(self, names, how, chance):
        for name in names:
            # Moved into place, so that nobody reads half of it.
            draft = self.faults / f"{name}.draft"
            draft.write_text(f"{how} {chance.uniform(0, 0.1):.3f}\n")
            draft.rename(self.faults / name)

    def armed(self):
        return sorted(path.name for path in self.faults.iterdir() if "." not in path.name)


@pytest.mark.skipif(ISOLATION != "gvisor", reason="only computes in gVisor need helper programs")
@pytest.mark.parametrize("how", ["fails", "hangs", "is-killed"])
def test_a_helper_program_that_goes_wrong_costs_no_more_than_its_own_create(start_system, tmp_path, how):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    programs = HelperPrograms(tmp_path)
    system = start_system(
        pool_size=0, PATH=f"{programs.bin}{os.pathsep}{os.environ['PATH']}", COMPUTESDK_RUNSC=str(programs.bin / "runsc"))
    headers = {"X-ComputeSDK-API-Key": system.key}
    with httpx.Client(base_url=system.url, headers=headers, timeout=150, trust_env=False) as client:
        computes = []

        def create(_=None):
            answer = client.post("/v1/sandboxes", json={})
            # Whatever went wrong is said as what it is, with a time to come again.
            assert answer.status_code in (200, 503), answer.text
            if answer.status_code == 503:
                assert int(answer.headers["Retry-After"]) > 0, answer.headers
                return None
            computes.append(answer.json()["data"])
            return answer.json()["data"]

        programs.arm(STARTING, how, random.Random(seed))
        for _ in range(6):
            # Side by side, so that what one waits for does not add up.
            with concurrent.futures.ThreadPoolExecutor(3) as pool:
                list(pool.map(create, range(3)))
            if not programs.armed():
                break
        assert programs.armed() == [], "each of them went wrong once"
        assert create(), "afterwards all is well"
        for compute in computes:
            answer = client.post(
                f"{compute['url']}/run/command", json={"command": "echo usable"},
                headers={"Authorization": f"Bearer {compute['token']}"})
            assert answer.json()["data"]["stdout"] == "usable\n", answer.text
        eventually("only what was acknowledged is there", lambda: len(system.started()) == len(computes), patience=150)

        programs.arm(ENDING, how, random.Random(seed))
        for compute in computes:
            assert client.delete(f"/v1/sandboxes/{compute['sandboxId']}").status_code == 200
        assert programs.armed() == []
    # What could not be removed then is removed now, sooner than the sweep comes to it.
    assert system.stop() == 0
    assert system.remains() == ({}, [])


@pytest.mark.skipif(ISOLATION != "gvisor", reason="only computes in gVisor need helper programs")
@pytest.mark.parametrize("how", ["fails", "hangs"])
def test_a_helper_program_that_goes_wrong_at_the_start_is_named_and_the_next_start_is_well(tmp_path, how):
    programs = HelperPrograms(tmp_path)
    system = RunningSystem(pool_size=0, PATH=f"{programs.bin}{os.pathsep}{os.environ['PATH']}")
    try:
        programs.arm(SERVING, how, random.Random(0))
        # Not for ever: its deadline ends it, and nobody is told that the system is ready.
        with pytest.raises(AssertionError, match="`serve` ended with [1-9]"):
            system.start()
        assert programs.armed() == []
        assert "nft" in system.what_it_said() or "packet filter" in system.what_it_said(), system.what_it_said()
        assert system.remains() == ({}, [])
        system.start()
        assert system.stop() == 0
        assert system.remains() == ({}, [])
    finally:
        system.clean_up()
