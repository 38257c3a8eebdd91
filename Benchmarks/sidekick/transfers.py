"""One very large file up and down, and as an archive out and in again: whole, and with hardly any memory."""
import contextlib
import hashlib
import os

import memory
from promises import Promise
from stage import want_streams

PIECE_BYTES = 1 << 20
RESIDENT_MEGABYTES = 20
# Without compression: it is the way through that is looked at.
ARCHIVE = "/files/archive?path=large&format=tar"


def run(sidekick, gigabytes):
    piece, count = os.urandom(PIECE_BYTES), int(gigabytes * 1024)
    name, peaks = f"{gigabytes:g} GiB", {}
    sent = hashlib.sha256()
    for _ in range(count):
        sent.update(piece)

    @contextlib.contextmanager
    def peak(way):
        memory.reset_peak(sidekick.pid)
        yield
        peaks[way] = memory.peak_megabytes(sidekick.pid)

    def is_whole(path):
        came = hashlib.sha256()
        size = connection.download(f"/files/content/{path}", bytearray(1 << 20), came)
        return Promise(f"{name}: what comes back is what was sent, from {path}", size == count * PIECE_BYTES
                       and sent.digest() == came.digest(), f"{size} bytes")

    with sidekick.connection(timeout=1200) as connection, sidekick.connection(timeout=1200) as other:
        want_streams(connection)
        with peak("up"):
            answer = connection.upload("/files/content/large", piece, count)
        assert answer.status in (200, 201), answer
        with peak("down"):
            yield is_whole("large")
        with peak("as an archive out"):
            length = sum(len(part) for part in connection.stream(ARCHIVE))
        with peak("as an archive in"):
            answer = connection.send("POST", "/files/archive?path=unpacked", other.stream(ARCHIVE), length)
        assert answer.status == 200, answer
        yield is_whole("unpacked/large")
        for path in ("large", "unpacked"):
            connection.request("DELETE", f"/files/{path}")
    for way, most in peaks.items():
        yield Promise.at_most(f"{name} {way}: most resident memory", most, RESIDENT_MEGABYTES, "MB")
