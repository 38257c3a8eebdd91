"""One `computesdk serve`, started as a user starts it, and what it leaves behind."""
import hashlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import httpx

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("COMPUTESDK_BINARY", ROOT / ".build/debug/computesdk"))
# `gvisor` or `process`. Containers need root, and a runsc; without them there is development's `process` alone.
ISOLATION = os.environ.get("COMPUTESDK_TEST_ISOLATION") or (
    "gvisor" if os.geteuid() == 0 and shutil.which("runsc") else "process")
# Shared with the other tests, and kept between runs: the base image takes minutes to build.
IMAGES = ROOT / ".build/images"
# A member's name is random: `m` and 15 letters or digits. Its directory carries it.
MEMBER_NAME = re.compile(r"^m[a-z0-9]{15}$")
# A debug build on a loaded 2-core machine. Nothing waits this long when all is well.
PATIENCE = 60.0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(what, condition, patience=PATIENCE):
    """The first true answer of `condition`; fails with `what` when there is none in time."""
    deadline = time.monotonic() + patience
    while True:
        if answer := condition():
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience:.0f} s: {what}")
        time.sleep(0.05)


def process_start(pid):
    """When a process started, in ticks; None when it is gone. Tells a process from a later one with its number."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]


def descendants(root):
    """{pid: start} of every living process below `root`."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, queue = {}, [root]
    while queue:
        for child in children.get(queue.pop(), []):
            if (start := process_start(child)) is not None:
                found[child] = start
                queue.append(child)
    return found


def processes_that_mention(text):
    """{pid: start} of every living process with `text` in its arguments, environment or working directory."""
    found, needle = {}, text.encode()
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        seen = b""
        for name in ("cmdline", "environ"):
            try:
                seen += (entry / name).read_bytes()
            except OSError:
                pass
        try:
            seen += os.fsencode(os.readlink(entry / "cwd"))
        except OSError:
            pass
        if needle in seen and (start := process_start(entry.name)) is not None:
            found[int(entry.name)] = start
    return found


