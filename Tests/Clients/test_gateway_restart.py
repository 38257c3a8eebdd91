"""A terminal whose Gateway is killed in the middle: what it wrote meanwhile is not lost."""
import asyncio
import json
import os
import re
import subprocess

import pytest
import websockets

from asynchronously import asynchronously
from conftest import connected
from running_system import BINARY, RunningSystem, eventually


@pytest.fixture
def system_in_two():
    """`api` and `gateway` as processes of their own; the second comes and goes with `start_gateway()` and `.kill()`."""
    system = RunningSystem()
    started = []

    def start(name):
        with open(system.log, "ab") as log:
            process = subprocess.Popen(
                [str(BINARY.parent / name)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                env=system.environment, cwd=system.base, start_new_session=True)
        os.set_blocking(process.stdout.fileno(), False)
        started.append(process)
        return process

    def start_gateway():
        gateway = start("gateway")
        eventually("the Gateway is ready", lambda: (answer := system.ready()) is not None and answer.status_code == 200)
        return gateway

    system.process, system.printed = start("api"), ""
    # What the Gateway needs is made by the API at its first start.
    eventually("the API listens", lambda: (system.data / "internal.sock").exists())
    system.start_gateway = start_gateway
    yield system
    for process in reversed(started):
        if process.poll() is None:
            process.terminate()
            process.wait(30)
    system.clean_up()


def watch(sandbox, **query):
    url = sandbox.get_sandbox_url().replace("http://", "ws://") + f"/ws?token={sandbox.get_token()}"
    return websockets.connect(url, open_timeout=30, **query)


async def subscribe(socket, terminal, **data):
    await socket.send(json.dumps({"type": "subscribe", "channel": terminal.channel, "data": data}))


async def type_in(socket, terminal, text):
    await socket.send(json.dumps(
        {"type": "terminal:input", "channel": "", "data": {"terminal_id": terminal.id, "input": text}}))


async def read_until(socket, end):
    """The output up to and with `end`, and the offset to go on from."""
    text, offset = "", 0
    while end not in text:
        message = json.loads(await asyncio.wait_for(socket.recv(), 30))
        if message["type"] == "terminal:output":
            assert "dropped_bytes" not in message["data"]
            text += message["data"]["output"]
            offset = message["data"]["next_offset"]
    return text, offset


@asynchronously
async def test_a_terminal_goes_on_where_it_was_after_the_gateway_was_killed(system_in_two):
    from computesdk import CreateTerminalOptions

    gateway = system_in_two.start_gateway()
    async with connected(system_in_two) as compute:
        sandbox = await compute.sandbox.create()
        terminal = await sandbox.create_terminal(CreateTerminalOptions(pty=True, shell="sh"))
        socket = await watch(sandbox)
        await subscribe(socket, terminal)
        # It goes on by itself, whoever watches.
        await type_in(socket, terminal, "stty -echo; PS1=; i=0; while [ ! -e stop ]; do i=$((i+1)); echo n$i; sleep 0.02; done\n")
        first, offset = await read_until(socket, "n20\r\n")

        gateway.kill()
        gateway.wait(10)
        with pytest.raises(websockets.ConnectionClosed):
            while True:
                await asyncio.wait_for(socket.recv(), 30)
        system_in_two.start_gateway()

        socket = await watch(sandbox)
        await subscribe(socket, terminal, since=offset)
        await sandbox.filesystem.write_file("stop", "")
        await type_in(socket, terminal, "echo the-end-$((1+1)); exit 7\n")
        rest, _ = await read_until(socket, "the-end-2\r\n")
        # The first may stand behind a prompt, where the shell came to it after what was typed.
        numbers = [int(number) for number in re.findall(r"n(\d+)\r\n", first + rest)]
        assert numbers == list(range(1, len(numbers) + 1)), "each line once, none missing"
        while True:
            message = json.loads(await asyncio.wait_for(socket.recv(), 30))
            if message["type"] == "terminal:destroyed":
                assert message["data"]["exit_code"] == 7
                break
        await socket.close()
        await sandbox.destroy()
