"""One trace through the whole system: Gateway, API, event log, a server inside."""
import json
import subprocess

import httpx

from asynchronously import asynchronously
from conftest import connected
from running_system import BINARY, ISOLATION, eventually, free_port

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
THEIRS = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "tracestate": "vendor=1"}
# Answers with the headers that it got.
ECHO = """
import http.server, json
class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({k.lower(): v for k, v in self.headers.items()}).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("HOST", PORT), Echo).serve_forever()
"""


def exported(system):
    run = subprocess.run([BINARY.with_name("api"), "export", "--data-dir", system.data], env=system.environment,
                         capture_output=True, text=True, check=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


async def traced(system):
    """What a server inside hears, and what the log says of the create, when somebody comes with a trace of his own."""
    # Without isolation the compute's loopback is ours.
    port, host = free_port(), "0.0.0.0" if ISOLATION == "gvisor" else "127.0.0.1"
    code = ECHO.replace("PORT", str(port)).replace("HOST", host)
    with httpx.Client(base_url=system.url, headers={"X-ComputeSDK-API-Key": system.key} | THEIRS, trust_env=False,
                      timeout=30) as http:
        made = http.post("/v1/sandboxes").json()["data"]
        async with connected(system) as compute:
            sandbox = await compute.sandbox.get_by_id(made["sandboxId"])
            await sandbox.filesystem.write_file("echo.py", code)
            await sandbox.run_command("setsid python3 echo.py >/dev/null 2>&1 </dev/null &")
        url = f"/s/{made['sandboxId']}/p/{port}/"
        heard = eventually("the server answers", lambda: (
            answer := http.get(url)) and answer.status_code == 200 and answer.json())
    requested = [line for line in exported(system) if line["type"] == "ComputeRequested"]
    return heard, requested[-1]["metadata"]["traceId"]


@asynchronously
async def test_a_trace_that_is_trusted_goes_through_the_whole_system(start_system):
    system = start_system(COMPUTESDK_TRUST_TRACEPARENT="true")
    heard, recorded = await traced(system)
    version, trace, span, flags = heard["traceparent"].split("-")
    assert (version, trace, flags, heard["tracestate"]) == ("00", TRACE, "01", "vendor=1")
    assert span != THEIRS["traceparent"].split("-")[2]
    assert recorded == TRACE
    # The API says it in its own lines as well.
    assert any(json.loads(line).get("trace.id") == TRACE for line in system.log.read_text().splitlines()
               if line.startswith("{"))


@asynchronously
async def test_a_trace_of_anybody_is_not_believed(start_system):
    system = start_system()
    heard, recorded = await traced(system)
    assert heard["traceparent"].split("-")[1] not in (TRACE, "0" * 32)
    assert "tracestate" not in heard
    assert len(recorded) == 32 and recorded != TRACE
