"""What the TypeScript clients ask and read, spoken by hand: their requests as they send them, the fields that they need.

The clients themselves are not run. Where they would trip (an answer without JSON, an event too late, a binary frame), a
test here fails.
"""
import asyncio
import contextlib
import json
import time

import httpx
import pytest
import websockets

from asynchronously import asynchronously
from running_system import free_port


@contextlib.asynccontextmanager
async def made(raw, **fields):
    """A compute as the client has it: what create answered, and HTTP to its URL."""
    answer = raw.post("/v1/sandboxes", json=fields)
    assert answer.status_code == 200, answer.text
    sandbox = answer.json()["data"]
    try:
        async with httpx.AsyncClient(
                base_url=sandbox["url"], trust_env=False, timeout=30,
                headers={"Authorization": f"Bearer {sandbox['token']}", "Content-Type": "application/json"}) as client:
            yield sandbox, client
    finally:
        raw.delete(f"/v1/sandboxes/{sandbox['sandboxId']}")


async def read(client, method, path, status=200, **options):
    """The answer's document. They parse the body of everything but a 204, and throw when it is not JSON."""
    answer = await client.request(method, path, **options)
    assert answer.status_code == status, (path, answer.text)
    if status == 204:
        assert answer.content == b""
        return None
    assert answer.headers["content-type"].startswith("application/json")
    document = answer.json()
    assert document.get("data", {}) is not None
    return document


def socket_at(sandbox, protocol="binary"):
    """As their native WebSocket: binary is the default, the token is in the query."""
    url = sandbox["url"].replace("http", "ws", 1)
    return websockets.connect(f"{url}/ws?token={sandbox['token']}&protocol={protocol}", user_agent_header="node")


async def events(socket, until, patience=30):
    """What came up to the event of the wanted type. Everything must be text: of binary frames they decode but a few."""
    seen = []
    async with asyncio.timeout(patience):
        while True:
            frame = await socket.recv()
            assert isinstance(frame, str)
            seen.append(json.loads(frame))
            if seen[-1]["type"] == until:
                return seen


async def settled(socket):
    """The connection is known, and all that was sent on it has been read: messages are taken in order."""
    await socket.send(json.dumps({"type": "terminal:input", "data": {"terminal_id": "no-such-terminal", "input": "x"}}))
    await events(socket, "terminal:error")


@asynchronously
async def test_the_first_health_poll_after_a_create_succeeds(raw):
    async with made(raw) as (sandbox, client):
        # The next try would be half a second later.
        assert (await read(client, "GET", "/health"))["status"] == "ok"
        assert (await read(client, "GET", "/ready"))["ready"] is True
        info = (await read(client, "GET", "/info"))["data"]
        assert {"auth_enabled", "main_subdomain", "sandbox_count", "sandbox_url", "timeout", "version", "status"} <= set(info)
        assert (info["sandbox_url"], info["auth_enabled"]) == (sandbox["url"], True)


@asynchronously
async def test_a_create_with_a_directory_and_variables_has_them(raw):
    # What belongs to one provider rides along.
    async with made(raw, directory="/tmp/of-a-create", envs={"A": "1"}, metadata={"m": 1}, ports=[3000]) as (
            sandbox, client):
        assert {"sandboxId", "url", "token", "provider", "metadata"} <= set(sandbox)
        ran = (await read(client, "POST", "/run/command", json={"command": "pwd; echo $A"}))["data"]
        assert ran["stdout"] == "/tmp/of-a-create\n1\n"


