"""Starting, stopping, crashing, racing: what `serve` promises about itself."""
import asyncio
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time

import pytest
from computesdk import CreateTerminalOptions, Sandbox

from asynchronously import asynchronously
from conftest import connected
from running_system import BINARY, ISOLATION, ROOT, eventually
from test_terminals import socket_of

KEY = re.compile(r"csdk_[0-9a-f]{40}")


@asynchronously
async def test_a_hundred_racing_creates_of_one_name_make_one_compute_and_leave_nine_idle(start_system):
    system = start_system(pool_size=10)
    eventually("ten members are idle", lambda: system.idle() == 10)
    before = system.started()
    assert len(before) == 10

    # A connection for each, as a hundred programs would have; one client would queue them in its own pool.
    clients = [connected(system) for _ in range(100)]
    answers = await asyncio.gather(*(client.sandbox.find_or_create("contested") for client in clients))
    assert len({sandbox.sandbox_id for sandbox in answers}) == 1
    assert (await answers[-1].run_command("echo usable")).stdout == "usable\n"

    # The pool fills up again behind our back, so what counts is whom of the first ten was used: exactly one.
    assert system.idle() >= 9
    await answers[0].destroy()
    eventually("the one member is gone", lambda: len(before & system.started()) == 9)
    eventually("the pool is full again", lambda: system.idle() == 10 and len(system.started()) == 10)
    assert len(before & system.started()) == 9
    for sandbox in answers:
        await sandbox._client.close()
    for client in clients:
        await client.close()
    assert system.stop() == 0
    assert system.remains() == ({}, [])


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
@asynchronously
async def test_a_signal_ends_everything_that_was_started(start_system, how):
    system = start_system()
    async with connected(system) as compute:
        sandbox = await compute.sandbox.create()
        await sandbox.run_command("setsid sleep 1000 >/dev/null 2>&1 & (trap '' TERM; sleep 1000) >/dev/null 2>&1 & true")
        terminal = await sandbox.create_terminal(CreateTerminalOptions(pty=True, shell="sh"))
        socket = socket_of(sandbox)
        await socket.connect()
        await socket.subscribe(terminal.channel)
        await socket.send_terminal_input(terminal.id, "sleep 1000\n")
        running = asyncio.create_task(sandbox.run_command("sleep 1000"))
        await asyncio.sleep(0)

        start = time.monotonic()
        code = await asyncio.to_thread(system.stop, how)
        assert code == 0, system.what_it_said()
        assert time.monotonic() - start < 24
        assert system.remains() == ({}, [])
        await asyncio.gather(running, return_exceptions=True)
        await socket.disconnect()


def test_a_second_start_is_ready_in_two_seconds(start_system):
    system = start_system()
    assert system.stop() == 0
    # Two seconds hold for a release build; a debug build on a shared machine gets three times that, and more where it
    # tries out gVisor first.
    limit, took = (20 if ISOLATION == "gvisor" else 6), []
    # A machine that has something else to do is late once, and a slow start each time.
    while len(took) < 4 and (not took or took[-1] >= limit):
        start = time.monotonic()
        system.start()
        took.append(time.monotonic() - start)
        assert system.stop() == 0
    assert took[-1] < limit, took


@asynchronously
async def test_the_first_key_is_made_once_kept_private_and_good_after_a_restart(start_system):
    system = start_system(key=None)
    keys = set(KEY.findall(eventually("`serve` prints a key", lambda: KEY.search(system.stdout()) and system.stdout())))
    assert len(keys) == 1
    system.key = keys.pop()
    async with connected(system) as compute:
        await (await compute.sandbox.create()).destroy()
    assert system.stop() == 0

    holders = [
        path for path in system.data.rglob("*")
        if path.is_file() and not path.is_symlink() and system.key.encode() in path.read_bytes()]
    assert len(holders) == 1, f"the key belongs into one file beside the data, and is in {holders}"
    assert not holders[0].read_bytes().startswith(b"SQLite format 3")
    assert stat.S_IMODE(holders[0].stat().st_mode) == 0o600
    assert system.key not in system.log.read_text()

    system.start()
    async with connected(system) as compute:
        await (await compute.sandbox.create()).destroy()
    assert system.stop() == 0


