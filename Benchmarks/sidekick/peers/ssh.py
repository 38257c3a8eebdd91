"""An sshd for us alone, and one connection to it that all calls share."""
import getpass
import os
import pathlib
import shutil
import subprocess
import tempfile

from peers import Absent, end, free_port, tool, wait_for_port

# Where sshd locks its unprivileged half in. The package's service makes it when it starts, which it never does here.
SEPARATION = pathlib.Path("/run/sshd")


class SSH:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def __enter__(self):
        sshd, keygen, self.ssh = tool("sshd"), tool("ssh-keygen"), tool("ssh")
        for name in ("host", "user"):
            subprocess.run(
                [keygen, "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name], check=True, capture_output=True)
        self._made_separation = os.geteuid() == 0 and not SEPARATION.exists()
        if self._made_separation:
            SEPARATION.mkdir(mode=0o755)
        # On a file system in memory where there is one: gVisor makes no links to sockets on the machine's disk.
        self.control = tempfile.mkdtemp(prefix="sk-ssh-", dir="/run" if os.access("/run", os.W_OK) else None)
        self.port = free_port()
        (self.folder / "config").write_text("\n".join([
            f"Port {self.port}", "ListenAddress 127.0.0.1", f"HostKey {self.folder}/host", "PidFile none",
            f"AuthorizedKeysFile {self.folder}/user.pub", "StrictModes no", "UsePAM no", "PasswordAuthentication no",
            "PermitRootLogin prohibit-password", "PrintMotd no", "PrintLastLog no", "LogLevel ERROR",
            # The start-up files of whoever runs this are not what is measured.
            f"SetEnv HOME={self.folder} SHLVL=1",
            # A connection of many sessions: what the benchmark does, and no more.
            "MaxSessions 64", ""]))
        self.log = open(self.folder / "log", "wb")
        self.server = subprocess.Popen(
            [sshd, "-D", "-e", "-f", self.folder / "config"], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.master = None
        try:
            wait_for_port(self.port, self.server)
            self._connect()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _connect(self):
        self.master = subprocess.Popen(
            self.command("-M", "-N"), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        for _ in range(100):
            if subprocess.run(self.command("-O", "check"), capture_output=True).returncode == 0:
                return
            if self.master.poll() is not None:
                break
        raise Absent(f"ssh does not get in: {(self.folder / 'log').read_text(errors='replace')[-500:]}")

    def command(self, *options, run=()):
        """`ssh` of the shared connection. Nobody's own settings or keys are read."""
        return [
            self.ssh, "-F", "/dev/null", "-S", f"{self.control}/socket", "-p", str(self.port), "-i",
            f"{self.folder}/user", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o",
            f"UserKnownHostsFile={self.folder}/known", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR",
            *options, f"{getpass.getuser()}@127.0.0.1", *run,
        ]

    def __exit__(self, *_):
        for process in filter(None, (self.master, self.server)):
            end(process)
        self.log.close()
        shutil.rmtree(self.control, ignore_errors=True)
        if self._made_separation:
            SEPARATION.rmdir()
