"""What is left of the public client: batches, environment files, a server's declared status, and its own bugs."""
import pytest

from asynchronously import asynchronously


@asynchronously
async def test_many_files_are_written_at_once(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            await sandbox.filesystem.batch_write([
                {"path": "many/a.txt", "content": "one"}, {"path": "many/deep/b.txt", "content": "zwei é"}])
            assert await sandbox.filesystem.read_file("many/a.txt") == "one"
            assert await sandbox.filesystem.read_file("many/deep/b.txt") == "zwei é"
        finally:
            await sandbox.destroy()


@asynchronously
async def test_environment_files_are_read_and_cut_down(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            assert not await sandbox.env_exists()
            await sandbox.filesystem.write_file(".env", "# kept\nA=1\nB='two words'\n")
            assert await sandbox.env_exists()
            # The client hands out the data of the answer whole, not the variables in it.
            assert (await sandbox.get_env())["variables"] == {"A": "1", "B": "two words"}
            await sandbox.delete_env(["A"])
            assert (await sandbox.get_env())["variables"] == {"B": "two words"}
            assert await sandbox.filesystem.read_file(".env") == "# kept\nB='two words'\n"
            # Its own bug: the request is never sent.
            with pytest.raises(TypeError):
                await sandbox.set_env({"C": "3"})
        finally:
            await sandbox.destroy()


@asynchronously
async def test_a_server_takes_the_status_that_a_client_declares(connect):
    from computesdk import StartServerOptions
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            await sandbox.start_server(StartServerOptions(slug="idle", command="exec sleep 600"))
            await sandbox.update_server_status("idle", "stopped")
            assert (await sandbox.get_server("idle")).status == "stopped"
            await sandbox.update_server_status("idle", "running")
            assert (await sandbox.get_server("idle")).status == "running"
        finally:
            await sandbox.destroy()


@asynchronously
async def test_the_url_of_a_port_that_the_client_makes_up_is_of_another_place(connect):
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            # Its own bug: the host stands in its code. A server's record has the real one.
            assert (await sandbox.get_url(3000)).endswith("-3000.preview.computesdk.com")
        finally:
            await sandbox.destroy()
