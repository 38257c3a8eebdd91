"""Pools of a group, by plain HTTP: what waits there is what a create gets."""
import httpx

from running_system import ISOLATION, eventually, free_port
from test_metrics import lint, value

# What makes a member of its own kind. Processes have one size and no images, so there it is a pool of the usual ones.
TEMPLATE = {"resources": {"memoryMiB": 256}} if ISOLATION == "gvisor" else {}


class Client:
    def __init__(self, start_system, **settings):
        port = free_port()
        self.system = start_system(pool_size=0, COMPUTESDK_METRICS_LISTEN=f"127.0.0.1:{port}", **settings)
        self.metrics_url = f"http://127.0.0.1:{port}/metrics"
        self.api = httpx.Client(
            base_url=self.system.url, headers={"X-ComputeSDK-API-Key": self.system.key}, timeout=60, trust_env=False)

    def __call__(self, method, path, body=None):
        answer = self.api.request(method, path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def metrics(self):
        return httpx.get(self.metrics_url, trust_env=False).text

    def places(self):
        text = self.metrics()
        return tuple(value(text, "computesdk_api_places_total", source=source) for source in ("pool", "cold"))

    def fill(self, name="warm", size=2):
        eventually(f"the pool {name} is full", lambda: self("GET", f"/v1/pools/{name}")["status"]["idle"] == size)


def run(sandbox, command):
    answer = httpx.post(
        f"{sandbox['url']}/run/command", json={"command": command}, timeout=60, trust_env=False,
        headers={"Authorization": f"Bearer {sandbox['token']}"})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["stdout"]


def memory(sandbox):
    """How much of it the compute really has, in MiB."""
    answer = httpx.get(f"{sandbox['url']}/stats", trust_env=False, headers={"Authorization": f"Bearer {sandbox['token']}"})
    return answer.json()["data"]["memory"]["limit_bytes"] >> 20


def test_a_create_gets_what_waits_and_what_is_personal_comes_with_it(start_system):
    client = Client(start_system)
    client("POST", "/v1/templates", {"name": "t", "envs": {"A": "template", "B": "template"}} | TEMPLATE)
    pool = client("POST", "/v1/pools", {"name": "warm", "templateId": "t", "size": 2})
    assert pool["size"] == 2 and pool["status"]["target"] == 2, pool
    client.fill()

    sandbox = client("POST", "/v1/sandboxes", {"templateId": "t", "envs": {"B": "own"}})
    assert client.places() == (1, 0), "nothing was started for it"
    assert run(sandbox, 'echo "$A $B"') == "template own\n"
    if ISOLATION == "gvisor":
        assert memory(sandbox) == 256, "and it is as large as the template says"
    named = client("POST", "/v1/sandboxes/find-or-create", {"templateId": "t", "name": "n"})
    assert client.places() == (2, 0)
    assert run(named, 'echo "$B"') == "template\n"
    client.fill()

    text = client.metrics()
    lint(text)
    assert value(text, "computesdk_api_group_pool_creates_total", outcome="hit") == 2
    assert value(text, "computesdk_group_pool_idle") == 2 == value(text, "computesdk_group_pool_target")
    assert pool["poolId"] not in text and "warm" not in text

    for directory in ("/proc/x", "/etc/passwd"):
        answer = client.api.post("/v1/sandboxes", json={"templateId": "t", "directory": directory})
        assert answer.status_code == 400 and answer.json()["field"] == "directory", answer.text
    text = client.metrics()
    assert value(text, "computesdk_api_group_pool_creates_total", outcome="hit") == 2, "nobody got those"
    assert client.places() == (4, 0), "one member each"

    client("PATCH", "/v1/pools/warm", {"size": 0})
    eventually("nothing waits", lambda: client("GET", "/v1/pools/warm")["status"]["idle"] == 0)
    client("POST", "/v1/sandboxes", {"templateId": "t"})
    assert client.places() == (4, 1), "an empty pool means a start"
    client("DELETE", "/v1/pools/warm")
    assert run(sandbox, "echo lives") == "lives\n"
    assert client.system.stop() == 0
    assert client.system.remains() == ({}, [])


def test_a_pool_follows_its_template(start_system):
    client = Client(start_system)
    client("POST", "/v1/templates", {"name": "t"} | TEMPLATE)
    client("POST", "/v1/pools", {"name": "warm", "templateId": "t", "size": 2})
    client.fill()
    before = client.system.started()
    client("PUT", "/v1/templates/t", {"name": "t", "envs": {"A": "new"}} | TEMPLATE)
    sandbox = client("POST", "/v1/sandboxes", {"templateId": "t"})
    assert sandbox["templateRevision"] == 2 and run(sandbox, 'echo "$A"') == "new\n"
    assert client.places() == (1, 0), "a revision that makes the same members keeps them"
    if ISOLATION == "gvisor":
        client("PUT", "/v1/templates/t", {"name": "t", "resources": {"memoryMiB": 192}})
        sandbox = client("POST", "/v1/sandboxes", {"templateId": "t"})
        assert sandbox["templateRevision"] == 3 and client.places() == (1, 1), "never one of the old ones"
        eventually("the old ones are replaced", lambda: before.isdisjoint(
            client.system.started()) or len(before & client.system.started()) == 1)
        client.fill()
        assert memory(client("POST", "/v1/sandboxes", {"templateId": "t"})) == 192
        assert client.places() == (2, 1)
    client("DELETE", "/v1/templates/t")
    status = eventually("the pool is empty", lambda: (
        found := client("GET", "/v1/pools/warm")["status"])["health"] == "blocked" and found)
    assert status["idle"] == 0 == status["target"] and "template" in status["reason"]
    assert client.system.stop() == 0
    assert client.system.remains() == ({}, [])


def test_after_a_crash_the_pool_is_filled_anew_and_nothing_is_left_of_before(start_system):
    client = Client(start_system)
    client("POST", "/v1/templates", {"name": "t"} | TEMPLATE)
    client("POST", "/v1/pools", {"name": "warm", "templateId": "t", "min": 2, "max": 4})
    client.fill()
    sandbox = client("POST", "/v1/sandboxes", {"templateId": "t"})
    assert run(sandbox, "echo alive") == "alive\n"
    client.fill(size=client("GET", "/v1/pools/warm")["status"]["target"])
    before = client.system.started()

    client.system.crash()
    client.system.start()
    assert run(sandbox, "echo alive") == "alive\n"
    client.fill()
    # One of before is somebody's; who waited is gone, and others wait.
    eventually("what waited before is gone", lambda: len(before & client.system.started()) == 1)
    assert client.places() == (0, 0)
    again = client("POST", "/v1/sandboxes", {"templateId": "t"})
    assert client.places() == (1, 0) and run(again, "echo new") == "new\n"
    assert client.system.stop() == 0
    assert client.system.remains() == ({}, [])