@asynchronously
async def test_events_of_programs_are_recorded_and_read_as_the_events_client_does(raw):
    async with made(raw) as (sandbox, _):
        sent = httpx.post(
            raw.base_url.join("/events"), json={"type": "file.changed", "data": {"path": "/a"}}, trust_env=False,
            headers={"Authorization": f"Bearer {sandbox['token']}"}).json()["data"]
        assert {"eventId", "sandboxId", "type", "timestamp"} <= set(sent)
        found = raw.get(f"/events/{sandbox['sandboxId']}", params={"type": "file.changed", "limit": 1000}).json()["data"]
        assert (found["sandboxId"], found["count"]) == (sandbox["sandboxId"], 1)
        assert {"id", "sandboxId", "workspaceId", "type", "data", "timestamp"} <= set(found["events"][0])
        assert (found["events"][0]["id"], found["events"][0]["data"]) == (sent["eventId"], {"path": "/a"})


@asynchronously
async def test_a_session_token_is_read_from_the_top_level_in_camel_case(raw):
    async with made(raw) as (_, client):
        token = await read(client, "POST", "/auth/session_tokens", 201, json={"description": "d", "expiresIn": 60})
        assert {"id", "token", "description", "createdAt", "expiresAt", "expiresIn"} <= set(token)
        listed = (await read(client, "GET", "/auth/session_tokens"))["data"]["tokens"]
        assert {"id", "created_at", "expires_at"} <= set(listed[0])
        await read(client, "DELETE", f"/auth/session_tokens/{token['id']}", 204)


@asynchronously
async def test_files_are_read_from_the_data_and_batches_tell_each_file(raw):
    async with made(raw) as (_, client):
        await read(client, "POST", "/files", 201, json={"path": "a/b.txt", "content": "x"})
        assert (await read(client, "GET", "/files/a/b.txt", params={"content": "true"}))["data"]["content"] == "x"
        for command, exit_code in (("mkdir -p c/d", 0), ("test -e c/d", 0), ("test -e c/e", 1)):
            ran = (await read(client, "POST", "/run/command", json={"command": command}))["data"]
            assert ran["exit_code"] == exit_code
        # Of the oldest clients: what is there is replaced.
        updated = await read(client, "PUT", "/files/a/b.txt", json={"content": "longer"})
        assert updated["data"]["file"]["size"] == 6
        assert (await read(client, "GET", "/files/a/b.txt", params={"content": "true"}))["data"]["content"] == "longer"
        batch = {"files": [{"path": "a/b.txt", "operation": "delete"}, {"path": "n", "operation": "write", "content": ""},
                           {"path": "missing", "operation": "delete"}]}
        results = (await read(client, "POST", "/files/batch", 207, json=batch))["data"]["results"]
        assert {r["path"]: r["success"] for r in results} == {"a/b.txt": True, "n": True, "missing": False}
        await read(client, "DELETE", "/files/c", 204)


@pytest.mark.parametrize("strategy", ["smart", "copy"])
@asynchronously
async def test_an_overlay_is_polled_until_it_is_complete(raw, strategy):
    async with made(raw) as (_, client):
        # What only the client means travels along.
        overlay = await read(client, "POST", "/filesystem/overlays", 201, json={
            "source": "/etc/skel", "target": "home", "ignore": ["*.bak"], "strategy": strategy,
            "waitForCompletion": True})
        assert {"id", "source", "target", "strategy", "created_at", "stats", "copy_status"} <= set(overlay)
        assert {"copied_files", "copied_dirs", "skipped"} <= set(overlay["stats"])
        deadline = time.monotonic() + 30
        while overlay["copy_status"] != "complete":
            assert overlay["copy_status"] in ("pending", "in_progress") and time.monotonic() < deadline
            await asyncio.sleep(0.05)
            overlay = await read(client, "GET", f"/filesystem/overlays/{overlay['id']}")
        assert [o["id"] for o in (await read(client, "GET", "/filesystem/overlays"))["overlays"]] == [overlay["id"]]
        assert (await client.head("/files/home/.profile")).status_code == 200
        await read(client, "DELETE", f"/filesystem/overlays/{overlay['id']}", 204)
        await read(client, "GET", f"/filesystem/overlays/{overlay['id']}", 404)


