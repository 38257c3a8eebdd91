"""Files as they are and of any size, archives and search, over the Gateway: what the public client has no words for yet."""
import contextlib
import hashlib
import io
import os
import tarfile

import httpx

from asynchronously import asynchronously

MEGABYTE = os.urandom(1 << 20)
MEGABYTES = 50


@contextlib.asynccontextmanager
async def files_of(connect):
    """HTTP to the files of a compute of its own, with the token that the client got."""
    async with connect() as compute:
        sandbox = await compute.sandbox.create()
        try:
            async with httpx.AsyncClient(
                    base_url=f"{sandbox.get_sandbox_url()}/files", timeout=60, trust_env=False,
                    headers={"Authorization": f"Bearer {sandbox.get_token()}"}) as files:
                yield sandbox, files
        finally:
            await sandbox.destroy()


async def large_body():
    for _ in range(MEGABYTES):
        yield MEGABYTE


def large_digest():
    digest = hashlib.sha256()
    for _ in range(MEGABYTES):
        digest.update(MEGABYTE)
    return digest.hexdigest()


@asynchronously
async def test_a_large_file_goes_up_and_down_whole_and_in_parts(connect):
    async with files_of(connect) as (sandbox, files):
        wanted = large_digest()
        put = await files.put("/content/deep/large", params={"sha256": wanted, "mode": "640"}, content=large_body())
        assert (put.status_code, put.json()["data"]["sha256"]) == (201, wanted), put.text
        assert (await sandbox.run_command("sha256sum deep/large")).stdout.split()[0] == wanted

        came = hashlib.sha256()
        async with files.stream("GET", "/content/deep/large") as answer:
            assert answer.headers["Content-Length"] == str(MEGABYTES << 20)
            tag = answer.headers["ETag"]
            async for piece in answer.aiter_bytes():
                came.update(piece)
        assert came.hexdigest() == wanted

        part = await files.get("/content/deep/large", headers={"Range": "bytes=1048000-1049000", "If-Range": tag})
        assert part.status_code == 206
        assert part.headers["Content-Range"] == f"bytes 1048000-1049000/{MEGABYTES << 20}"
        assert part.content == (MEGABYTE * 2)[1048000:1049001]

        refused = await files.put("/content/deep/large", params={"sha256": wanted}, content=b"something else")
        assert (refused.status_code, refused.json()["code"]) == (400, "digest_mismatch")
        head = await files.head("/content/deep/large", params={"sha256": "true"})
        assert head.headers["X-Content-SHA256"] == wanted


@asynchronously
async def test_an_upload_goes_on_where_it_broke_off(connect):
    async with files_of(connect) as (_, files):
        begun = await files.post("/uploads", json={"path": "resumed", "size": 3 << 20})
        assert begun.status_code == 201, begun.text
        upload = f"/uploads/{begun.json()['data']['id']}"
        first = await files.patch(upload, content=MEGABYTE, headers={"Upload-Offset": "0"})
        assert (first.status_code, first.headers["Upload-Offset"]) == (200, str(1 << 20))
        # As if the answer had been lost.
        # A refusal does not read the body, and its connection ends.
        again = await files.patch(
            upload, content=MEGABYTE, headers={"Upload-Offset": "0", "Connection": "close"})
        assert (again.status_code, again.headers["Upload-Offset"]) == (409, str(1 << 20))
        assert (await files.head(upload)).headers["Upload-Offset"] == str(1 << 20)
        last = await files.patch(upload, content=MEGABYTE * 2, headers={"Upload-Offset": str(1 << 20)})
        assert last.status_code == 201, last.text
        assert last.json()["data"]["sha256"] == hashlib.sha256(MEGABYTE * 3).hexdigest()


@asynchronously
async def test_a_tree_goes_out_as_an_archive_and_in_again(connect):
    async with files_of(connect) as (sandbox, files):
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w:gz") as archive:
            for name, content in (("src/ünïcode.py", b"print('needle')\n"), ("src/large.bin", MEGABYTE * 5), ("x.log", b"x")):
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(content), 0o750
                archive.addfile(member, io.BytesIO(content))
        unpacked = await files.post("/archive", params={"path": "tree"}, content=made.getvalue())
        assert unpacked.status_code == 200, unpacked.text
        assert unpacked.json()["data"]["entries"] == 3
        listed = await sandbox.run_command("stat -c '%a %s' tree/src/ünïcode.py")
        assert listed.stdout == "750 16\n"

        for kind in ("tar", "tar.gz", "zip"):
            packed = await files.get("/archive", params={"path": "tree", "format": kind, "ignore": "*.log"})
            assert packed.status_code == 200
            if kind != "zip":
                with tarfile.open(fileobj=io.BytesIO(packed.content)) as archive:
                    names = {name for name in archive.getnames()}
                    assert names == {"src", "src/ünïcode.py", "src/large.bin"}
                    assert archive.extractfile("src/large.bin").read() == MEGABYTE * 5
            back = await files.post("/archive", params={"path": f"from-{kind}"}, content=packed.content)
            assert back.status_code == 200, back.text
            same = await sandbox.run_command(f"diff -r -x '*.log' tree from-{kind} && echo same")
            assert same.stdout == "same\n"

        hostile = io.BytesIO()
        with tarfile.open(fileobj=hostile, mode="w") as archive:
            archive.addfile(tarfile.TarInfo("../evil"))
        refused = await files.post("/archive", params={"path": "tree"}, content=hostile.getvalue())
        assert (refused.status_code, refused.json()["code"]) == (400, "unsafe_archive")
        assert "../evil" in refused.json()["error"]


@asynchronously
async def test_trees_are_searched_changed_and_written_at_once(connect):
    async with files_of(connect) as (_, files):
        batch = await files.post("/batch", json={"files": [
            {"path": "src/a.py", "operation": "write", "content": "one\nneedle = 1\n"},
            {"path": "src/b.txt", "operation": "write", "content": "needle"},
            {"path": "missing", "operation": "delete"}]})
        assert batch.status_code == 207, batch.text
        assert [r["success"] for r in batch.json()["data"]["results"]] == [False, True, True]
        found = await files.post("/search", json={"pattern": r"^needle\s*=", "regex": True, "glob": "*.py"})
        assert [(r["path"], r["line"]) for r in found.json()["data"]["results"]] == [("src/a.py", 2)]
        for route, body, status in (
                ("copy", {"from": "src", "to": "copied", "recursive": True}, 200),
                ("move", {"from": "copied", "to": "moved"}, 200), ("mkdir", {"path": "made/deep"}, 201),
                ("symlink", {"path": "link", "target": "moved/a.py"}, 201),
                ("chmod", {"path": "moved", "mode": "700", "recursive": True}, 200)):
            answer = await files.post(f"/{route}", json=body)
            assert answer.status_code == status, f"{route}: {answer.text}"
        link = (await files.get("/link", params={"follow": "false"})).json()["data"]["file"]
        assert (link["is_symlink"], link["target"]) == (True, "moved/a.py")
        assert (await files.get("/content/link")).content == b"one\nneedle = 1\n"
        names = await files.post("/find", json={"glob": "*.py"})
        assert {r["path"] for r in names.json()["data"]["results"]} == {"src/a.py", "moved/a.py"}