class RunningSystem:
    """`serve` in a data directory of its own, on a port that stays the same over restarts."""

    def __init__(self, key="csdk_" + "0123456789abcdef" * 2 + "01234567", pool_size=2, **environment):
        # Short, because Unix sockets below it must fit in 107 bytes, and open to other users: code in a compute
        # may run as one. The data directory inside protects itself.
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="csdk-", dir="/tmp"))
        self.base.chmod(0o755)
        self.data = self.base / "data"
        self.log = self.base / "serve.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.key = key
        self.environment = {
            name: value for name, value in os.environ.items()
            if not name.startswith("COMPUTESDK_") and "proxy" not in name.lower()
        } | {
            "COMPUTESDK_LISTEN": f"127.0.0.1:{self.port}", "COMPUTESDK_DATA_DIR": str(self.data),
            "COMPUTESDK_POOL_SIZE": str(pool_size), "COMPUTESDK_ISOLATION": ISOLATION,
            "COMPUTESDK_IMAGE_DIR": str(IMAGES),
        } | ({"COMPUTESDK_API_KEY": key} if key else {}) | environment
        self.process = None
        self.seen = {}

    # --- life ---

    def start(self):
        assert BINARY.exists(), f"{BINARY} is not built; `make test` builds it"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(BINARY), "serve"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=log, env=self.environment, cwd=self.base, start_new_session=True)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.printed = ""
        eventually("`serve` is ready", self._is_ready)
        self.remember()
        return self

    def _is_ready(self):
        if (code := self.process.poll()) is not None:
            raise AssertionError(f"`serve` ended with {code}\n{self.what_it_said()}")
        answer = self.ready()
        return answer is not None and answer.status_code == 200

    def ready(self):
        """The answer of GET /ready; None while nobody listens."""
        try:
            return httpx.get(f"{self.url}/ready", timeout=5, trust_env=False)
        except httpx.TransportError:
            return None

    def idle(self):
        """How many members could be taken now."""
        return self.ready().json()["idle"]

    def stdout(self):
        """What `serve` printed for its user since it was started."""
        while chunk := self.process.stdout.read():
            self.printed += chunk.decode()
        return self.printed

    def what_it_said(self):
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-60:])

    def remember(self):
        """Writes down every process that belongs to this system now, so that `remains` can ask for it later."""
        if self.process.poll() is None:
            self.seen |= descendants(self.process.pid)
        self.seen |= processes_that_mention(str(self.base))

    def stop(self, how=signal.SIGTERM):
        """Ends `serve` as a user does, and returns its exit code."""
        self.remember()
        self.process.send_signal(how)
        try:
            return self.process.wait(2 * PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"`serve` did not end within {2 * PATIENCE:.0f} s of {how.name}\n{self.what_it_said()}") from None

    def crash(self):
        """Takes `serve` away without a word, as a power switch would; what it started stays."""
        self.remember()
        self.process.kill()
        self.process.wait(PATIENCE)

    def remains(self):
        """What is left that should not be: processes by number, and directories of members."""
        # The kernel lets go of the device of a disk that is unmounted with its last user, and whoever has just made a mount
        # namespace is one for a moment. Nothing else comes later.
        deadline = time.monotonic() + PATIENCE
        while (traces := self.traces()) and time.monotonic() < deadline:
            if not all(trace.startswith("loop device") for trace in traces):
                break
            time.sleep(0.05)
        alive = {
            pid: pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            for pid, start in (self.seen | processes_that_mention(str(self.base))).items()
            if process_start(pid) == start
        }
        return alive, sorted(str(self.data / "members" / name) for name in self.members()) + traces

    def members(self):
        """The names of all members with a directory."""
        folder = self.data / "members"
        return {name for name in os.listdir(folder) if MEMBER_NAME.match(name)} if folder.exists() else set()

    def started(self):
        """The names of those that a process was started for: not of grounds that are laid ahead for the next ones."""
        return {name for name in self.members() if (self.data / "members" / name / "member.json").exists()}

    def traces(self):
        """What the kernel has of this system: mounts, loop devices, namespaces, interfaces, firewall, control groups."""
        tag = hashlib.sha256(str(self.data).encode()).hexdigest()[:6]
        mounts = [line.split() for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
        points = [fields[4] for fields in mounts]
        trees = {fields[4] for fields in mounts if fields[fields.index("-") + 1].startswith("cgroup")}
        found = [f"mount {point}" for point in points if str(self.data) in point]
        for file in pathlib.Path("/sys/block").glob("loop*/loop/backing_file"):
            try:
                text = file.read_text()
            except OSError:
                continue
            found += [f"loop device {text}"] if str(self.data) in text else []
        found += [f"namespace {path}" for path in pathlib.Path("/run/netns").glob(f"csdk-{tag}-*")]
        found += [f"interface {path.name}" for path in pathlib.Path("/sys/class/net").glob(f"csdk{tag}*")]
        found += [f"control group {tree}" for tree in sorted(trees) if os.path.isdir(f"{tree}/computesdk-{tag}")]
        if shutil.which("nft"):
            tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, timeout=20).stdout
            found += [f"firewall {line}" for line in tables.splitlines() if f"computesdk_{tag}" in line]
        return found

    def clean_up(self):
        """After a test, whatever became of it: nothing of this system survives on the machine."""
        if self.process is not None and ISOLATION == "gvisor" and (self.process.poll() is None or self.traces()):
            # Only `serve` knows how to take a container apart; a crashed one is made good by the next.
            try:
                if self.process.poll() is not None:
                    self.process.stdout.close()
                    self.start()
                self.stop()
            except Exception as error:
                print(f"cannot clean up after a test: {error}")
        if self.process is not None:
            if self.process.poll() is None:
                self.crash()
            for pid, start in (self.seen | processes_that_mention(str(self.base))).items():
                if process_start(pid) == start:
                    os.kill(pid, signal.SIGKILL)
            self.process.stdout.close()
        shutil.rmtree(self.base, ignore_errors=True)
