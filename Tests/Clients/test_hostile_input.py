"""Whatever is sent to a route of the API, it is the sender's fault or it is done: never ours, and never a wait."""
import json
import uuid

import httpx
import pytest

from running_system import RunningSystem

# Quotes and comments of SQL, what patterns and formats mean, ends of strings and lines, and what is no text at all.
TEXTS = [
    "'; DROP TABLE events; --", '" OR ""="', "1) UNION SELECT * FROM counters --", "%' LIKE '%", "$1 :group ?1", "\\", "a\nb",
    "${jndi:ldap://x}", "../../etc/passwd", "{{7*7}}", "%s%n", "\u202eabc", "é" * 300, "\U0001f4a5", "x" * 5000,
]
BODIES = [
    b'{"name":"a","name":"b"}', b'{"timeout":1e999}', b'{"timeout":99999999999999999999999999}', b'{"timeout":-0.0e-400}',
    b'{"name":"\\u0000"}', b'{"name":"\\ud800"}', b'{"name":"\xff\xfe"}', b"\xef\xbb\xbf{}", b'{"name":["a"]}', b'{"name":{}}',
    b'{"name":null,"url":null,"role":null}', b"[" * 10_000, b'{"a":' * 1000 + b"1" + b"}" * 1000, b"{" + b'"a":1,' * 100 + b"}",
    b"nul", b"\x00", b'{"metadata":{"":""}}', b'{"envs":{"A=B":"c"}}', b'{"__proto__":{"role":"owner"}}', b"{}{}",
    b'{"metadata":{"a":' + b"9" * 5000 + b"}}",
]


@pytest.fixture(scope="module")
def system():
    """One of these tests' own: some of what they send is done."""
    system = RunningSystem(COMPUTESDK_RATE_LIMIT="0")
    try:
        system.start()
        yield system
        code = system.stop()
        processes, directories = system.remains()
        assert (code, processes, directories) == (0, {}, []), system.what_it_said()
    finally:
        system.clean_up()


def routes(raw):
    """Every method and path of the API's own description, but the one whose answer has no end."""
    paths = raw.get("/openapi.json").json()["paths"]
    for path, operations in paths.items():
        for method, operation in operations.items():
            if path != "/v1/events/stream" and isinstance(operation, dict) and "responses" in operation:
                yield method.upper(), path, operation


def filled(path, text):
    """The path with that in place of each of its parts that vary."""
    parts = ["".join(f"%{byte:02X}" for byte in text.encode()) if part.startswith("{") else part
             for part in path.split("/")]
    return "/".join(parts)


def expect_an_answer(answer, what):
    assert answer.status_code < 500 or answer.status_code == 501, (what, answer.status_code, answer.text)
    if answer.status_code >= 400:
        error = answer.json()
        assert error["success"] is False and error["code"] and error["message"], (what, answer.text)


def test_hostile_bodies_are_refused_at_every_route(raw):
    count = 0
    for method, path, _ in routes(raw):
        if method not in ("POST", "PUT", "PATCH"):
            continue
        for body in BODIES:
            answer = raw.request(
                method, filled(path, "nobody0000"), content=body, headers={"Content-Type": "application/json"})
            expect_an_answer(answer, (method, path, body[:60]))
            count += 1
    assert count > 300


def test_hostile_paths_and_queries_are_refused_at_every_route(raw):
    count = 0
    for method, path, operation in routes(raw):
        queries = [entry["name"] for entry in operation.get("parameters", []) if entry.get("in") == "query"]
        for text in TEXTS:
            if "{" in path:
                expect_an_answer(raw.request(method, filled(path, text)), (method, path, text[:40]))
                count += 1
            # What only reads; a list that is asked for wrongly is told so.
            for name in queries if method == "GET" else []:
                answer = raw.get(filled(path, "nobody0000"), params={name: text})
                expect_an_answer(answer, (method, path, name, text[:40]))
                count += 1
    assert count > 300


def test_a_path_that_is_no_text_is_refused(raw):
    for end in ("%00", "%FF", "%C0%AF", "%", "%2", "%zz", "a%00b"):
        for path in ("/v1/sandboxes/", "/v1/templates/", "/v1/secrets/", "/v1/groups/"):
            expect_an_answer(raw.get(path + end), path + end)


@pytest.mark.parametrize("text", [text for text in TEXTS if len(text) < 1000])
def test_what_is_text_comes_back_as_it_was(raw, text):
    name = f"t-{uuid.uuid4().hex[:12]}"
    made = raw.post("/v1/templates", json={"name": name, "description": text, "metadata": {"said": text}})
    assert made.status_code == 200, made.text
    try:
        read = raw.get(f"/v1/templates/{name}").json()["data"]
        assert (read["description"], read["metadata"]) == (text, {"said": text})
        assert name in [entry["name"] for entry in raw.get("/v1/templates").json()["data"]], "nothing was dropped"
    finally:
        raw.delete(f"/v1/templates/{name}")


def test_a_doubled_header_a_wrong_type_and_a_wrong_length_are_answered(system):
    with httpx.Client(base_url=system.url, trust_env=False, timeout=30) as client:
        key = ("X-API-Key", system.key)
        for headers in (
                [key, key], [key, ("Content-Type", "application/xml")], [key, ("Content-Type", "text/plain; charset=x")],
                [key, ("Idempotency-Key", "'; --")], [key, ("Idempotency-Key", "x" * 4000)], [key, ("X-Request-Id", "';--")],
                [key, ("traceparent", "00-x-y-z")], [key, ("X-Forwarded-For", "' OR 1=1 --")]):
            answer = client.post("/v1/sandboxes/find", content=json.dumps({"name": "nobody"}), headers=headers)
            expect_an_answer(answer, headers)
