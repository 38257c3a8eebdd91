"""A container of gVisor with Sidekick, harness and peers in it, as in one compute: the Sidekick is its first process.

Its files are those of this machine, read-only, so that every peer that is installed here is there; what is written goes to
one folder of this machine's disk. Its network is gVisor's own, with loopback alone.
"""
import json
import os
import pathlib
import subprocess

# What root has in a compute, and what sshd wants to change who it is.
CAPABILITIES = [
    "CAP_SETUID", "CAP_SETGID", "CAP_KILL", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SYS_CHROOT",
    "CAP_FSETID", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_AUDIT_WRITE",
]
ENVIRONMENT = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONDONTWRITEBYTECODE=1", "TMPDIR=/run"]
# Where a platform does not work it may also hang.
PROBE_SECONDS = 15
# systrap is the faster one, ptrace the one that older builds have.
PLATFORMS = ("systrap", "ptrace")


class CannotRun(Exception):
    pass


class Runsc:
    def __init__(self, executable, folder, platform=None):
        self.executable = executable
        self.folder = pathlib.Path(folder)
        if os.geteuid() != 0:
            raise CannotRun("only root can run containers of gVisor")
        said = subprocess.run([executable, "flags"], capture_output=True, text=True)
        # A newer build would put a layer in memory over a root that is read-only anyway.
        self.flags = ["--overlay2=none"] if "-overlay2" in said.stdout + said.stderr else []
        for self.platform in [platform] if platform else PLATFORMS:
            if self._boots():
                break
        else:
            raise CannotRun(f"{executable} starts no container on {platform or ' or '.join(PLATFORMS)}")

    @property
    def name(self):
        version = subprocess.run([self.executable, "--version"], capture_output=True, text=True).stdout
        return f"gVisor {version.splitlines()[0].removeprefix('runsc version ')} {self.platform}"

    def container(self, command):
        return Container(self, command)

    def _boots(self):
        container = self.container(["/bin/true"])
        process = subprocess.Popen(
            container.run, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return process.wait(PROBE_SECONDS) == 0
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return False
        finally:
            container.remove()


class Container:
    def __init__(self, runsc, command):
        # Builds of 2022 name a socket of the whole machine after the id, so it is unique.
        self.name = f"bench-{os.getpid()}-{os.urandom(4).hex()}"
        self.bundle = runsc.folder / self.name
        self.bundle.mkdir(parents=True)
        (self.bundle / "config.json").write_text(json.dumps(config(command, runsc.folder)))
        self._runsc = [runsc.executable, f"--platform={runsc.platform}", "--network=none", "--ignore-cgroups",
                       *runsc.flags, "--root", str(self.bundle / "state")]

    @property
    def run(self):
        """The command that starts it, and is there as long as it."""
        return [*self._runsc, "run", "-bundle", str(self.bundle), self.name]

    def execute(self, command, say):
        """Runs another command in it, and says what it says. Its exit code is returned."""
        options = [word for name in ENVIRONMENT for word in ("-env", name)]
        # Through a pipe: a file that it were given it would write from an offset of its own, over what others wrote.
        process = subprocess.Popen(
            [*self._runsc, "exec", *options, self.name, *map(str, command)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in process.stdout:
            say(line)
        return process.wait()

    def kill(self, signal):
        """`runsc run` does not hand signals on."""
        subprocess.run([*self._runsc, "kill", self.name, signal], capture_output=True)

    def remove(self):
        subprocess.run([*self._runsc, "delete", "-force", self.name], capture_output=True)


def config(command, folder):
    sets = {kind: CAPABILITIES for kind in ("bounding", "effective", "inheritable", "permitted")}
    return {
        "ociVersion": "1.0.0",
        "process": {
            "user": {"uid": 0, "gid": 0}, "args": [str(word) for word in command], "cwd": "/",
            "env": ENVIRONMENT,
            "capabilities": sets,
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 65536, "hard": 65536}],
        },
        "root": {"path": "/", "readonly": True},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/run", "type": "tmpfs", "source": "tmpfs"},
            {"destination": str(folder), "type": "bind", "source": str(folder), "options": ["bind", "rw"]},
        ],
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts")]},
    }
