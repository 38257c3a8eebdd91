"""An nginx that serves one folder: downloads as static files, uploads by PUT of WebDAV."""
import getpass
import pathlib
import subprocess

from peers import end, free_port, tool, wait_for_port


class Nginx:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.root = self.folder / "root"

    def __enter__(self):
        nginx = tool("nginx")
        self.root.mkdir()
        self.port = free_port()
        self.address = ("127.0.0.1", self.port)
        bodies = self.root / ".bodies"
        temporary = "\n".join(
            f"{kind}_temp_path {self.folder}/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))
        # The bodies are in the served folder's file system, so that a PUT ends with a rename and not with a copy.
        (self.folder / "config").write_text(f"""
daemon off;
user {getpass.getuser()};
worker_processes 1;
pid {self.folder}/pid;
error_log {self.folder}/log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  client_max_body_size 0;
  client_body_temp_path {bodies};
  {temporary}
  server {{
    listen 127.0.0.1:{self.port};
    root {self.root};
    location / {{ dav_methods PUT; }}
  }}
}}
""")
        self.output = open(self.folder / "output", "wb")
        self.server = subprocess.Popen(
            [nginx, "-c", self.folder / "config", "-e", self.folder / "log"], stdin=subprocess.DEVNULL,
            stdout=self.output, stderr=self.output)
        try:
            wait_for_port(self.port, self.server)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        end(self.server)
        self.output.close()
