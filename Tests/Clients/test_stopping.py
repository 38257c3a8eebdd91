"""Stopping a compute and starting it again, seen by the public client that goes on with what it has."""
import time

from computesdk import CreateSandboxOptions

from asynchronously import asynchronously


def change(raw, sandbox_id, action):
    answer = raw.post(f"/v1/sandboxes/{sandbox_id}/{action}")
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def when_it_says(ask, status, patience=10):
    """The Gateway follows the log: a moment after the answer."""
    deadline = time.monotonic() + patience
    while (answer := ask()).status_code != status:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.05)
    return answer


@asynchronously
async def test_a_stopped_sandbox_goes_on_with_its_files_its_url_and_its_token(connect, raw):
    async with connect() as compute:
        sandbox = await compute.sandbox.create(CreateSandboxOptions(envs={"COLOUR": "blue"}))
        try:
            await sandbox.filesystem.write_file("notes/today.txt", "kept")
            stopped = change(raw, sandbox.sandbox_id, "stop")
            assert stopped["status"] == "stopped"
            assert [each["sandboxId"] for each in raw.get("/v1/sandboxes?state=stopped").json()["data"]] == [
                sandbox.sandbox_id]

            token = {"Authorization": f"Bearer {sandbox.get_token()}"}
            refused = when_it_says(lambda: raw.get(sandbox.get_sandbox_url() + "/files", headers=token), 503)
            assert refused.headers["Retry-After"] == "10"
            assert f"POST /v1/sandboxes/{sandbox.sandbox_id}/start" in refused.json()["error"]

            started = change(raw, sandbox.sandbox_id, "start")
            assert (started["status"], started["url"]) == ("running", sandbox.get_sandbox_url())
            when_it_says(lambda: raw.get(sandbox.get_sandbox_url() + "/files", headers=token), 200)
            assert await sandbox.filesystem.read_file("notes/today.txt") == "kept"
            assert (await sandbox.run_command("echo $COLOUR")).stdout == "blue\n"
        finally:
            await sandbox.destroy()


def test_a_sandbox_whose_time_is_over_is_stopped_where_that_was_asked_for(raw):
    made = raw.post("/v1/sandboxes", json={
        "timeout": 1000, "name": "stops", "lifecycle": {"onExpiry": "stop", "deleteAfterStopped": 3_600_000}})
    assert made.status_code == 200, made.text
    sandbox_id = made.json()["data"]["sandboxId"]
    try:
        deadline = time.monotonic() + 15
        while raw.get(f"/v1/sandboxes/{sandbox_id}").json()["data"]["status"] != "stopped":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert change(raw, sandbox_id, "start")["status"] == "running"
    finally:
        assert raw.delete(f"/v1/sandboxes/{sandbox_id}").status_code == 200
