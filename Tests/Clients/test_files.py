"""Files of a compute, through the public client and with every spelling of a path."""
import httpx
import pytest
from computesdk import NotFoundError

from asynchronously import asynchronously


@asynchronously
async def test_a_file_is_written_read_listed_and_removed(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            files = sandbox.filesystem
            text = "first line\n" + "ä€😀" * 1000 + "\0end"
            await files.write_file("deep/er/note.txt", text)
            assert await files.read_file("deep/er/note.txt") == text
            assert await files.exists("deep/er/note.txt")
            assert await files.exists("deep")

            entries = {entry.name: entry for entry in await files.readdir("deep/er")}
            assert set(entries) == {"note.txt"}
            assert (entries["note.txt"].type, entries["note.txt"].size) == ("file", len(text.encode()))
            assert [(e.name, e.type) for e in await files.readdir("deep")] == [("er", "directory")]

            await files.write_file("deep/er/note.txt", "shorter")
            assert await files.read_file("deep/er/note.txt") == "shorter"

            await files.remove("deep")
            assert not await files.exists("deep/er/note.txt")
            with pytest.raises(NotFoundError):
                await files.read_file("deep/er/note.txt")
            with pytest.raises(NotFoundError):
                await files.remove("deep")
        finally:
            await sandbox.destroy()


@asynchronously
async def test_an_absolute_path_is_where_commands_see_it(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            home = (await sandbox.run_command("pwd")).stdout.strip()
            path = f"{home}/with space & % + ünïcode?.txt"
            await sandbox.filesystem.write_file(path, "here")
            assert (await sandbox.run_command(f"cat '{path}'")).stdout == "here"
            assert await sandbox.filesystem.read_file(path) == "here"
            assert await sandbox.filesystem.exists(path)
            await sandbox.filesystem.remove(path)
            assert not await sandbox.filesystem.exists(path)
        finally:
            await sandbox.destroy()


@asynchronously
async def test_every_spelling_of_a_path_means_the_same_file(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            home = (await sandbox.run_command("pwd")).stdout.strip()
            await sandbox.filesystem.write_file("spelled.txt", "x")
            bare = home.lstrip("/")
            async with httpx.AsyncClient(
                    headers={"Authorization": f"Bearer {sandbox.get_token()}"}, trust_env=False) as client:
                for spelling in (
                        "spelled.txt", f"/{bare}/spelled.txt", f"{bare}/spelled.txt",
                        "%2F" + bare.replace("/", "%2F") + "%2Fspelled.txt"):
                    url = f"{sandbox.get_sandbox_url()}/files/{spelling}"
                    assert (await client.head(url)).status_code == 200, spelling
                    answer = (await client.get(url)).json()
                    assert answer["data"]["file"]["name"] == "spelled.txt", spelling
                    assert answer["data"]["file"]["size"] == 1, spelling
                    assert answer["data"]["file"]["is_dir"] is False, spelling
                    content = (await client.get(url, params={"content": "true"})).json()
                    assert content["content"] == content["data"]["content"] == "x", spelling
                missing = await client.head(f"{sandbox.get_sandbox_url()}/files/missing.txt")
                assert (missing.status_code, missing.content) == (404, b"")
        finally:
            await sandbox.destroy()


@asynchronously
async def test_two_computes_do_not_share_their_files(connect):
    async with connect() as compute:
        one, two = await compute.sandbox.create(), await compute.sandbox.create()
        try:
            await one.filesystem.write_file("mine.txt", "secret")
            assert not await two.filesystem.exists("mine.txt")
        finally:
            await one.destroy()
            await two.destroy()
