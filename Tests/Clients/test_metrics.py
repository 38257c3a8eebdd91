"""`/metrics` of every part of a running system: true, and as Prometheus wants it."""
import pathlib
import re
import shutil
import subprocess

import httpx
import websockets

from asynchronously import asynchronously
from conftest import connected
from running_system import ISOLATION, ROOT, eventually, free_port

PROMTOOL = shutil.which("promtool") or ROOT / ".build/tools/promtool"


def lint(text):
    """What Prometheus's own tool thinks of it: it exits with 3 over a missing help, a bad name, a counter without `_total`."""
    run = subprocess.run([PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def value(text, name, **labels):
    """Of the one series with these labels, whatever others it has; 0 when there is none."""
    found = [
        float(line.rpartition(" ")[2]) for line in text.splitlines()
        if re.match(rf"{name}[ {{]", line) and all(f'{label}="{wanted}"' in line for label, wanted in labels.items())]
    return sum(found)


@asynchronously
async def test_what_a_system_does_is_counted_where_it_happens(start_system):
    port = free_port()
    system = start_system(COMPUTESDK_METRICS_LISTEN=f"127.0.0.1:{port}")

    def metrics():
        return httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text

    eventually("the pool is full", lambda: value(metrics(), "computesdk_pool_idle") == 2)
    async with connected(system) as compute:
        sandbox = await compute.sandbox.create()
        await sandbox.run_command("true")
        url = f"{system.url.replace('http', 'ws', 1)}/s/{sandbox.sandbox_id}/ws?token={sandbox.get_token()}"
        async with websockets.connect(url):
            eventually("the socket is counted", lambda: value(metrics(), "computesdk_gateway_open_tunnels") == 1)
        eventually("and counted off", lambda: value(metrics(), "computesdk_gateway_open_tunnels") == 0)
        await sandbox.destroy()
    httpx.get(f"{system.url}/no/such/route", trust_env=False)
    text = metrics()
    lint(text)
    assert value(text, "computesdk_api_places_total", source="pool") == 1
    assert value(text, "computesdk_api_requests_total", method="POST", route="/v1/sandboxes", status=200) == 1
    assert value(text, "computesdk_api_requests_total", route="-", status=404) == 1
    assert value(text, "computesdk_api_computes_ended_total", reason="deleted") == 1
    assert value(text, "computesdk_api_create_stage_duration_seconds_count", stage="claim") == 1
    assert value(text, "computesdk_gateway_requests_total", destination="sidekick", status=101) == 1
    assert value(text, "computesdk_gateway_requests_total", destination="sidekick", status=200) >= 1
    assert value(text, "computesdk_gateway_request_duration_seconds_count", destination="api") >= 2
    # Nothing of anybody is in it.
    assert sandbox.sandbox_id not in text and system.key not in text


def test_metrics_are_asked_for_where_they_are_and_nowhere_else(start_system):
    port = free_port()
    system = start_system(COMPUTESDK_METRICS_LISTEN=f"127.0.0.1:{port}")
    with httpx.Client(trust_env=False) as client:
        assert client.get(f"{system.url}/metrics").status_code == 404
        assert client.get(f"http://127.0.0.1:{port}/").status_code == 404
        refused = client.post(f"http://127.0.0.1:{port}/metrics")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


def test_a_sidekick_says_how_it_is_as_prometheus_wants_it(start_system):
    if ISOLATION != "process":
        # In a container it listens in a network of its own; it is the same executable.
        return
    system = start_system()
    sockets = eventually("a member is there", lambda: [
        path for path in pathlib.Path(system.data).rglob("i.sock") if path.is_socket()])
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(sockets[0])), trust_env=False) as client:
        answer = client.get("http://sidekick/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lint(answer.text)
    assert value(answer.text, "computesdk_sidekick_resident_memory_bytes") > 0
