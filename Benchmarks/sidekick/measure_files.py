"""Files as streams, in both directions, beside nginx on the same disk.

An upload counts when it is on the disk. The Sidekick answers then; behind nginx's answer the file is synchronised, by a
call instead of the program `sync`, whose start would count for us.
"""
import contextlib
import os
import time

from peers.nginx import Nginx
from series import Series, Target, alternate
from stage import want_streams

PIECE = os.urandom(1_000_000)
DIRECTIONS = ("download", "upload")


def measure(stage):
    series, targets = [], []
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(stage.sidekick.connection(timeout=300))
        want_streams(ours)
        nginx = stage.peer(stack, "nginx", Nginx, stage.folder("nginx"))
        contestants = {"sidekick": SidekickFiles(ours)}
        if nginx:
            contestants["nginx"] = NginxFiles(stage.connection(stack, nginx.address), nginx.root)
        for megabytes, repeats in stage.effort.files:
            one_size, size_targets = measure_size(contestants, megabytes, repeats)
            series += one_size
            targets += size_targets
    return series, targets


def measure_size(contestants, megabytes, repeats):
    series = {
        (direction, name): Series(f"{direction} {megabytes} MB", name, "MB/s")
        for direction in DIRECTIONS for name in ("sidekick", "nginx")}
    into = bytearray(1 << 20)

    def once(name):
        files = contestants[name]
        start = time.perf_counter()
        files.upload(f"file-{megabytes}", megabytes)
        uploaded = time.perf_counter()
        count = files.download(f"file-{megabytes}", into)
        downloaded = time.perf_counter()
        assert count == megabytes * len(PIECE), f"{name}: {count} bytes of {megabytes} MB"
        series["upload", name].values.append(megabytes / (uploaded - start))
        series["download", name].values.append(megabytes / (downloaded - uploaded))

    alternate(contestants, repeats, once)
    targets = [
        Target(
            f"{direction} {megabytes} MB / nginx's",
            series[direction, "sidekick"].median / series[direction, "nginx"].median, 0.9, "×", is_floor=True)
        for direction in DIRECTIONS]
    return list(series.values()), targets


class SidekickFiles:
    def __init__(self, connection):
        self.connection = connection

    def upload(self, name, megabytes):
        answer = self.connection.upload(f"/files/content/{name}", PIECE, megabytes)
        assert answer.status in (200, 201), answer

    def download(self, name, into):
        return self.connection.download(f"/files/content/{name}", into)


class NginxFiles:
    def __init__(self, connection, root):
        self.connection, self.root = connection, root

    def upload(self, name, megabytes):
        answer = self.connection.upload(f"/{name}", PIECE, megabytes)
        assert answer.status in (201, 204), answer
        descriptor = os.open(self.root / name, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)

    def download(self, name, into):
        return self.connection.download(f"/{name}", into)
