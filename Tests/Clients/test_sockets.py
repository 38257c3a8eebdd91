"""The public client's connection classes in both of their protocols: terminals, streamed commands, subscriptions."""
import asyncio
import base64
import contextlib

import httpx
import pytest
from computesdk import CreateTerminalOptions, CreateWatcherOptions, RunCommandOptions
from computesdk.protocol import BinaryProtocol
from computesdk.websocket_client import TerminalSession, WebSocketClient

from asynchronously import asynchronously
from test_terminals import Screen

PROTOCOLS = pytest.mark.parametrize("protocol", ["binary", "json"])


@pytest.fixture
def a_sandbox(connect):
    """A session of the client with a sandbox that is gone with it."""
    @contextlib.asynccontextmanager
    async def opened():
        async with connect() as compute:
            sandbox = await compute.sandbox.create()
            try:
                yield sandbox
            finally:
                await sandbox.destroy()

    return opened


def socket_in(protocol, sandbox, screen, **options):
    """A connection that has not been made yet, and whose every message goes to `screen`."""
    url = sandbox.get_sandbox_url().replace("http", "ws", 1) + "/ws"
    socket = WebSocketClient(url, sandbox.get_token(), protocol=protocol, **options)
    socket.on("*", screen.take)
    return socket


async def settled(socket, screen):
    """All that was sent on this connection has been read: messages are taken in order, and the last is answered."""
    await socket.send_terminal_input("no-such-terminal", "x")
    await screen.until("the answer", lambda: screen.had("terminal:error"))