@asynchronously
async def test_a_command_with_a_timeout_runs_in_the_background_and_is_waited_for(raw):
    async with made(raw) as (_, client):
        begun = (await read(client, "POST", "/run/command", json={
            "command": "sleep 0.5; echo out; echo err >&2; exit 9", "background": True}))["data"]
        path = f"/terminals/{begun['terminal_id']}/commands/{begun['cmd_id']}"
        waited = (await read(
            client, "GET", f"{path}/wait", params={"timeout": 20}, headers={"X-Request-Timeout": "300"}))["data"]
        assert (waited["stdout"], waited["stderr"], waited["exit_code"], waited["status"]) == (
            "out\n", "err\n", 9, "failed")
        assert (await read(client, "GET", path))["data"]["exit_code"] == 9
        begun = (await read(client, "POST", "/run/command", json={"command": "sleep 100", "background": True}))["data"]
        path = f"/terminals/{begun['terminal_id']}/commands/{begun['cmd_id']}"
        await read(client, "GET", f"{path}/wait", 408, params={"timeout": 1})


@asynchronously
async def test_a_terminal_lists_its_commands_and_the_older_route_joins_both_outputs(raw):
    async with made(raw) as (_, client):
        terminal = (await read(client, "POST", "/terminals", 201))["data"]
        assert (terminal["pty"], terminal["status"]) == (False, "ready")
        path = f"/terminals/{terminal['id']}"
        done = (await read(client, "POST", f"{path}/execute", json={"command": "echo one; exit 2"}))["data"]
        background = (await read(client, "POST", f"{path}/execute", json={"command": "true", "async": True}))["data"]
        await read(client, "GET", f"{path}/commands/{background['cmd_id']}/wait")
        listed = (await read(client, "GET", f"{path}/commands"))["data"]
        assert listed["count"] == 2
        assert {c["cmd_id"]: (c["status"], c["exit_code"]) for c in listed["commands"]} == {
            done["cmd_id"]: ("failed", 2), background["cmd_id"]: ("completed", 0)}
        assert all({"command", "started_at", "finished_at", "duration_ms"} <= set(c) for c in listed["commands"])
        once = (await read(client, "POST", "/execute", json={"command": "echo a; echo b >&2"}))["data"]
        assert once["output"] == "a\nb\n"
        detected = (await read(client, "POST", "/run/code", json={"code": "import os\nprint(1 + 1)"}))["data"]
        assert (detected["output"], detected["language"]) == ("2\n", "python")
        await read(client, "DELETE", path, 204)


@asynchronously
async def test_a_streamed_command_in_the_background_goes_on_after_its_start(raw):
    async with made(raw) as (sandbox, client), socket_at(sandbox) as socket:
        begun = (await read(client, "POST", "/run/command", json={
            "command": "echo one; sleep 0.2; echo two >&2", "stream": True, "background": True}))["data"]
        assert begun["status"] == "pending"
        await socket.send(json.dumps({"type": "subscribe", "channel": begun["channel"]}))
        await socket.send(json.dumps({"type": "command:start", "channel": "", "data": {"cmd_id": begun["cmd_id"]}}))
        told = [e for e in await events(socket, "command:exit") if e.get("channel") == begun["channel"]]
        assert [e["type"] for e in told] == ["command:stdout", "command:stderr", "command:exit"]
        assert told[-1]["data"]["exit_code"] == 0


