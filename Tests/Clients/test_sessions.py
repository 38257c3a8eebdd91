"""Tokens that can be taken back, and links that sign a person in."""
import datetime
import time
import urllib.parse

import httpx
import pytest
import websockets
from computesdk import AuthenticationError, CreateSessionTokenOptions, ForbiddenError, NotFoundError

from asynchronously import asynchronously


def seconds_until(text):
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (moment - datetime.datetime.now(datetime.timezone.utc)).total_seconds()


def at(sandbox, token=None):
    """The compute, spoken to without the client."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(base_url=sandbox.get_sandbox_url(), headers=headers, trust_env=False, timeout=30)


@asynchronously
async def test_session_tokens_are_made_listed_read_and_taken_back(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            made = await sandbox.create_session_token(
                CreateSessionTokenOptions(description="for the browser", expires_in=3600))
            assert (made.description, made.expires_in) == ("for the browser", 3600)
            assert 3500 < seconds_until(made.expires_at) <= 3600
            standard = await sandbox.create_session_token()
            assert standard.expires_in == 604800

            listed = await sandbox.list_session_tokens()
            # Oldest first, to the second: two of one second are in either order.
            assert sorted((token.id, token.token, token.expires_in) for token in listed) == sorted([
                (made.id, "", 3600), (standard.id, "", 604800)])
            read = await sandbox.get_session_token(made.id)
            assert (read.id, read.expires_at, read.description) == (made.id, made.expires_at, "for the browser")

            async with at(sandbox, made.token) as session:
                answer = await session.post("/run/command", json={"command": "echo hello"})
                assert answer.json()["data"]["stdout"] == "hello\n"
                assert (await session.get("/auth/status")).json()["data"]["token_type"] == "session_token"

                assert await sandbox.revoke_session_token(made.id) is None
                assert (await session.get("/info")).status_code == 401
                assert (await session.get(f"/info?token={standard.token}")).status_code == 401
            async with at(sandbox) as anonymous:
                assert (await anonymous.get(f"/info?token={standard.token}")).status_code == 200

            await sandbox.revoke_session_token(made.id)
            assert [token.id for token in await sandbox.list_session_tokens()] == [standard.id]
            with pytest.raises(NotFoundError):
                await sandbox.get_session_token(made.id)
        finally:
            await sandbox.destroy()


@asynchronously
async def test_a_session_token_makes_no_tokens(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            made = await sandbox.create_session_token()
            async with at(sandbox, made.token) as session:
                for method, path in (
                        ("POST", "/auth/session_tokens"), ("GET", "/auth/session_tokens"),
                        ("DELETE", f"/auth/session_tokens/{made.id}"), ("POST", "/auth/magic-links")):
                    answer = await session.request(method, path)
                    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), path
            for token, error in ((made.token, ForbiddenError), ("nonsense", AuthenticationError)):
                # The client has no way to be given another token; what it sends is read when it connects.
                await sandbox._client.close()
                sandbox._client.headers["Authorization"] = f"Bearer {token}"
                with pytest.raises(error):
                    await sandbox.list_session_tokens()
        finally:
            await sandbox.destroy()


@asynchronously
async def test_taking_a_token_back_closes_its_open_sockets_within_a_second(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            url = sandbox.get_sandbox_url().replace("http", "ws", 1) + "/ws?token="
            took = []
            # A machine that has something else to do is late once, and a revocation that is not told each time.
            while len(took) < 4 and (not took or took[-1] >= 1):
                made, other = await sandbox.create_session_token(), await sandbox.create_session_token()
                async with websockets.connect(url + made.token, open_timeout=60) as socket, websockets.connect(
                        url + other.token, open_timeout=60) as second:
                    began = time.monotonic()
                    await sandbox.revoke_session_token(made.id)
                    with pytest.raises(websockets.ConnectionClosed) as closed:
                        while True:
                            await socket.recv()
                    took.append(time.monotonic() - began)
                    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "the session is over")
                    await (await second.ping())
            assert took[-1] < 1, took
        finally:
            await sandbox.destroy()


@asynchronously
async def test_a_magic_link_signs_its_visitor_in_once(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            link = await sandbox.create_magic_link("/files?path=.")
            assert link.magic_url.startswith(sandbox.get_sandbox_url() + "/auth/magic?token=")
            assert link.redirect_url == "/files?path=."
            assert 240 < seconds_until(link.expires_at) <= 300
            assert (await sandbox.create_magic_link()).redirect_url == "/play/"

            async with httpx.AsyncClient(trust_env=False, timeout=30) as browser:
                assert (await browser.head(link.magic_url)).status_code == 200
                visit = await browser.get(link.magic_url)
                assert visit.status_code == 302
                target = urllib.parse.urljoin(link.magic_url, visit.headers["location"])
                navigation = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
                page = await browser.get(target, headers=navigation)
                assert page.status_code == 200, page.text
                # In the path form all computes share a host, so there the session is in the address.
                by_host = "/s/" not in sandbox.get_sandbox_url()
                assert ("set-cookie" in visit.headers) == by_host
                if by_host:
                    cookie = visit.headers["set-cookie"]
                    assert cookie.startswith("computesdk_session=") and "; HttpOnly; SameSite=Lax" in cookie
                    assert (await browser.get(target)).status_code == 403
                again = await browser.get(link.magic_url)
                assert again.status_code == 400
                assert again.headers["content-type"].startswith("text/html")
                assert len(await sandbox.list_session_tokens()) == 1
        finally:
            await sandbox.destroy()


@asynchronously
async def test_the_status_and_the_info_need_no_token(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            assert (await sandbox.get_auth_status())["authenticated"] is True
            assert "create_magic_link" in (await sandbox.get_auth_info())["endpoints"]
            async with at(sandbox) as anonymous:
                status = (await anonymous.get("/auth/status")).json()["data"]
                assert status == {
                    "authenticated": False, "token_issued": True, "status": "claimed", "available": False}
                assert (await anonymous.post("/auth/token")).status_code == 409
                assert (await anonymous.get("/auth/session_tokens")).status_code == 401
        finally:
            await sandbox.destroy()


@asynchronously
async def test_the_last_use_of_a_token_is_told(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            made = await sandbox.create_session_token()
            async with at(sandbox, made.token) as session:
                assert (await session.get("/info")).status_code == 200
            deadline = time.monotonic() + 60
            async with at(sandbox, sandbox.get_token()) as owner:
                while True:
                    token = (await owner.get(f"/auth/session_tokens/{made.id}")).json()["data"]
                    if "last_used_at" in token:
                        break
                    assert time.monotonic() < deadline, "nobody said that it was used"
                    time.sleep(0.2)
            assert -60 < seconds_until(token["last_used_at"]) <= 1
        finally:
            await sandbox.destroy()
