"""Commands, code, watchers, servers and signals, as the public client calls them."""
import asyncio

import httpx
import pytest
from computesdk import (
    CreateTerminalOptions, CreateWatcherOptions, NotFoundError, RunCommandOptions, StartServerOptions, ValidationError)

from asynchronously import asynchronously
from test_terminals import Screen, socket_of


@asynchronously
async def test_code_runs_in_the_language_that_was_named(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            result = await sandbox.run_code("import sys\nprint(6 * 7)\nsys.exit(3)", "python")
            assert (result.output.strip(), result.exit_code, result.language) == ("42", 3, "python")
            assert (await sandbox.run_code("echo $((2 + 3))", "bash")).output.strip() == "5"
            with pytest.raises(ValidationError):
                await sandbox.run_code("x", "cobol")
        finally:
            await sandbox.destroy()


@asynchronously
async def test_a_terminal_for_commands_keeps_them_until_they_are_asked_for(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            terminal = await sandbox.create_terminal(CreateTerminalOptions(shell="sh"))
            assert (terminal.pty, terminal.status) == (False, "ready")
            done = await sandbox.execute_in_terminal(terminal.id, "echo out; echo err >&2; exit 4")
            assert (done["stdout"], done["stderr"], done["exit_code"]) == ("out\n", "err\n", 4)

            running = await sandbox.execute_in_terminal(terminal.id, "sleep 0.5; echo late", background=True)
            assert running["status"] == "running"
            waited = await sandbox.wait_for_command(terminal.id, running["cmd_id"], timeout=20)
            assert (waited["stdout"], waited["exit_code"]) == ("late\n", 0)
            assert terminal.id in [t.id for t in await sandbox.list_terminals()]
            await sandbox.destroy_terminal(terminal.id)
            with pytest.raises(NotFoundError):
                await sandbox.get_terminal(terminal.id)
        finally:
            await sandbox.destroy()


@asynchronously
async def test_a_command_in_the_background_answers_at_once_and_goes_on(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            # It ends only after the answer.
            await sandbox.run_command(
                "while [ ! -e go ]; do sleep 0.1; done; echo 1 > done", RunCommandOptions(background=True))
            assert not await sandbox.filesystem.exists("done")
            await sandbox.filesystem.write_file("go", "")
            for _ in range(300):
                if await sandbox.filesystem.exists("done"):
                    break
                await asyncio.sleep(0.1)
            assert await sandbox.filesystem.read_file("done") == "1\n"
        finally:
            await sandbox.destroy()


@asynchronously
async def test_a_long_command_outlasts_the_silence_that_the_client_bears(connect):
    """The client gives up after 30 s without a byte; the answer begins before."""
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            result = await sandbox.run_command("sleep 33; echo awake")
            assert result.stdout == "awake\n"
        finally:
            await sandbox.destroy()


@asynchronously
async def test_a_watcher_tells_what_changes(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            await sandbox.filesystem.mkdir("watched")
            watcher = await sandbox.create_watcher(
                "watched", CreateWatcherOptions(include_content=True, ignored=["*.log"]))
            assert (watcher.status, watcher.channel) == ("active", f"watcher:{watcher.id}")
            assert [w.id for w in await sandbox.list_watchers()] == [watcher.id]
            assert (await sandbox.get_watcher(watcher.id)).path == watcher.path
            seen = Screen()
            socket = socket_of(sandbox)
            socket.on("file:changed", seen.take)
            await socket.connect()
            await socket.subscribe(watcher.channel)
            await sandbox.filesystem.write_file("watched/ignored.log", "x")
            # The subscription may come a moment late; the next change reaches it.
            for number in range(100):
                await sandbox.filesystem.write_file("watched/a.txt", f"hello {number}")
                await asyncio.sleep(0.1)
                if seen.messages:
                    break
            await seen.until("an event of a.txt", lambda: any(
                m["data"]["path"].endswith("a.txt") and m["data"].get("content", "").startswith("hello")
                for m in seen.messages))
            assert not any("ignored.log" in m["data"]["path"] for m in seen.messages)
            await socket.disconnect()
            await sandbox.destroy_watcher(watcher.id)
            with pytest.raises(NotFoundError):
                await sandbox.get_watcher(watcher.id)
        finally:
            await sandbox.destroy()


@asynchronously
async def test_a_server_is_started_reached_restarted_and_stopped(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            await sandbox.filesystem.write_file("site/index.html", "served")
            server = await sandbox.start_server(StartServerOptions(
                slug="site", command="exec python3 -m http.server --bind 0.0.0.0 $PORT", path="site"))
            assert server.slug == "site"
            async with httpx.AsyncClient(trust_env=False, timeout=30) as browser:
                async def page():
                    url = (await sandbox.get_server("site")).url
                    try:
                        return (await browser.get(url.rstrip("/") + "/index.html")).text if url else ""
                    except httpx.TransportError:
                        return ""

                async def is_served():
                    for _ in range(300):
                        if await page() == "served":
                            return True
                        await asyncio.sleep(0.1)

                assert await is_served()
                assert [s.slug for s in await sandbox.list_servers()] == ["site"]
                await sandbox.restart_server("site")
                assert (await sandbox.get_server("site")).status in ("starting", "running", "restarting", "ready")
                assert await is_served()
            await sandbox.stop_server("site")
            with pytest.raises(NotFoundError):
                await sandbox.get_server("site")
        finally:
            await sandbox.destroy()


@asynchronously
async def test_signals_are_emitted_and_told(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            assert (await sandbox.start_signals()).status == "active"
            assert (await sandbox.get_signal_status()).channel == "signals"
            seen = Screen()
            socket = socket_of(sandbox)
            socket.on("signal", seen.take)
            await socket.connect()
            await socket.subscribe("signals")

            async def told(kind):
                # Whoever subscribes may come a moment late; the next one reaches it.
                for _ in range(100):
                    await emit[kind]()
                    await asyncio.sleep(0.1)
                    if any(m["data"]["signal"] == kind for m in seen.messages):
                        return True

            emit = {
                "port": lambda: sandbox.emit_port_signal(4321, "open", "http://example.test"),
                "error": lambda: sandbox.emit_error_signal("went wrong"),
                "server-ready": lambda: sandbox.emit_server_ready_signal(4321, "http://example.test"),
            }
            for kind in emit:
                assert await told(kind), kind
            await socket.disconnect()
            await sandbox.stop_signals()
            assert (await sandbox.get_signal_status()).status == "stopped"
        finally:
            await sandbox.destroy()