@asynchronously
async def test_a_new_terminal_is_told_of_in_time_to_connections_that_came_before_and_after(raw):
    """The client waits for it up to 5 s, and listens only once the answer is there; it has not subscribed by then."""
    async with made(raw) as (sandbox, client), socket_at(sandbox) as before:
        await settled(before)
        terminal = (await read(client, "POST", "/terminals", 201, json={"pty": True, "shell": "sh"}))["data"]
        assert (terminal["status"], terminal["channel"], terminal["ws_url"]) == (
            "running", f"terminal:{terminal['id']}", "/ws")
        # The first may have come before the answer; the second comes after it.
        assert (await events(before, "terminal:created", 5))[-1]["data"]["id"] == terminal["id"]
        assert (await events(before, "terminal:created", 5))[-1]["data"]["status"] == "running"
        async with socket_at(sandbox) as after:
            assert (await events(after, "terminal:created", 5))[-1]["channel"] == terminal["channel"]
        await read(client, "DELETE", f"/terminals/{terminal['id']}", 204)
        assert (await events(before, "terminal:destroyed"))[-1]["channel"] == terminal["channel"]


@asynchronously
async def test_a_server_keeps_its_definition_when_stopped_and_loses_it_when_deleted(raw):
    async with made(raw) as (_, client):
        await read(client, "POST", "/files", 201, json={"path": "site/.env", "content": "A=file\nB=file\n"})
        body = {
            "slug": "site", "install": "echo installed > installed", "path": "site", "env_file": ".env",
            "start": "echo $A $B; exec python3 -m http.server --bind 0.0.0.0 $PORT", "environment": {"B": "inline"},
            "strict_port": False, "autostart": True, "restart_policy": "on-failure", "max_restarts": 3,
            "restart_delay_ms": 500, "stop_timeout_ms": 5000,
            "health_check": {"path": "/installed", "interval_ms": 200, "timeout_ms": 1500, "delay_ms": 0}}
        created = (await read(client, "POST", "/servers", 201, json=body))["data"]
        assert created["server"]["slug"] == created["slug"] == "site"
        assert (created["restart_delay"], created["stop_timeout"]) == (500_000_000, 5_000_000_000)

        async def server(*wanted):
            async with asyncio.timeout(60):
                while True:
                    record = (await read(client, "GET", "/servers/site"))["data"]["server"]
                    if record["status"] in wanted:
                        return record
                    assert record["status"] != "failed", record
                    await asyncio.sleep(0.05)

        first = await server("ready")
        assert first["pid"] and first["port"] and first["url"] and first["healthy"] is True
        assert {"last_check", "last_status", "consecutive_failures"} <= set(first["health_status"])
        async with httpx.AsyncClient(trust_env=False, timeout=30) as browser:
            assert (await browser.get(first["url"].rstrip("/") + "/installed")).text == "installed\n"
        for stream in ("stdout", "combined"):
            logs = (await read(client, "GET", "/servers/site/logs", params={"stream": stream}))["data"]
            assert logs["stream"] == stream and "file inline\n" in logs["logs"]
        again = (await read(client, "POST", "/servers/site/restart"))["data"]["server"]
        assert again["status"] in ("starting", "running", "restarting", "ready")
        await server("ready")
        assert (await read(client, "POST", "/servers/site/stop"))["data"] == {"slug": "site"}
        assert (await server("stopped"))["start"] == body["start"]
        changed = (await read(client, "PATCH", "/servers/site/status", json={"status": "running"}))["data"]
        assert changed == {"slug": "site", "status": "running"}
        await server("running", "ready")
        assert (await read(client, "DELETE", "/servers/site"))["data"] == {"slug": "site"}
        await read(client, "GET", "/servers/site", 404)


@asynchronously
async def test_a_port_is_signalled_by_path_and_found_by_itself(raw):
    async with made(raw) as (sandbox, client), socket_at(sandbox) as socket:
        await socket.send(json.dumps({"type": "subscribe", "channel": "signals"}))
        await settled(socket)
        await read(client, "POST", "/signals/start")
        said = (await read(client, "POST", "/signals/port/3456/open"))["data"]
        assert (said["port"], said["type"]) == (3456, "open") and "3456" in said["url"]
        while (told := (await events(socket, "signal"))[-1])["data"].get("port") != 3456:
            pass
        assert told["channel"] == "signals" and told["data"]["signal"] == "port"
        port = free_port()
        await read(client, "POST", "/run/command", json={
            "command": f"python3 -m http.server --bind 0.0.0.0 {port} >/dev/null 2>&1 & echo $! > pid"})
        while (told := (await events(socket, "signal"))[-1])["data"].get("port") != port:
            pass
        assert (told["data"]["type"], str(port) in told["data"]["url"]) == ("open", True)
        await read(client, "POST", "/run/command", json={"command": "kill $(cat pid)"})
        while (told := (await events(socket, "signal"))[-1])["data"].get("type") != "close":
            pass
        assert told["data"]["port"] == port


