"""One very large file up and down again: whole, and with hardly any memory."""
import hashlib
import os

import memory
from promises import Promise
from stage import want_streams

PIECE_BYTES = 1 << 20
RESIDENT_MEGABYTES = 20


def run(sidekick, gigabytes):
    piece, count = os.urandom(PIECE_BYTES), int(gigabytes * 1024)
    sent, came = hashlib.sha256(), hashlib.sha256()
    for _ in range(count):
        sent.update(piece)
    with sidekick.connection(timeout=1200) as connection:
        want_streams(connection)
        memory.reset_peak(sidekick.pid)
        answer = connection.upload("/files/content/large", piece, count)
        assert answer.status in (200, 201), answer
        up = memory.peak_megabytes(sidekick.pid)
        memory.reset_peak(sidekick.pid)
        size = connection.download("/files/content/large", bytearray(1 << 20), came)
        down = memory.peak_megabytes(sidekick.pid)
        connection.request("DELETE", "/files/large")
    name = f"{gigabytes:g} GiB"
    yield Promise(f"{name}: what comes back is what was sent", size == count * PIECE_BYTES
                  and sent.digest() == came.digest(), f"{size} bytes")
    yield Promise.at_most(f"{name} up: most resident memory", up, RESIDENT_MEGABYTES, "MB")
    yield Promise.at_most(f"{name} down: most resident memory", down, RESIDENT_MEGABYTES, "MB")
