"""A private PostgreSQL cluster, reachable through one unix socket only."""

import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import urllib.parse

from .accounts import Account, database_account
from .process import Process

DATABASE = "nodes"
ROLE = "nodes"


def programs(major: str | None = None) -> pathlib.Path:
    """The folder of PostgreSQL's server programs: of that major version, or else the newest."""
    found = {}
    for initdb in pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"):
        found[initdb.parts[-3]] = initdb.parent
    on_path = shutil.which("initdb")
    if not found and on_path:
        folder = pathlib.Path(on_path).resolve().parent
        version = subprocess.run([on_path, "--version"], capture_output=True, text=True, check=True).stdout
        found[re.search(r"(\d+)", version)[1]] = folder
    if not found:
        raise SystemExit("PostgreSQL's initdb is not on this machine; scripts/install-dependencies installs it")
    if major is None:
        return found[max(found, key=int)]
    if major not in found:
        raise SystemExit(
            f"the cluster was made by PostgreSQL {major}, which is not on this machine (found: "
            f"{', '.join(sorted(found))}); install postgresql-{major}"
        )
    return found[major]


class Cluster:
    """Made in `state/postgres` the first time, found there afterwards.

    Where the account PostgreSQL runs as cannot reach `state` (root's home folder is closed to it), the cluster
    lies in /var/lib/goclaw-nodes under a name made of the path of `state`.
    """

    def __init__(self, state: pathlib.Path, sockets: pathlib.Path, log: pathlib.Path) -> None:
        self.account: Account = database_account()
        self.data = state / "postgres"
        if not self.account.can_reach(state):
            name = hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:16]
            base = pathlib.Path("/var/lib/goclaw-nodes")
            base.mkdir(mode=0o711, exist_ok=True)
            self.data = base / name
            print(f"{self.account.name} cannot reach {state}; PostgreSQL's data is in {self.data}")
        self.sockets = sockets
        self.log = log
        version = self.data / "PG_VERSION"
        self.programs = programs(version.read_text().strip() if version.exists() else None)
        self.process: Process | None = None

    @property
    def url(self) -> str:
        host = urllib.parse.quote(str(self.sockets), safe="")
        return f"postgresql://{ROLE}@/{DATABASE}?host={host}"

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            command,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **self.account.popen_arguments(),
        )
        if done.returncode != 0:
            raise SystemExit(f"{pathlib.Path(command[0]).name} failed:\n{done.stdout}")

    def create_if_missing(self) -> None:
        if (self.data / "PG_VERSION").exists():
            return
        self.data.mkdir(mode=0o700, exist_ok=True)
        self.account.own(self.data)
        # Trusting whoever connects is safe here: there is no TCP listener, and the folder of the socket is
        # closed to everyone but this account and root.
        self._run(
            str(self.programs / "initdb"), "--pgdata", str(self.data), "--encoding", "UTF8",
            "--locale", "C.UTF-8", "--username", ROLE, "--auth", "trust", "--data-checksums",
        )  # fmt: skip

    def start(self) -> None:
        self.create_if_missing()
        self.log.touch(mode=0o640)
        self.process = Process(
            "postgresql",
            [
                str(self.programs / "postgres"), "-D", str(self.data), "-k", str(self.sockets),
                "-c", "listen_addresses=", "-c", "max_connections=200", "-c", "shared_buffers=128MB",
                "-c", "unix_socket_permissions=0700",
            ],
            self.log,
            popen={"cwd": "/", **self.account.popen_arguments()},
            stop_signal=signal.SIGINT,
            stop_timeout=60,
        )  # fmt: skip
        self.process.start()
        self.wait_until_ready()
        self._create_database()

    @property
    def is_ready(self) -> bool:
        probe = [str(self.programs / "pg_isready"), "-q", "-h", str(self.sockets), "-U", ROLE]
        return self.process.is_running and subprocess.run(probe, stdin=subprocess.DEVNULL).returncode == 0

    def wait_until_ready(self, timeout: float = 60) -> None:
        deadline = time.monotonic() + timeout
        while not self.is_ready:
            if not self.process.is_running or time.monotonic() > deadline:
                raise SystemExit(f"PostgreSQL did not start:\n{self.process.last_lines()}")
            time.sleep(0.05)

    def _psql(self, database: str, statement: str) -> str:
        done = subprocess.run(
            [
                str(self.programs / "psql"), "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1",
                "-h", str(self.sockets), "-U", ROLE, "-d", database, "-c", statement,
            ],
            env={**os.environ, "PGCONNECT_TIMEOUT": "10"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip
        if done.returncode != 0:
            raise SystemExit(f"psql failed:\n{done.stdout}")
        return done.stdout.strip()

    def _create_database(self) -> None:
        if self._psql("postgres", f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'") != "1":
            self._psql("postgres", f"CREATE DATABASE {DATABASE}")
