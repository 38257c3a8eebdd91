"""The life of a compute, through the public client."""
import time

import httpx
import pytest
from computesdk import CreateSandboxOptions, NotFoundError, RunCommandOptions

from asynchronously import asynchronously


@asynchronously
async def test_a_command_gives_its_output_its_errors_and_its_exit_code(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            result = await sandbox.run_command("echo out; echo err >&2; exit 7")
            assert (result.stdout, result.stderr, result.exit_code) == ("out\n", "err\n", 7)
            assert 0 <= result.duration_ms < 20_000

            fine = await sandbox.run_command("printf 'ä€😀'")
            assert (fine.stdout, fine.stderr, fine.exit_code) == ("ä€😀", "", 0)
        finally:
            await sandbox.destroy()


@asynchronously
async def test_a_command_takes_a_directory_an_environment_and_a_shell(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create(CreateSandboxOptions(envs={"COLOUR": "blue", "SIZE": "1"}))
        try:
            await sandbox.filesystem.mkdir("work/inner")
            result = await sandbox.run_command(
                'echo "$COLOUR $SIZE"; basename "$PWD"', RunCommandOptions(cwd="work/inner", env={"SIZE": "2"}))
            assert result.stdout == "blue 2\ninner\n"

            bash = await sandbox.run_command('echo "${BASH_VERSION:+bash}"', RunCommandOptions(shell="bash"))
            assert bash.stdout == "bash\n"
        finally:
            await sandbox.destroy()


@asynchronously
async def test_a_command_that_cannot_be_found_is_an_exit_code_and_not_an_error(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            result = await sandbox.run_command("no-such-program-anywhere")
            assert result.exit_code == 127
            assert "no-such-program-anywhere" in result.stderr
        finally:
            await sandbox.destroy()


@asynchronously
async def test_a_command_returns_although_a_grandchild_holds_its_output(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            start = time.monotonic()
            result = await sandbox.run_command("sleep 25 & echo started")
            assert result.stdout == "started\n"
            assert time.monotonic() - start < 15
        finally:
            await sandbox.destroy()


@asynchronously
async def test_what_create_was_told_comes_back(connect, raw):
    async with connect() as compute:
        metadata = {"team": "blue", "nested": {"n": [1, 2.5, None, True]}}
        sandbox = await compute.sandbox.create(CreateSandboxOptions(timeout=600_000, metadata=metadata))
        try:
            assert sandbox.metadata == metadata
            assert sandbox.provider
            again = await compute.sandbox.get_by_id(sandbox.sandbox_id)
            assert again.metadata == metadata
            assert again.get_sandbox_url() == sandbox.get_sandbox_url()
            assert (await again.run_command("echo still here")).stdout == "still here\n"

            listed = raw.get("/v1/sandboxes").json()
            assert listed["success"] is True
            assert sandbox.sandbox_id in [entry["sandboxId"] for entry in listed["data"]]
        finally:
            await sandbox.destroy()


@asynchronously
async def test_info_and_health_answer(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            assert await sandbox.health()
            info = await sandbox.get_info()
            assert info.status == "running"
        finally:
            await sandbox.destroy()


@asynchronously
async def test_extend_moves_the_end_of_a_compute(connect, raw):
    async with connect() as compute:
        sandbox = await compute.sandbox.create(CreateSandboxOptions(timeout=60_000))
        try:
            await sandbox.extend(120_000)
            first = raw.post(f"/v1/sandboxes/{sandbox.sandbox_id}/extend", json={"duration": 60_000}).json()
            second = raw.post(f"/v1/sandboxes/{sandbox.sandbox_id}/extend", json={"duration": 60_000}).json()
            assert first["success"] is True
            # RFC 3339 in UTC, so that text sorts as time does.
            assert first["data"]["expiresAt"] < second["data"]["expiresAt"]
        finally:
            await sandbox.destroy()


@asynchronously
async def test_a_compute_ends_when_its_time_is_over(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create(CreateSandboxOptions(timeout=1_000))
        deadline = time.monotonic() + 30
        with pytest.raises(NotFoundError):
            while time.monotonic() < deadline:
                await compute.sandbox.get_by_id(sandbox.sandbox_id)
                time.sleep(0.1)
        assert not await sandbox.health()


@asynchronously
async def test_a_named_compute_is_found_and_made_once(connect):
    async with connect() as compute:
        assert await compute.sandbox.find("the-one") is None
        made = await compute.sandbox.find_or_create("the-one", options=CreateSandboxOptions(metadata={"n": 1}))
        try:
            assert (made.name, made.namespace) == ("the-one", "default")
            same = await compute.sandbox.find_or_create("the-one", options=CreateSandboxOptions(metadata={"n": 2}))
            found = await compute.sandbox.find("the-one")
            assert same.sandbox_id == found.sandbox_id == made.sandbox_id
            assert found.metadata == {"n": 1}

            other = await compute.sandbox.find_or_create("the-one", namespace="elsewhere")
            assert other.sandbox_id != made.sandbox_id
            await other.destroy()
        finally:
            await made.destroy()
        assert await compute.sandbox.find("the-one") is None
        anew = await compute.sandbox.find_or_create("the-one")
        assert anew.sandbox_id != made.sandbox_id
        await anew.destroy()


@asynchronously
async def test_a_destroyed_compute_is_gone_everywhere(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        url, token = sandbox.get_sandbox_url(), sandbox.get_token()
        await sandbox.destroy()
        with pytest.raises(NotFoundError):
            await compute.sandbox.get_by_id(sandbox.sandbox_id)
        with pytest.raises(NotFoundError):
            await sandbox.destroy()
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(
                f"{url}/run/command", json={"command": "true"}, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 404


@asynchronously
async def test_a_repeated_create_with_an_idempotency_key_is_the_same_compute(connect, raw):
    headers = {"Idempotency-Key": "create-me-once"}
    first = raw.post("/v1/sandboxes", json={"metadata": {"n": 1}}, headers=headers).json()["data"]
    second = raw.post("/v1/sandboxes", json={"metadata": {"n": 1}}, headers=headers).json()["data"]
    try:
        assert first["sandboxId"] == second["sandboxId"]
        other = raw.post("/v1/sandboxes", json={"metadata": {"n": 2}}, headers=headers)
        assert other.status_code in (409, 422)
    finally:
        raw.delete(f"/v1/sandboxes/{first['sandboxId']}")


@asynchronously
async def test_events_tell_the_life_of_a_compute_page_by_page(connect, raw):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        await sandbox.destroy()
    seen, cursor = [], None
    for _ in range(50):
        query = {"sandboxId": sandbox.sandbox_id, "limit": 1} | ({"after": cursor} if cursor else {})
        page = raw.get("/v1/events", params=query).json()
        seen += [event["type"] for event in page["data"]]
        if not page["data"] or not page.get("next"):
            break
        cursor = page["next"]
    assert seen[:2] == ["ComputeRequested", "ComputeStarted"]
    assert len(seen) > 2, "its end is an event as well"
    assert len(seen) == len(set(seen))
