"""A terminal over the WebSocket, with the public client's own connection class."""
import asyncio

import pytest
from computesdk import CreateTerminalOptions, NotFoundError
from computesdk.websocket_client import WebSocketClient

from asynchronously import asynchronously


class Screen:
    """Everything a terminal sent, and a way to wait for a part of it."""

    def __init__(self):
        self.text = ""
        self.messages = []
        self._changed = asyncio.Event()

    async def take(self, message):
        self.messages.append(message)
        if message.get("type") == "terminal:output":
            self.text += message["data"]["output"]
        self._changed.set()

    async def until(self, what, condition, patience=30):
        async def wait():
            while not condition():
                self._changed.clear()
                await self._changed.wait()

        try:
            await asyncio.wait_for(wait(), patience)
        except asyncio.TimeoutError:
            raise AssertionError(f"no {what} in {self.text!r}; messages: {self.messages[-5:]}") from None

    async def shows(self, text):
        await self.until(f"{text!r}", lambda: text in self.text)

    def had(self, kind):
        return any(message.get("type") == kind for message in self.messages)


def socket_of(sandbox, token=None, **options):
    url = sandbox.get_sandbox_url().replace("http://", "ws://").replace("https://", "wss://") + "/ws"
    return WebSocketClient(url, token or sandbox.get_token(), protocol="json", auto_reconnect=False, **options)


@asynchronously
async def test_a_terminal_takes_input_and_sizes_and_tells_its_end(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            terminal = await sandbox.create_terminal(CreateTerminalOptions(pty=True, shell="sh"))
            assert (terminal.pty, terminal.status, terminal.ws_url) == (True, "running", "/ws")
            assert terminal.channel == f"terminal:{terminal.id}"
            assert [t.id for t in await sandbox.list_terminals()] == [terminal.id]

            screen = Screen()
            socket = socket_of(sandbox)
            socket.on("*", screen.take)
            await socket.connect()
            await socket.subscribe(terminal.channel)

            # The terminal echoes what is typed, so what is waited for must not be in what is typed.
            await socket.send_terminal_input(terminal.id, 'echo "sum=$((20+22))"\n')
            await screen.shows("sum=42")
            assert all(
                message["channel"] == terminal.channel
                for message in screen.messages if message["type"] == "terminal:output")

            await socket.resize_terminal(terminal.id, cols=123, rows=45)
            await socket.send_terminal_input(terminal.id, "stty size\n")
            await screen.shows("45 123")

            await socket.send_terminal_input(terminal.id, "test -t 0 && test -t 1 && echo is-a-$((1))-tty\n")
            await screen.shows("is-a-1-tty")

            await socket.send_terminal_input(terminal.id, "exit\n")
            await screen.until("terminal:destroyed", lambda: screen.had("terminal:destroyed"))
            await socket.disconnect()
            with pytest.raises(NotFoundError):
                await sandbox.get_terminal(terminal.id)
        finally:
            await sandbox.destroy()


@asynchronously
async def test_control_c_interrupts_what_runs_in_a_terminal(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            terminal = await sandbox.create_terminal(CreateTerminalOptions(pty=True, shell="sh"))
            screen = Screen()
            socket = socket_of(sandbox)
            socket.on("*", screen.take)
            await socket.connect()
            await socket.subscribe(terminal.channel)
            await socket.send_terminal_input(terminal.id, "echo go-$((1)); sleep 100\n")
            await screen.shows("go-1")
            await socket.send_terminal_input(terminal.id, "\x03")
            await socket.send_terminal_input(terminal.id, "echo back-$((2))\n")
            await screen.shows("back-2")
            await socket.disconnect()
        finally:
            await sandbox.destroy()


@asynchronously
async def test_a_terminal_outlives_its_connection_and_ends_when_deleted(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            terminal = await sandbox.create_terminal(CreateTerminalOptions(pty=True, shell="sh"))
            first = socket_of(sandbox)
            await first.connect()
            await first.subscribe(terminal.channel)
            await first.send_terminal_input(terminal.id, "KEPT=yes\n")
            await first.disconnect()

            screen = Screen()
            second = socket_of(sandbox)
            second.on("*", screen.take)
            await second.connect()
            await second.subscribe(terminal.channel)
            await second.send_terminal_input(terminal.id, 'echo "kept=$KEPT"\n')
            await screen.shows("kept=yes")

            await sandbox.destroy_terminal(terminal.id)
            await screen.until("terminal:destroyed", lambda: screen.had("terminal:destroyed"))
            await second.disconnect()
            assert await sandbox.list_terminals() == []
        finally:
            await sandbox.destroy()


@asynchronously
async def test_a_socket_without_a_good_token_is_refused(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            with pytest.raises(Exception, match="401"):
                await socket_of(sandbox, token="nonsense").connect()
        finally:
            await sandbox.destroy()