@asynchronously
async def test_a_child_is_told_of_when_it_comes_and_goes(raw):
    async with made(raw) as (sandbox, client), socket_at(sandbox) as socket:
        await settled(socket)
        child = await read(client, "POST", "/sandboxes", 201, json={
            "overlays": [{"source": "/etc/skel", "target": "home"}],
            "servers": [{"slug": "child", "start": "exec sleep 1000"}]})
        assert {"subdomain", "directory", "is_main", "created_at", "url", "overlays", "servers"} <= set(child)
        assert (await events(socket, "sandbox.created"))[-1]["data"]["subdomain"] == child["subdomain"]
        await read(client, "DELETE", f"/sandboxes/{child['subdomain']}", 204, params={"delete_files": "false"})
        assert (await events(socket, "sandbox.deleted"))[-1]["data"]["subdomain"] == child["subdomain"]
        kept = await read(client, "POST", "/run/command", json={"command": f"test -d {child['directory']}"})
        assert kept["data"]["exit_code"] == 0
        main = [c for c in (await read(client, "GET", "/sandboxes"))["sandboxes"] if c["is_main"]][0]
        await read(client, "DELETE", f"/sandboxes/{main['subdomain']}", 400)


@asynchronously
async def test_a_person_who_opens_the_url_sees_a_page_without_a_token(raw):
    async with made(raw) as (sandbox, _), httpx.AsyncClient(trust_env=False, timeout=30) as browser:
        page = await browser.get(sandbox["url"] + "/")
        assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
        assert (await browser.get(sandbox["url"] + "/info")).status_code == 401


@asynchronously
async def test_a_page_of_another_origin_may_ask(raw):
    async with made(raw) as (_, client):
        allowed = await client.options("/run/command", headers={
            "Origin": "https://app.example", "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,x-request-timeout"})
        assert allowed.status_code in (200, 204)
        assert allowed.headers["access-control-allow-origin"] in ("*", "https://app.example")
        asked = {h.strip().lower() for h in allowed.headers["access-control-allow-headers"].split(",")}
        assert {"authorization", "content-type", "x-request-timeout"} <= asked
        answer = await client.get("/info", headers={"Origin": "https://app.example"})
        assert answer.headers["access-control-allow-origin"] in ("*", "https://app.example")


def test_what_is_absent_is_404_and_snapshots_are_not_there_yet(raw):
    """They read a 404 of the gateway as absent: `getById` is null, destroying and extending succeed silently."""
    for method, path in (
            ("GET", "/v1/sandboxes/abcdefghij0123456789"), ("DELETE", "/v1/sandboxes/abcdefghij0123456789"),
            ("POST", "/v1/sandboxes/abcdefghij0123456789/extend")):
        answer = raw.request(method, path)
        assert (answer.status_code, answer.json()["success"]) == (404, False), path
    # So these are none, or the deletion of one would seem to have been done.
    for method, path in (("POST", "/v1/snapshots"), ("GET", "/v1/snapshots"), ("DELETE", "/v1/snapshots/abc")):
        answer = raw.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (501, "not_implemented"), path
    refused = raw.post("/v1/sandboxes", json={"snapshotId": "s"})
    assert (refused.status_code, refused.json()["field"]) == (400, "snapshotId")