@asynchronously
async def test_a_compute_survives_a_crash_of_serve(start_system):
    system = start_system()
    async with connected(system) as compute:
        sandbox = await compute.sandbox.find_or_create("survivor")
        await sandbox.filesystem.write_file("kept.txt", "kept")
        pid = (await sandbox.run_command("setsid sleep 1000 >/dev/null 2>&1 & echo $!")).stdout.strip()
        doomed = await compute.sandbox.create()
        await doomed.destroy()

        system.crash()
        system.start()

        # The same address and the same token, without asking anybody for new ones.
        same = Sandbox(sandbox.sandbox_id, sandbox.get_sandbox_url(), sandbox.get_token(), "operator")
        assert await same.filesystem.read_file("kept.txt") == "kept"
        assert (await same.run_command(f"kill -0 {pid} && echo alive")).stdout == "alive\n"
        found = await compute.sandbox.find("survivor")
        assert found.sandbox_id == sandbox.sandbox_id
        assert await compute.sandbox.get_by_id(sandbox.sandbox_id)
        await found.destroy()
    assert system.stop() == 0
    assert system.remains() == ({}, [])


def test_an_unusable_setting_is_named_and_nothing_starts(tmp_path):
    for setting, value in (
            ("COMPUTESDK_LISTEN", "nonsense"), ("COMPUTESDK_POOL_SIZE", "many"), ("COMPUTESDK_ISOLATION", "hope"),
            ("COMPUTESDK_URL_STYLE", "fancy"), ("COMPUTESDK_LOG_LEVEL", "loud")):
        environment = {
            "PATH": os.environ["PATH"], "COMPUTESDK_DATA_DIR": str(tmp_path / "data"),
            "COMPUTESDK_LISTEN": "127.0.0.1:0", "COMPUTESDK_ISOLATION": "process", setting: value,
        }
        ended = subprocess.run(
            [str(BINARY), "serve"], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
        assert ended.returncode != 0
        assert setting in ended.stderr, ended.stderr


def test_two_systems_do_not_share_a_data_directory(start_system):
    system = start_system()
    environment = {**system.environment, "COMPUTESDK_LISTEN": "127.0.0.1:0"}
    second = subprocess.run(
        [str(BINARY), "serve"], env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=30)
    assert second.returncode != 0
    assert str(system.data) in second.stderr
    assert system.ready().status_code == 200
    assert system.stop() == 0


# --- what people paste ---

def python_environment(system):
    """A shell whose `python3` has the client, as the README asks for."""
    path = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
    return {
        "PATH": path, "HOME": str(system.base), "COMPUTESDK_GATEWAY_URL": system.url,
        "COMPUTESDK_API_KEY": system.key, "COMPUTESDK_PROVIDER": "operator",
    }


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)


def test_the_python_example_of_the_readme_works_as_it_is(system):
    example = blocks("python")[0]
    ended = subprocess.run(
        [sys.executable, "-"], input=example, env=python_environment(system), capture_output=True, text=True,
        timeout=100)
    assert ended.returncode == 0, ended.stderr
    # The README shows what it prints, in the block after it.
    assert ended.stdout == blocks("text")[0]


def test_the_curl_lines_of_the_readme_work_as_they_are(system):
    lines = [block for block in blocks("sh") if "curl" in block and "/v1/sandboxes" in block]
    assert lines
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", lines[0]], env=python_environment(system), capture_output=True, text=True,
        timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["success"] is True


def test_the_lines_that_serve_prints_work_when_pasted(start_system):
    """`serve` prints a `curl` line, and a Python example from `python3 -m venv` to the `END` of a here-document."""
    system = start_system(key=None)
    text = eventually(
        "`serve` prints its examples",
        lambda: system.stdout() if re.search(r"^END$", system.stdout(), re.MULTILINE) else None)
    system.key = KEY.search(text)[0]
    assert system.url in text
    environment = {"PATH": python_environment(system)["PATH"], "HOME": str(system.base)}

    def paste(pattern):
        found = re.search(pattern, text, re.MULTILINE | re.DOTALL)
        assert found, text
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", found[0]], env=environment,
            capture_output=True, text=True, timeout=100)
        assert ended.returncode == 0, (found[0], ended.stdout, ended.stderr)
        return ended.stdout

    made = json.loads(paste(r"^\s*curl (?:[^\n]*\\\n)*[^\n]*$"))
    assert made["success"] is True
    assert paste(r"^python3 -m venv .*?^END$").strip()
    assert system.stop() == 0
    assert system.remains() == ({}, [])
