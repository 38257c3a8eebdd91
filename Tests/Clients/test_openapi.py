"""The description of the API against a running one: schemathesis asks what the description allows and what it forbids.

What is found is a 5xx, a status or a media type that is not described, or a body that is not as described.
"""
import pathlib
import re
import subprocess
import sys

import httpx
import pytest

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.fixture
def api(start_system):
    """A system of its own: schemathesis ends and takes back whatever it can."""
    system = start_system()
    with httpx.Client(base_url=system.url, headers={"X-ComputeSDK-API-Key": system.key}, timeout=30,
                      trust_env=False) as client:
        yield client


def read(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def things(api, sandbox):
    """One of each kind, by the name that it has in paths."""
    secret = read(api.post("/v1/secrets", json={"name": "secret", "value": "x"}))
    webhook = read(api.post("/v1/webhooks", json={"url": "https://hooks.example/all", "active": False}))
    key = read(api.post("/v1/keys", json={"role": "viewer"}))
    session = read(api.post("/v1/sessions"))
    member = read(api.post("/v1/groups/default/members", json={
        "issuer": "https://issuer.example", "subject": "somebody", "role": "viewer"}))
    template = read(api.post("/v1/templates", json={"name": "web", "envs": {"A": "b"}}))
    pool = read(api.post("/v1/pools", json={"name": "warm", "templateId": "web", "size": 0}))
    return {
        "path.pool": pool["poolId"],
        "path.template": template["templateId"], "path.revision": "1",
        "path.id": sandbox["sandboxId"], "path.secret": secret["name"], "path.webhook": webhook["id"],
        "path.key": key["keyId"], "path.session": session["sessionId"], "path.group": "default",
        "path.member": member["memberId"],
    }


def schemathesis(api, folder, phases, parameters=None, token=None, extra=()):
    config = folder / "schemathesis.toml"
    config.write_text("\n".join(["[parameters]"] + [f'"{name}" = "{value}"' for name, value in (parameters or {}).items()]))
    headers = {"X-ComputeSDK-API-Key": api.headers["X-ComputeSDK-API-Key"]} | (
        {"Authorization": f"Bearer {token}"} if token else {})
    run = subprocess.run(
        [pathlib.Path(sys.executable).with_name("st"), "--config-file", config, "run",
         str(api.base_url.join("/openapi.json")), "--checks", CHECKS, "--phases", phases, "--max-examples", "10",
         *(part for name, value in headers.items() for part in ("--header", f"{name}: {value}")),
         # It never ends, as is its purpose; and snapshots are always 501.
         "--exclude-path", "/v1/events/stream", "--exclude-tag", "snapshots", "--seed", "7", "--no-color", "--request-timeout", "30",
         *extra],
        cwd=folder, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stdout[-20000:] + run.stderr[-2000:]
    # That it asked much, and did not give up at the door.
    assert int(re.search(r"(\d+) generated", run.stdout)[1]) > 500, run.stdout


def test_answers_are_as_described_for_ids_that_nobody_has(api, tmp_path):
    schemathesis(api, tmp_path, "fuzzing,stateful")


def test_answers_are_as_described_for_what_is_there(api, tmp_path):
    sandbox = read(api.post("/v1/sandboxes"))
    schemathesis(api, tmp_path, "coverage,fuzzing", things(api, sandbox), sandbox["token"],
                 # What is stopped answers with a 503 from then on, as it is to.
                 extra=("--exclude-path-regex", "/stop$"))
