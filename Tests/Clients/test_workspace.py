"""What a create orders (overlays, servers), and child sandboxes, with the public client where it has them."""
import httpx
import pytest
from computesdk import NotFoundError

from asynchronously import asynchronously
from running_system import eventually


def test_overlays_and_servers_of_a_create_are_there_soon_after_it(raw):
    created = raw.post("/v1/sandboxes", json={
        "directory": "/tmp/ordered",
        "overlays": [{"source": "/etc/skel", "target": "site"}],
        "servers": [{"slug": "site", "start": "exec python3 -m http.server --bind 0.0.0.0 $PORT", "path": "site"}]})
    assert created.status_code == 200, created.text
    sandbox = created.json()["data"]
    try:
        with httpx.Client(timeout=30, trust_env=False) as browser:
            def ready():
                answer = browser.get(sandbox["url"] + "/ready").json()
                assert answer["healthy"], answer
                return answer if answer["ready"] else None

            answer = eventually("the servers", ready)
            assert [o["copy_status"] for o in answer["overlays"]] == ["complete"]
            assert answer["setup"]["status"] == "complete"
            page = browser.get(answer["servers"][0]["url"].rstrip("/") + "/.profile")
            assert page.status_code == 200 and page.text
    finally:
        raw.delete(f"/v1/sandboxes/{sandbox['sandboxId']}")


@pytest.mark.parametrize("body, field", [
    ({"servers": [{"slug": "a"}]}, "servers[0].start"),
    ({"overlays": [{"source": "etc", "target": "a"}]}, "overlays[0].source"),
    ({"overlays": [{"source": "/etc", "target": "../a"}]}, "overlays[0].target"),
    ({"overlays": ["x"]}, "overlays[0]"),
    ({"servers": {}, "overlays": 1}, "overlays"),
])
def test_an_order_that_makes_no_sense_is_refused_by_field(raw, body, field):
    answer = raw.post("/v1/sandboxes", json=body)
    assert (answer.status_code, answer.json().get("field")) == (400, field), answer.text


@asynchronously
async def test_a_child_is_a_directory_with_a_url_of_its_own(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            child = await sandbox.create_child_sandbox()
            assert not child["is_main"]
            listed = await sandbox.list_child_sandboxes()
            assert [c["is_main"] for c in listed] == [True, False]
            assert (await sandbox.get_child_sandbox(child["subdomain"]))["url"] == child["url"]
            await sandbox.filesystem.write_file(child["directory"] + "/inside", "here")
            async with httpx.AsyncClient(trust_env=False, timeout=30) as browser:
                answer = await browser.get(
                    child["url"] + "/files/inside?content=true",
                    headers={"Authorization": f"Bearer {sandbox.get_token()}"})
                assert answer.json()["content"] == "here", answer.text
            await sandbox.destroy_child_sandbox(child["subdomain"], delete_files=True)
            with pytest.raises(NotFoundError):
                await sandbox.get_child_sandbox(child["subdomain"])
            assert not await sandbox.filesystem.exists(child["directory"] + "/inside")
        finally:
            await sandbox.destroy()
