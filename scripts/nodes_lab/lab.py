"""The lab itself: made by one process, which holds it, answers commands about it and takes it down."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import resource
import secrets
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time

from nodes_stack.accounts import web_account
from nodes_stack.postgres import programs
from nodes_stack.process import Process, Supervisor
from nodes_stack.stack import ADMINISTRATOR, CHANNELS, ROOT, Failure, merged

from .host import POSTGRES_PORT, WEB_PORT, Host, program
from .network import leave_the_machine, make_bridge

HOSTS = ("a", "b", "c")
NETWORK = "10.88.0.0/24"
FRONT = "10.88.0.1"
ADDRESSES = {name: f"10.88.0.{11 + index}" for index, name in enumerate(HOSTS)}

FRONT_NGINX = """\
user {user} {group};
daemon off;
worker_processes 2;
worker_rlimit_nofile 16384;
pid "{folder}/nginx.pid";
error_log "{folder}/log/nginx-error.log" notice;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    server_tokens off;
    client_body_temp_path {folder}/nginx/body;
    proxy_temp_path {folder}/nginx/proxy;
    fastcgi_temp_path {folder}/nginx/fastcgi;
    uwsgi_temp_path {folder}/nginx/uwsgi;
    scgi_temp_path {folder}/nginx/scgi;
    map $http_upgrade $upgrading {{ default upgrade; "" ""; }}
    upstream hosts {{
        zone hosts 64k;
        least_conn;
{servers}    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://hosts;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $upgrading;
            proxy_set_header Host $http_host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_buffering off;
            # A host that is gone does not refuse, it is silent: it is passed over after this time.
            proxy_connect_timeout 1s;
            proxy_read_timeout 360s;
            # A host without its gateway or kernel says so with a 502, and nothing of the request was carried out.
            proxy_next_upstream error timeout http_502;
            proxy_next_upstream_tries 3;
        }}
    }}
}}
"""


class Lab:
    def __init__(
        self, state: pathlib.Path, *, binaries: pathlib.Path, port: int, is_synchronous: bool, settings: dict, say=print
    ) -> None:
        self.state = state
        self.binaries = binaries
        self.port = port
        self.is_synchronous = is_synchronous
        self.extra_settings = settings
        self.say = say
        self.network = NETWORK
        self.front = FRONT
        self.environment = dict(os.environ)
        self.secrets = {name: secrets.token_urlsafe(18) for name in ("postgres", "replicator", "rewinder", "nodes")}
        self.hosts: dict[str, Host] = {}
        self.front_nginx: Process | None = None
        self.supervisor = Supervisor(say=lambda text: say(text))
        self.is_ending = False

    # Addresses.

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def database_url(self) -> str:
        """What an operator writes: every host, and whichever of them takes changes."""
        hosts = ",".join(f"{address}:{POSTGRES_PORT}" for address in ADDRESSES.values())
        return f"postgresql://nodes:{self.secrets['nodes']}@{hosts}/nodes?target_session_attrs=read-write"

    @property
    def settings(self) -> dict:
        return merged(
            {
                "gateway": {"public_origins": [self.origin, f"http://localhost:{self.port}"], "shutdown_spread": "1s"},
                "session": {"key_file": str(self.state / "accounts.key")},
                "channels": {"directory": str(self.state / "channels")},
                "templates": {"directory": str(ROOT / "templates")},
            },
            self.extra_settings,
        )

    @property
    def templates(self) -> pathlib.Path:
        return ROOT / "templates" if web_account().can_reach(ROOT / "templates") else self.state / "templates"

    # Start.

    def reserve(self) -> None:
        """Takes the port and the folder, before anything is made."""
        try:
            self.state.mkdir(mode=0o755)
        except FileExistsError:
            raise Failure(f"{self.state} is there already: scripts/lab down removes it, --state takes another") from None
        longest = self.state / "a/postgres/.s.PGSQL.5432"
        if len(os.fsencode(longest)) > 107:
            raise Failure(f"{self.state} is too long: a socket's path has at most 107 bytes; choose another with --state")
        try:
            self.listener = socket.create_server(("127.0.0.1", self.port), backlog=4096)
            self.port = self.listener.getsockname()[1]
            # nginx takes an inherited socket as it is: a worker would wait in it for whom another one was quicker to take.
            self.listener.setblocking(False)
        except OSError as error:
            raise Failure(f"port {self.port} cannot be used ({error.strerror}); choose another with --port") from None
        self.control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.control.bind(str(self.state / "control"))
        os.chmod(self.state / "control", 0o600)
        self.control.listen(16)

    def build(self) -> None:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        leave_the_machine()
        make_bridge(FRONT)
        (self.state / "log").mkdir()
        (self.state / "nginx").mkdir()
        key = self.state / "accounts.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(32))
        self._install_channels()
        if self.templates != ROOT / "templates":
            shutil.copytree(ROOT / "templates", self.templates)
        for name, address in ADDRESSES.items():
            self.hosts[name] = Host(self, name, address)
        for host in self.hosts.values():
            host.prepare()
        for host in self.hosts.values():
            host.switch_on()
        self._start_front()
        self.say("waiting for a primary and its standbys …")
        self._wait(lambda: self.primary() is not None, "there is a primary", 120)
        self._create_database()
        self._wait(lambda: self._standbys() == len(HOSTS) - 1, "every standby follows", 120)
        self._nodesctl("migrate")
        password = secrets.token_urlsafe(15)
        self._nodesctl("admin", "create", ADMINISTRATOR, "--password-stdin", stdin=password + "\n")
        note = self.state / "password"
        note.touch(mode=0o600)
        note.write_text(password + "\n")
        self._wait(self._is_whole, "every gateway and kernel is ready", 120)

    def _install_channels(self) -> None:
        libraries = [str(self.binaries / f"lib{name}Channel.so") for name in CHANNELS]
        done = subprocess.run(
            [str(ROOT / "scripts/install-channels"), str(self.state / "channels"), *libraries],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode != 0:
            raise Failure(f"the channels could not be installed:\n{done.stdout}{done.stderr}")

    def _start_front(self) -> None:
        """It listens on the machine's own loopback, and asks the hosts over the bridge: the listening socket was made
        before this process left the machine's network."""
        account = web_account()
        servers = "".join(
            f"        server {address}:{WEB_PORT} max_fails=1 fail_timeout=3s;\n" for address in ADDRESSES.values()
        )
        path = self.state / "nginx.conf"
        path.write_text(
            FRONT_NGINX.format(
                user=account.name, group=account.group, folder=self.state, servers=servers, port=self.port
            )
        )
        descriptor = self.listener.fileno()
        self.front_nginx = Process(
            "nginx in front",
            [program("nginx", "nginx-light"), "-e", str(self.state / "log/nginx-error.log"),
             "-p", str(self.state / "nginx"), "-c", str(path)],
            self.state / "log/nginx.log",
            # How nginx hands its listening sockets to its next version.
            environment={**self.environment, "NGINX": f"{descriptor};"},
            popen={"pass_fds": [descriptor]},
        )  # fmt: skip
        self.front_nginx.start()

    def primary(self) -> Host | None:
        """The host that says that it is the primary and takes changes."""
        for host in self.hosts.values():
            if host.is_on and host.condition_of_patroni().get("role") in ("master", "primary"):
                return host
        return None

    def _psql(self, database: str, statement: str) -> str:
        host = self.primary()
        if host is None:
            raise Failure("there is no primary")
        done = subprocess.run(
            [str(programs() / "psql"), "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", str(host.folder / "postgres"),
             "-U", "postgres", "-d", database, "-c", statement],
            env={**self.environment, "PGCONNECT_TIMEOUT": "5"}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode != 0:
            raise Failure(f"psql failed: {done.stderr.strip()}")
        return done.stdout.strip()

    def _create_database(self) -> None:
        self._wait(lambda: "postgres" in self._psql("postgres", "SELECT current_user"), "the primary answers", 30)
        self._psql("postgres", f"CREATE ROLE nodes LOGIN PASSWORD '{self.secrets['nodes']}'")
        self._psql("postgres", "CREATE DATABASE nodes OWNER nodes")

    def _standbys(self) -> int:
        return int(self._psql("postgres", "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"))

    def conditions(self) -> list[dict]:
        with concurrent.futures.ThreadPoolExecutor(len(self.hosts)) as asking:
            return list(asking.map(Host.condition, self.hosts.values()))

    def _is_whole(self) -> bool:
        conditions = self.conditions()
        return all(c["gateway"] and c["kernel"] and c["etcd"] and c["postgres"] in ("running", "streaming") for c in conditions)

    def _nodesctl(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess:
        path = self.state / "nodesctl.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(merged(self.settings, {"database": {"url": self.database_url}}), indent=2) + "\n")
        done = subprocess.run(
            [str(self.binaries / "nodesctl"), *arguments], input=stdin, capture_output=True, text=True,
            env={**self.environment, "NODES_CONFIG": str(path)}, timeout=120,
        )  # fmt: skip
        if done.returncode != 0:
            raise Failure(f"nodesctl {' '.join(arguments)} ended with code {done.returncode}:\n{done.stderr}")
        return done

    def _wait(self, condition, what: str, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while True:
            with contextlib.suppress(Failure):
                if condition():
                    return
            if time.monotonic() > deadline:
                raise Failure(f"after {timeout:g} s still not: {what}; the logs are in {self.state}/*/log")
            self.look()
            time.sleep(0.2)

    # Commands.

    def serve(self) -> None:
        """Until it is taken down."""
        self.control.setblocking(False)
        with selectors.DefaultSelector() as selector:
            selector.register(self.control, selectors.EVENT_READ)
            while not self.is_ending:
                for _ in selector.select(0.2):
                    with contextlib.suppress(BlockingIOError):
                        connection, _ = self.control.accept()
                        self._answer(connection)
                self.look()

    def look(self) -> None:
        kept = [self.front_nginx] if self.front_nginx else []
        for host in self.hosts.values():
            kept += host.kept_running()
        self.supervisor.look(kept)

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(10)
            with connection.makefile("rw") as file:
                try:
                    request = json.loads(file.readline())
                    answer = {"ok": self._carry_out(request)}
                except (Failure, ValueError, KeyError, OSError) as error:
                    answer = {"error": str(error)}
                file.write(json.dumps(answer) + "\n")
                file.flush()

    def _carry_out(self, request: dict):
        what = request["do"]
        host = self._host(request["host"]) if request.get("host") else None
        if what not in ("status", "where", "enter"):
            self.say(f"{what} {request.get('host') or ''} {request.get('process') or ''}".rstrip())
        match what:
            case "status":
                return self.conditions()
            case "down":
                self.is_ending = True
            case "kill" if request.get("process") == "postgres":
                host.kill_postgres()
            case "kill":
                host.switch_off()
            case "cut":
                host.cut()
            case "fill":
                host.fill()
            case "stop":
                for each in [host] if host else self.hosts.values():
                    each.stop_process(request["process"])
            case "heal":
                for each in [host] if host else self.hosts.values():
                    each.mend()
            case "enter":
                return {"network": host.network.path}
            case "where":
                return {
                    "origin": self.origin,
                    "network": f"/proc/{os.getpid()}/ns/net",
                    "password": (self.state / "password").read_text().strip(),
                }
            case _:
                raise Failure(f"nobody knows how to {what}")
        return None

    def _host(self, name: str) -> Host:
        if name == "primary":
            found = self.primary()
            if found is None:
                raise Failure("there is no primary at the moment")
            return found
        if name not in self.hosts:
            raise Failure(f"there is no host {name}: there are {', '.join(self.hosts)}, and primary for the one that is")
        return self.hosts[name]

    # The end.

    def take_down(self) -> None:
        for host in self.hosts.values():
            for name in ("gateway", "kernel"):
                host.processes[name].request_stop() if name in host.processes else None
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline and any(
            host.processes[name].is_running for host in self.hosts.values() for name in ("gateway", "kernel") if host.processes
        ):
            time.sleep(0.05)
        if self.front_nginx:
            self.front_nginx.stop()
        for host in self.hosts.values():
            host.network.end_processes()
            for process in host.processes.values():
                if process.child is not None:
                    process.child.wait()
            subprocess.run(["umount", str(host.disk)], capture_output=True)
        (self.state / "control").unlink(missing_ok=True)


def keep(lab: Lab) -> None:
    """Makes the lab, says so on the standard output, and holds it."""

    def end(*_) -> None:
        if lab.is_ending:
            return
        lab.is_ending = True
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    try:
        lab.reserve()
        lab.build()
        print(f"ready: {lab.origin}/nodes", flush=True)
        log = os.open(lab.state / "log/lab.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        os.dup2(log, 1)
        os.dup2(log, 2)
        lab.serve()
    except KeyboardInterrupt:
        pass
    finally:
        for ignored in (signal.SIGINT, signal.SIGTERM):
            signal.signal(ignored, signal.SIG_IGN)
        if lab.hosts or lab.front_nginx:
            lab.take_down()
        sys.stdout.flush()
