"""Templates, which the public client does not know: over plain HTTP."""
import uuid

import httpx
import pytest


@pytest.fixture
def template(raw):
    """A template of this test's own, at revision 1; gone afterwards."""
    name = f"t-{uuid.uuid4().hex[:12]}"
    made = raw.post("/v1/templates", json={
        "name": name, "description": "for a test", "timeout": 120_000, "metadata": {"from": "template", "kept": 1},
        "envs": {"GREETING": "hello", "WHO": "template"}})
    assert made.status_code == 200, made.text
    yield made.json()["data"]
    raw.delete(f"/v1/templates/{made.json()['data']['templateId']}")


def run(sandbox, command):
    with httpx.Client(headers={"Authorization": f"Bearer {sandbox['token']}"}, trust_env=False, timeout=30) as inside:
        answer = inside.post(f"{sandbox['url']}/run/command", json={"command": command})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["stdout"]


def create(raw, **body):
    answer = raw.post("/v1/sandboxes", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def test_a_compute_takes_what_its_template_says_and_the_create_wins(raw, template):
    sandbox = create(raw, templateId=template["name"], envs={"WHO": "create"}, metadata={"from": "create"})
    try:
        assert (sandbox["templateId"], sandbox["templateRevision"]) == (template["templateId"], 1)
        assert run(sandbox, 'echo "$GREETING $WHO"') == "hello create\n"
        seen = raw.get(f"/v1/sandboxes/{sandbox['sandboxId']}").json()["data"]
        assert seen["metadata"] == {"from": "create", "kept": 1}
        assert seen["templateId"] == template["templateId"]
    finally:
        raw.delete(f"/v1/sandboxes/{sandbox['sandboxId']}")


def test_what_is_made_from_one_revision_is_always_made_from_the_same(raw, template):
    path = f"/v1/templates/{template['templateId']}"
    revised = raw.put(path, json={"name": template["name"], "revision": 1, "envs": {"GREETING": "good evening"}})
    assert revised.json()["data"]["revision"] == 2
    stale = raw.put(path, json={"name": template["name"], "revision": 1, "envs": {"GREETING": "late"}})
    assert stale.status_code == 409, stale.text
    assert [entry["revision"] for entry in raw.get(f"{path}/revisions").json()["data"]] == [2, 1]
    assert raw.get(f"{path}/revisions/1").json()["data"]["envs"] == {"GREETING": "hello", "WHO": "template"}
    made = [create(raw, templateId=template["templateId"], templateRevision=1), create(raw, templateId=template["name"])]
    try:
        assert [sandbox["templateRevision"] for sandbox in made] == [1, 2]
        assert [run(sandbox, "echo $GREETING") for sandbox in made] == ["hello\n", "good evening\n"]
    finally:
        for sandbox in made:
            raw.delete(f"/v1/sandboxes/{sandbox['sandboxId']}")


def test_a_name_is_taken_once_and_free_after_a_delete(raw, template):
    again = raw.post("/v1/templates", json={"name": template["name"]})
    assert again.status_code == 409, again.text
    assert raw.delete(f"/v1/templates/{template['name']}").status_code == 200
    assert raw.get(f"/v1/templates/{template['templateId']}").status_code == 404
    anew = raw.post("/v1/templates", json={"name": template["name"]})
    assert anew.status_code == 200 and anew.json()["data"]["templateId"] != template["templateId"]
    raw.delete(f"/v1/templates/{template['name']}")


def test_a_repeated_create_is_the_same_compute_whatever_became_of_the_template(raw, template):
    key = {"Idempotency-Key": uuid.uuid4().hex}
    body = {"templateId": template["templateId"]}
    first = raw.post("/v1/sandboxes", json=body, headers=key).json()["data"]
    try:
        assert raw.delete(f"/v1/templates/{template['templateId']}").status_code == 200
        again = raw.post("/v1/sandboxes", json=body, headers=key)
        assert again.status_code == 200 and again.json()["data"]["sandboxId"] == first["sandboxId"]
        assert raw.post("/v1/sandboxes", json=body).status_code == 400
    finally:
        raw.delete(f"/v1/sandboxes/{first['sandboxId']}")


@pytest.mark.parametrize("body, field", [
    ({"templateId": "nobody-has-this"}, "templateId"), ({"templateId": ""}, "templateId"),
    ({"templateRevision": 1}, "templateRevision"), ({"templateId": 7}, "templateId"),
])
def test_a_create_from_what_is_not_there_names_the_field(raw, body, field):
    answer = raw.post("/v1/sandboxes", json=body)
    assert (answer.status_code, answer.json()["field"]) == (400, field), answer.text


def test_a_revision_that_is_not_there_names_the_field(raw, template):
    answer = raw.post("/v1/sandboxes", json={"templateId": template["name"], "templateRevision": 9})
    assert (answer.status_code, answer.json()["field"]) == (400, "templateRevision"), answer.text


@pytest.mark.parametrize("body, field", [
    ({}, "name"), ({"name": "-x"}, "name"), ({"name": "x" * 64}, "name"), ({"name": "x", "timeout": -1}, "timeout"),
    ({"name": "x", "description": "x" * 1025}, "description"), ({"name": "x", "namespace": "y"}, "namespace"),
    ({"name": "x", "envs": {"A": 1}}, "envs.A"),
])
def test_a_template_that_cannot_be_names_the_field(raw, body, field):
    answer = raw.post("/v1/templates", json=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["field"].startswith(field.split(".")[0]), answer.text


def test_a_group_has_only_so_many_templates(start_system):
    system = start_system(COMPUTESDK_MAX_TEMPLATES="2")
    with httpx.Client(base_url=system.url, headers={"X-API-Key": system.key}, trust_env=False, timeout=30) as raw:
        statuses = [raw.post("/v1/templates", json={"name": f"t{n}"}).status_code for n in range(3)]
        assert statuses == [200, 200, 429]
        assert raw.delete("/v1/templates/t0").status_code == 200
        assert raw.post("/v1/templates", json={"name": "t3"}).status_code == 200
    assert system.stop() == 0
