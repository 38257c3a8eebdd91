"""What else the public client offers: configuration, every method once, and its own mistakes, which no server mends."""
import inspect
import pathlib
import re

import computesdk
import httpx
import pytest
from computesdk import (
    Compute, ComputeSDKError, CreateSandboxOptions, FileSystem, ForbiddenError, GatewayConfig, RunCommandOptions, Sandbox,
    StartServerOptions, ValidationError, create_config)
from computesdk.compute import SandboxResource
from computesdk.protocol import BinaryProtocol
from computesdk.websocket_client import TerminalSession, WebSocketClient

from asynchronously import asynchronously

HERE = pathlib.Path(__file__).resolve().parent
TABLE = HERE.parents[1] / "docs/clients.md"
CLASSES = (Compute, SandboxResource, Sandbox, FileSystem, WebSocketClient, TerminalSession, BinaryProtocol)


def of(sandbox, **options):
    """HTTP to a compute, for what the client cannot send."""
    return httpx.AsyncClient(
        base_url=sandbox.get_sandbox_url(), headers={"Authorization": f"Bearer {sandbox.get_token()}"},
        trust_env=False, timeout=30, **options)


# --- nothing of it is forgotten ---

@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_method_of_the_client_is_called_by_a_test_and_stands_in_the_table(kind):
    methods = [name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")]
    assert methods
    tests = "\n".join(path.read_text() for path in HERE.glob("test_*.py"))
    table = TABLE.read_text()
    assert [name for name in methods if f".{name}(" not in tests] == []
    assert [name for name in methods if not re.search(rf"`[^`]*\b{name}\b[^`]*`", table)] == []


def test_every_test_that_the_table_names_exists():
    table = TABLE.read_text()
    clients = re.findall(r"`test_(\w+)::(\w+)`", table)
    suites = re.findall(r"`(\w+Tests)\.(\w+)`", table)
    assert len(clients) > 50 and suites
    for file, name in clients:
        assert re.search(rf"^(async )?def test_{name}\(", (HERE / f"test_{file}.py").read_text(), re.MULTILINE), (file, name)
    swift = {path: path.read_text() for path in HERE.parent.rglob("*.swift")}
    for suite, name in suites:
        assert any(
            re.search(rf"(struct|extension) {suite}\b", text) and f"func {name}(" in text for text in swift.values()), (
                suite, name)


# --- configuration ---

@asynchronously
async def test_the_client_finds_its_settings_in_the_environment(system, monkeypatch):
    monkeypatch.setenv("COMPUTESDK_API_KEY", system.key)
    monkeypatch.setenv("COMPUTESDK_PROVIDER", "operator")
    monkeypatch.setenv("COMPUTESDK_GATEWAY_URL", system.url)
    async with Compute() as compute:
        sandbox = await compute.sandbox.create()
        assert (await sandbox.run_command("echo hello")).stdout == "hello\n"
        await sandbox.destroy()
    # The instance that the module offers, as its documentation begins with.
    computesdk.compute.set_config(create_config())
    sandbox = await computesdk.compute.sandbox.create()
    await sandbox.destroy()
    await computesdk.compute.close()


@asynchronously
async def test_headers_for_other_providers_change_nothing(system):
    config = GatewayConfig(
        api_key=system.key, provider="e2b", gateway_url=system.url + "/", provider_headers={"X-E2B-API-Key": "secret"})
    async with Compute(config) as compute:
        sandbox = await compute.sandbox.create(CreateSandboxOptions(name="by-name", namespace="of-clients"))
        try:
            assert (sandbox.name, sandbox.namespace) == ("by-name", "of-clients")
            found = await compute.sandbox.find("by-name", namespace="of-clients")
            assert found.sandbox_id == sandbox.sandbox_id
            assert "secret" not in system.log.read_text()
        finally:
            await sandbox.destroy()


@asynchronously
async def test_a_compute_is_used_with_nothing_but_its_url_and_a_token(connect):
    async with connect() as compute:
        made = await compute.sandbox.create()
        try:
            token = (await made.create_session_token()).token
            async with Sandbox(made.sandbox_id, made.get_sandbox_url(), token, "operator") as direct:
                assert (await direct.run_command("echo hello")).stdout == "hello\n"
                await direct.filesystem.write_file("a", "1")
                with pytest.raises(ForbiddenError):
                    await direct.create_magic_link()
                old = direct._client
                direct.set_token(made.get_token())
                await old.close()
                assert direct.get_token() == made.get_token()
                assert await direct.filesystem.read_file("a") == "1"
                assert (await direct.create_magic_link()).magic_url
            # Leaving the block closes connections; the compute lives until somebody destroys it.
            assert (await made.run_command("cat a")).stdout == "1"
        finally:
            await made.destroy()


# --- files and environment files ---

@asynchronously
async def test_many_files_are_written_at_once(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            files = {f"many/{number}/file-{number}.txt": f"ä€😀 {number}\n" for number in range(50)}
            await sandbox.filesystem.batch_write([{"path": p, "content": c} for p, c in files.items()])
            for path in ("many/0/file-0.txt", "many/49/file-49.txt"):
                assert await sandbox.filesystem.read_file(path) == files[path]
            assert len(await sandbox.filesystem.readdir("many")) == 50
            with pytest.raises(ValidationError, match="files"):
                await sandbox.filesystem.batch_write([{"path": 5, "content": "x"}])
        finally:
            await sandbox.destroy()


@asynchronously
async def test_variables_of_environment_files_are_read_and_removed(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            assert not await sandbox.env_exists()
            async with of(sandbox) as client:
                for file, variables in ((".env", {"A": "one", "B": "t w o", "C": "3"}), ("config/prod.env", {"A": "2"})):
                    answer = await client.post("/env", params={"file": file}, json={"variables": variables})
                    assert answer.status_code == 200, answer.text
            assert await sandbox.env_exists()
            assert await sandbox.env_exists("config/prod.env")
            # The client hands the whole answer out, not the variables alone.
            assert await sandbox.get_env() == {"file": ".env", "variables": {"A": "one", "B": "t w o", "C": "3"}}
            await sandbox.delete_env(["B", "not-there"])
            assert (await sandbox.get_env())["variables"] == {"A": "one", "C": "3"}
            await sandbox.delete_env(["A"], "config/prod.env")
            assert (await sandbox.get_env("config/prod.env"))["variables"] == {}
            result = await sandbox.run_command("set -a; . ./.env; echo $A-$C")
            assert result.stdout == "one-3\n"
        finally:
            await sandbox.destroy()


# --- code, servers ---

LANGUAGES = {
    "python": "print(6 * 7)", "python3": "print(6 * 7)", "node": "console.log(6 * 7)", "javascript": "console.log(6 * 7)",
    "js": "console.log(6 * 7)", "bash": "echo $((6 * 7))", "sh": "echo $((6 * 7))", "ruby": "puts 6 * 7",
    "deno": "console.log(6 * 7)", "bun": "console.log(6 * 7)",
}


@asynchronously
async def test_code_runs_in_every_language_or_says_which_interpreter_is_missing(connect):
    programs = {"python3": "python", "javascript": "node", "js": "node"}
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            for name, code in LANGUAGES.items():
                program = {"python": "python3"}.get(name, "python3" if name == "python3" else programs.get(name, name))
                there = (await sandbox.run_command(f"command -v {program}")).exit_code == 0
                result = await sandbox.run_code(code, name)
                if there:
                    assert (result.output, result.exit_code) == ("42\n", 0), name
                else:
                    assert result.exit_code == 127 and program in result.output, (name, result)
                assert result.language == programs.get(name, name), name
            # The client names python where nothing is named; `None` goes through and is told by the code's looks.
            assert (await sandbox.run_code("import sys\nprint(sys.version_info[0])")).output == "3\n"
            assert (await sandbox.run_code("#!/bin/bash\necho looks", None)).language == "bash"
        finally:
            await sandbox.destroy()


@asynchronously
async def test_a_server_takes_its_environment_from_a_file_and_its_status_from_the_client(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            await sandbox.filesystem.write_file("app/.env", "GREETING='from the file'\n")
            server = await sandbox.start_server(StartServerOptions(
                slug="app", command='echo "$GREETING in $PWD"; exec sleep 1000', path="app", env_file=".env"))
            assert (server.slug, server.start.startswith("echo")) == ("app", True)
            await sandbox.update_server_status("app", "ready")
            assert (await sandbox.get_server("app")).status == "ready"
            async with of(sandbox) as client:
                logs = (await client.get("/servers/app/logs")).json()["data"]["logs"]
                assert logs.startswith("from the file in ") and logs.endswith("/app\n")
            with pytest.raises(ValidationError, match="status"):
                await sandbox.update_server_status("app", "sleeping")
            await sandbox.update_server_status("app", "stopped")
            assert [(s.slug, s.status) for s in await sandbox.list_servers()] == [("app", "stopped")]
        finally:
            await sandbox.destroy()


# --- the client's own mistakes: when one of these fails, the client has learned something ---

@asynchronously
async def test_mistake_variables_cannot_be_set_by_the_client(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            with pytest.raises(TypeError, match="params"):
                await sandbox.set_env({"A": "1"})
        finally:
            await sandbox.destroy()


@asynchronously
async def test_mistake_the_url_of_a_port_is_that_of_another_domain(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            assert (await sandbox.get_url(3000)).endswith("-3000.preview.computesdk.com")
        finally:
            await sandbox.destroy()


@asynchronously
async def test_mistake_a_name_is_not_kept_by_get_by_id(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.find_or_create("kept-by-find-alone")
        try:
            assert (await compute.sandbox.get_by_id(sandbox.sandbox_id)).name is None
            assert (await compute.sandbox.find("kept-by-find-alone")).name == "kept-by-find-alone"
        finally:
            await sandbox.destroy()


@asynchronously
async def test_mistake_a_timeout_of_a_command_is_never_sent(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            result = await sandbox.run_command("sleep 2; echo whole", RunCommandOptions(timeout=1))
            assert (result.stdout, result.exit_code) == ("whole\n", 0)
        finally:
            await sandbox.destroy()


@asynchronously
async def test_mistake_directories_are_made_unquoted_and_failures_are_not_told(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            await sandbox.filesystem.mkdir("two words")
            assert await sandbox.filesystem.exists("two") and await sandbox.filesystem.exists("words")
            await sandbox.filesystem.write_file("file", "x")
            await sandbox.filesystem.mkdir("file/below")
            assert not await sandbox.filesystem.exists("file/below")
            await sandbox.filesystem.batch_write([
                {"path": "file/below", "content": "lost"}, {"path": "beside", "content": "written"}])
            assert await sandbox.filesystem.exists("beside")
        finally:
            await sandbox.destroy()


@asynchronously
async def test_mistake_a_sandbox_made_by_hand_destroys_and_extends_nothing(connect):
    async with connect() as compute:
        made = await compute.sandbox.create()
        try:
            direct = Sandbox(made.sandbox_id, made.get_sandbox_url(), made.get_token(), "operator")
            await direct.extend()
            await direct.destroy()
            assert (await made.run_command("echo alive")).stdout == "alive\n"
            await made.extend()
        finally:
            await made.destroy()


@asynchronously
async def test_mistake_encodings_of_terminals_are_forgotten_by_list_and_get(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            made = await sandbox.create_terminal(computesdk.CreateTerminalOptions(encoding="base64"))
            assert made.encoding == "base64"
            assert (await sandbox.get_terminal(made.id)).encoding is None
            assert [t.encoding for t in await sandbox.list_terminals()] == [None]
            async with of(sandbox) as client:
                assert (await client.get(f"/terminals/{made.id}")).json()["data"]["encoding"] == "base64"
        finally:
            await sandbox.destroy()


@asynchronously
async def test_a_status_that_the_client_has_no_class_for_keeps_its_text(connect, raw):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            with pytest.raises(ComputeSDKError) as refused:
                for _ in range(2):
                    await sandbox.start_server(StartServerOptions(slug="taken", command="exec sleep 1000"))
            assert refused.value.status_code == 409 and "taken" in str(refused.value)
        finally:
            await sandbox.destroy()