async def begin(sandbox, **body):
    """A command that is started later or goes on behind the answer. The client runs those, but drops their ids."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        answer = await client.post(
            f"{sandbox.get_sandbox_url()}/run/command", json=body,
            headers={"Authorization": f"Bearer {sandbox.get_token()}"})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


@PROTOCOLS
@asynchronously
async def test_a_terminal_is_driven_in_either_protocol(a_sandbox, protocol):
    async with a_sandbox() as sandbox:
        terminal = await sandbox.create_terminal(CreateTerminalOptions(pty=True, shell="sh"))
        screen = Screen()
        async with socket_in(protocol, sandbox, screen) as socket:
            assert socket.connected
            await socket.subscribe(terminal.channel)
            await socket.send_terminal_input(terminal.id, "printf '%s=%d\\n' 'ä€😀' $((20+22))\n")
            await screen.shows("ä€😀=42")
            await socket.resize_terminal(terminal.id, cols=101, rows=31)
            await socket.send_terminal_input(terminal.id, "stty size\n")
            await screen.shows("31 101")
            # Every new connection hears of the terminals that live.
            await screen.until("terminal:created", lambda: screen.had("terminal:created"))
            await socket.send_terminal_input(terminal.id, "exit 3\n")
            await screen.until("terminal:destroyed", lambda: screen.had("terminal:destroyed"))
        assert not socket.connected


@asynchronously
async def test_the_clients_terminal_session_writes_resizes_and_hears(a_sandbox):
    async with a_sandbox() as sandbox:
        terminal = await sandbox.create_terminal(CreateTerminalOptions(pty=True, shell="sh"))
        session = TerminalSession(sandbox.get_sandbox_url(), sandbox.get_token(), terminal.id, terminal.channel)
        heard, changed = [], asyncio.Event()

        def hear(output):
            heard.append(output)
            changed.set()

        async def shows(text):
            while text not in "".join(heard):
                changed.clear()
                await asyncio.wait_for(changed.wait(), 30)

        session.on_output(hear)
        async with session:
            assert session.terminal_id == terminal.id
            await session.write("echo sum=$((20+22))\n")
            await shows("sum=42")
            await session.resize(90, 20)
            await session.write("stty size\n")
            await shows("20 90")


@asynchronously
async def test_a_base64_terminal_says_its_encoding_with_every_output(a_sandbox):
    async with a_sandbox() as sandbox:
        terminal = await sandbox.create_terminal(CreateTerminalOptions(pty=True, shell="sh", encoding="base64"))
        assert terminal.encoding == "base64"
        screen = Screen()
        async with socket_in("binary", sandbox, screen) as socket:
            await socket.subscribe(terminal.channel)
            await socket.send_terminal_input(terminal.id, "printf '\\377\\0'; echo sum=$((20+22))\n")

            def outputs():
                return [m["data"] for m in screen.messages if m["type"] == "terminal:output"]

            await screen.until("the bytes", lambda: b"\xff\0sum=42" in b"".join(
                base64.b64decode(data["output"]) for data in outputs()))
            assert {data["encoding"] for data in outputs()} == {"base64"}


@PROTOCOLS
@asynchronously
async def test_a_streamed_command_waits_for_its_start_and_tells_all_before_its_exit(a_sandbox, protocol):
    async with a_sandbox() as sandbox:
        command = await begin(
            sandbox, command="touch ran; echo one; echo two >&2; sleep 0.2; echo three; exit 5", stream=True)
        assert (command["status"], command["stdout"], command["stderr"]) == ("pending", "", "")
        assert not await sandbox.filesystem.exists("ran")
        screen = Screen()
        async with socket_in(protocol, sandbox, screen) as socket:
            # Back to back, as the clients send them.
            await socket.subscribe(command["channel"])
            await socket.start_command(command["cmd_id"])
            await screen.until("the exit", lambda: screen.had("command:exit"))
        told = [m for m in screen.messages if m["type"].startswith("command:")]
        assert {m["channel"] for m in told} == {command["channel"]}
        assert {m["data"]["cmd_id"] for m in told} == {command["cmd_id"]}
        assert told[-1]["type"] == "command:exit" and told[-1]["data"]["exit_code"] == 5

        def output(kind):
            return "".join(m["data"]["output"] for m in told if m["type"] == kind)

        assert (output("command:stdout"), output("command:stderr")) == ("one\nthree\n", "two\n")


@asynchronously
async def test_a_command_in_the_background_is_heard_and_asked_for_by_its_ids(a_sandbox):
    async with a_sandbox() as sandbox:
        command = await begin(
            sandbox, command="echo early; while [ ! -e go ]; do sleep 0.1; done; echo late; exit 6", background=True)
        assert command["status"] == "running"
        screen = Screen()
        async with socket_in("json", sandbox, screen) as socket:
            await socket.subscribe(command["channel"])
            await settled(socket, screen)
            await sandbox.filesystem.write_file("go", "")
            # The client's call takes ids from anywhere, so its own dropping of them can be mended.
            ended = await sandbox.wait_for_command(command["terminal_id"], command["cmd_id"])
            assert (ended["stdout"], ended["exit_code"], ended["status"]) == ("early\nlate\n", 6, "failed")
            await screen.until("the exit", lambda: screen.had("command:exit"))


@PROTOCOLS
@asynchronously
async def test_who_unsubscribes_hears_no_more_and_handlers_can_be_taken_off(a_sandbox, protocol):
    async with a_sandbox() as sandbox:
        await sandbox.start_signals()
        screen, errors = Screen(), Screen()
        async with socket_in(protocol, sandbox, screen) as socket:
            socket.on("signal", errors.take)
            await socket.subscribe("signals")
            for _ in range(100):
                await sandbox.emit_error_signal("first")
                if screen.had("signal"):
                    break
                await asyncio.sleep(0.1)
            await screen.until("a signal", lambda: screen.had("signal"))
            await errors.until("a signal for its handler", lambda: errors.had("signal"))
            socket.off("signal")
            await socket.unsubscribe("signals")
            await settled(socket, screen)
            await sandbox.emit_error_signal("second")
            # What everybody is told of comes behind the second signal.
            terminal = await sandbox.create_terminal(CreateTerminalOptions(pty=True, shell="sh"))
            await sandbox.destroy_terminal(terminal.id)
            await screen.until("terminal:destroyed", lambda: screen.had("terminal:destroyed"))
            assert not any((m.get("data") or {}).get("message") == "second" for m in screen.messages)
            assert not any(m["data"].get("message") == "second" for m in errors.messages)


@PROTOCOLS
@asynchronously
async def test_a_connection_that_broke_comes_back_with_its_subscriptions_and_loses_nothing(a_sandbox, protocol):
    async with a_sandbox() as sandbox:
        terminal = await sandbox.create_terminal(CreateTerminalOptions(pty=True, shell="sh"))
        screen = Screen()
        async with socket_in(protocol, sandbox, screen, reconnect_delay=0.1) as socket:
            await socket.subscribe(terminal.channel)
            await socket.send_terminal_input(terminal.id, "echo before-$((1))\n")
            await screen.shows("before-1")
            # Output is under way when the connection goes, as it does on a bad network.
            await socket.send_terminal_input(terminal.id, "sleep 0.3; echo while-$((2)); sleep 1; echo after-$((3))\n")
            await screen.shows("while-$((2))")
            socket._ws.transport.abort()
            await screen.shows("while-2")
            await screen.shows("after-3")
            assert screen.text.index("while-2") < screen.text.index("after-3")


@asynchronously
async def test_a_watcher_in_base64_tells_contents_that_are_no_text(a_sandbox):
    async with a_sandbox() as sandbox:
        await sandbox.filesystem.mkdir("watched/inner")
        watcher = await sandbox.create_watcher(
            "watched", CreateWatcherOptions(include_content=True, encoding="base64", ignored=["node_modules"]))
        assert (watcher.include_content, watcher.encoding, watcher.ignored) == (True, "base64", ["node_modules"])
        screen = Screen()
        async with socket_in("binary", sandbox, screen) as socket:
            await socket.subscribe(watcher.channel)
            await settled(socket, screen)
            await sandbox.run_command(
                "mkdir watched/node_modules && touch watched/node_modules/x; mkdir watched/made;"
                " printf '\\377\\0' > watched/inner/bytes; rm -r watched/made")

            def changes():
                return [m["data"] for m in screen.messages if m["type"] == "file:changed"]

            await screen.until("the removal", lambda: any(c["event"] == "unlinkDir" for c in changes()))
            await screen.until("the bytes", lambda: any(
                c["path"].endswith("inner/bytes") and base64.b64decode(c.get("content") or "") == b"\xff\0"
                and c["encoding"] == "base64" for c in changes()))
            assert not any("node_modules" in c["path"] for c in changes())
            await sandbox.destroy_watcher(watcher.id)
            await screen.until("watcher:destroyed", lambda: screen.had("watcher:destroyed"))


def test_the_clients_own_frames_read_back_as_they_were():
    """We send text alone, so its decoder is never fed by us; its encoder is, and this says what it writes."""
    protocol = BinaryProtocol()
    message = {"type": "terminal:resize", "channel": "", "data": {"terminal_id": "t", "cols": 80, "on": True, "raw": b"\xff"}}
    assert protocol.decode(protocol.encode(message)) == message
    assert protocol.encode({"type": "subscribe", "channel": "signals"}) == (
        b"\x01\x00\x07signals\x00\x09subscribe\x00\x00\x00\x02\x00\x00")


@asynchronously
async def test_the_client_can_ask_for_a_stream_but_not_read_it(a_sandbox):
    """`run_command` gives four result fields and drops the ids; the command waits for a start that the client cannot ask for."""
    async with a_sandbox() as sandbox:
        result = await sandbox.run_command("touch ran", RunCommandOptions(stream=True))
        assert (result.stdout, result.stderr, result.exit_code) == ("", "", 0)
        assert not hasattr(result, "cmd_id") and not hasattr(result, "channel")
        assert not await sandbox.filesystem.exists("ran")
