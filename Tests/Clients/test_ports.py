"""A server inside a compute, reached from outside by host and by path."""
import socket
import time
import urllib.parse

import httpx

from asynchronously import asynchronously
from running_system import ISOLATION, free_port


async def start_server(sandbox, port):
    # In its own session and with its output elsewhere, so that the command returns and the server stays. A compute in
    # gVisor has addresses of its own; without isolation its loopback is ours.
    host = "0.0.0.0" if ISOLATION == "gvisor" else "127.0.0.1"
    await sandbox.filesystem.write_file("site/index.html", "hello from inside")
    result = await sandbox.run_command(
        f"cd site && setsid python3 -m http.server {port} --bind {host} >/dev/null 2>&1 </dev/null & echo started")
    assert (result.exit_code, result.stdout) == (0, "started\n"), result
    probe = f"import socket; print(socket.socket().connect_ex(('127.0.0.1', {port})))"
    deadline = time.monotonic() + 20
    while (await sandbox.run_command(f'python3 -c "{probe}"')).stdout != "0\n":
        assert time.monotonic() < deadline, "the server in the compute does not listen"


@asynchronously
async def test_the_url_of_a_compute_needs_no_dns_that_is_not_there(connect, system):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            url = urllib.parse.urlsplit(sandbox.get_sandbox_url())
            assert not sandbox.get_sandbox_url().endswith("/")
            socket.getaddrinfo(url.hostname, url.port)
            if url.hostname == "127.0.0.1":
                assert url.path == f"/s/{sandbox.sandbox_id}"
            else:
                assert url.hostname == f"{sandbox.sandbox_id}.localhost"
            assert url.port == system.port
            assert httpx.get(f"{sandbox.get_sandbox_url()}/health", trust_env=False).json()["status"] == "ok"
        finally:
            await sandbox.destroy()


def test_the_path_style_hands_out_paths_and_the_host_style_hosts(start_system):
    for style, expected in (("path", "http://127.0.0.1:{port}/s/{id}"), ("host", "http://{id}.localhost:{port}")):
        system = start_system(COMPUTESDK_URL_STYLE=style, pool_size=1)
        with httpx.Client(
                base_url=system.url, headers={"X-ComputeSDK-API-Key": system.key}, timeout=30, trust_env=False) as raw:
            made = raw.post("/v1/sandboxes", json={}).json()["data"]
        assert made["url"] == expected.format(port=system.port, id=made["sandboxId"])
        assert system.stop() == 0


@asynchronously
async def test_a_private_port_wants_the_token_and_a_change_is_felt_within_a_second(connect, system):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            port = free_port()
            await start_server(sandbox, port)
            token = {"X-ComputeSDK-Token": sandbox.get_token()}
            change = {"ports": {str(port): {"visibility": "private"}}}
            with httpx.Client(base_url=system.url, trust_env=False, timeout=30) as client:
                def get(**headers):
                    host = f"{sandbox.sandbox_id}-{port}.localhost:{system.port}"
                    return client.get("/index.html", headers={"Host": host, **headers})

                def patch(body):
                    headers = {"X-ComputeSDK-API-Key": system.key}
                    answer = client.patch(f"/v1/sandboxes/{sandbox.sandbox_id}", json=body, headers=headers)
                    assert answer.status_code == 200, answer.text
                    return answer.json()["data"]

                def felt(status):
                    deadline = time.monotonic() + 1
                    while (last := get()).status_code != status:
                        assert time.monotonic() < deadline, (status, last.status_code)

                assert get().text == "hello from inside"
                assert patch(change)["ports"] == change["ports"]
                felt(401)
                assert get(**token).text == "hello from inside"
                by_path = f"/s/{sandbox.sandbox_id}/p/{port}/index.html"
                assert client.get(by_path).status_code == 401
                assert client.get(f"{by_path}?token={sandbox.get_token()}").text == "hello from inside"
                assert "ports" not in patch({"ports": {str(port): None}})
                felt(200)
        finally:
            await sandbox.destroy()


@asynchronously
async def test_both_forms_of_a_host_and_the_path_lead_to_the_same_compute(connect, system):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            async with httpx.AsyncClient(base_url=system.url, trust_env=False) as client:
                for path, host in (
                        (f"/s/{sandbox.sandbox_id}/info", f"127.0.0.1:{system.port}"),
                        ("/info", f"{sandbox.sandbox_id}.localhost:{system.port}")):
                    answer = await client.get(
                        path, headers={"Host": host, "Authorization": f"Bearer {sandbox.get_token()}"})
                    assert answer.status_code == 200, (path, host, answer.text)
                    assert answer.json()["data"]["status"] == "running"
        finally:
            await sandbox.destroy()


@asynchronously
async def test_a_port_is_reached_by_both_host_forms_and_by_path(connect, system):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            port = free_port()
            await start_server(sandbox, port)
            async with httpx.AsyncClient(base_url=system.url, trust_env=False) as client:
                for path, host in (
                        ("/index.html", f"{sandbox.sandbox_id}-{port}.localhost"),
                        ("/index.html", f"{port}-{sandbox.sandbox_id}.localhost:{system.port}"),
                        (f"/s/{sandbox.sandbox_id}/p/{port}/index.html", f"127.0.0.1:{system.port}")):
                    answer = await client.get(path, headers={"Host": host, "X-ComputeSDK-Token": sandbox.get_token()})
                    assert (answer.status_code, answer.text) == (200, "hello from inside"), (path, host)

                nobody = free_port()
                answer = await client.get(
                    "/", headers={"Host": f"{sandbox.sandbox_id}-{nobody}.localhost",
                                  "X-ComputeSDK-Token": sandbox.get_token()})
                assert answer.status_code == 502
        finally:
            await sandbox.destroy()
