"""Everything that runs, wired together: folders, sockets, configuration files, start and stop in order."""

import fcntl
import hashlib
import json
import os
import pathlib
import resource
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from . import nginx
from .accounts import database_account, web_account
from .postgres import Cluster
from .process import Process

ROOT = pathlib.Path(__file__).resolve().parents[2]
ADMINISTRATOR = "admin"
CHANNELS = ("Web", "Mobile", "IoT", "OpenClaw")

# These are decided here, one value per process; from the environment they would reach all of them. The password
# is nodesctl's alone, which reads it from its standard input.
OWN_VARIABLES = ("GATEWAY_SOCKET", "KERNEL_SOCKET", "INSTANCE_NAME", "CHANNELS_DIRECTORY", "ADMIN_PASSWORD")


class Failure(SystemExit):
    """Something that ends the run, with a sentence for whoever started it."""


class Stack:
    """One deployment below `state`; several can run side by side, each with a state and ports of its own."""

    def __init__(
        self,
        state: pathlib.Path,
        *,
        binaries: pathlib.Path,
        port: int,
        status_port: int,
        gateways: int = 1,
        kernels: int = 1,
        database_url: str | None = None,
        administrator_password: str | None = None,
        settings: dict | None = None,
        environment: dict[str, str] | None = None,
        direct_ports: list[int] | None = None,
        say=print,
    ) -> None:
        self.state = state.resolve()
        self.binaries = binaries
        self.port = port
        self.status_port = status_port
        self.gateway_count = gateways
        self.kernel_count = kernels
        self.given_database_url = database_url
        self.administrator_password = administrator_password
        self.settings = settings or {}
        inherited = os.environ if environment is None else environment
        self.environment = {k: v for k, v in inherited.items() if k not in OWN_VARIABLES}
        self.direct_ports = direct_ports or []
        self.say = say

        self.log = self.state / "log"
        self.config = self.state / "config"
        self.run: pathlib.Path | None = None
        self.cluster: Cluster | None = None
        self.gateways: list[Process] = []
        self.kernels: list[Process] = []
        self.nginx: Process | None = None
        self._lock = None

    # Addresses.

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def database_url(self) -> str:
        return self.given_database_url or self.cluster.url

    @property
    def processes(self) -> list[Process]:
        """Everything to keep running, in the order of their start."""
        database = [self.cluster.process] if self.cluster and self.cluster.process else []
        web = [self.nginx] if self.nginx else []
        return database + self.gateways + self.kernels + web

    # Start.

    def start(self) -> str | None:
        """Starts everything and returns once it answers.

        Returns the administrator's password when the account was created by this start.
        """
        self.reserve()
        try:
            # A device takes a descriptor of its gateway and two of nginx.
            _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
            if not self.given_database_url:
                self.cluster = Cluster(self.state, self.run / "database", self.log / "postgresql.log")
                self.cluster.start()
            self._install_channels()
            self._write_configurations()
            self.nodesctl("migrate")
            for process in self.gateways + self.kernels:
                process.start()
            self._start_nginx()
            self.wait_until_ready()
            # Last, so that a password which nobody has seen yet is not lost with a start that fails.
            return self._create_administrator()
        except BaseException:
            self.stop()
            raise

    def reserve(self) -> None:
        """Takes the state folder and looks at the ports, so that a copy too many is refused at once."""
        if self._lock is not None:
            return
        self._lock_state()
        try:
            self._check_ports()
            for folder in (self.log, self.config):
                folder.mkdir(mode=0o750, exist_ok=True)
            self._make_run_folder()
        except BaseException:
            self.stop()
            raise

    def _lock_state(self) -> None:
        try:
            self.state.mkdir(parents=True, exist_ok=True)
            self._lock = open(self.state / "lock", "a+")
        except OSError as error:
            raise Failure(
                f"{self.state} cannot be written ({error.strerror}); choose another folder with STATE=…"
            ) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            self._lock = None
            raise Failure(f"{self.state} is in use by another run; choose another folder with STATE=…") from None

    def _make_run_folder(self) -> None:
        """Sockets need a path of at most 107 bytes, whatever STATE is, and accounts that can reach them."""
        note = self.state / "run"
        if note.is_symlink():
            # What a run that was ended by force left behind.
            shutil.rmtree(os.readlink(note), ignore_errors=True)
            note.unlink()
        self.run = self._claim_run_folder()
        note.symlink_to(self.run)
        web = web_account()
        servers, database, web_folder = self.run / "servers", self.run / "database", self.run / "nginx"
        for folder in (servers, database, web_folder):
            folder.mkdir(mode=0o700)
        database_account().own(database)
        if os.geteuid() == 0:
            self.run.chmod(0o711)
            # A socket made in a set-group-ID folder gets the folder's group: with its mode of 0660, nginx's
            # workers may connect and nobody else.
            os.chown(servers, 0, web.gid)
            servers.chmod(0o2750)
            web_folder.chmod(0o711)

    def _claim_run_folder(self) -> pathlib.Path:
        """The same folder for the same STATE, so that the private database's address outlives a restart."""
        name = hashlib.sha256(f"{os.geteuid()} {self.state}".encode()).hexdigest()[:12]
        folder = pathlib.Path("/tmp") / f"nodes-{name}"
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            # Somebody else's, for whatever reason: the lock on STATE says that it is no run of ours.
            return pathlib.Path(tempfile.mkdtemp(prefix="nodes-", dir="/tmp"))
        return folder

    def _check_ports(self) -> None:
        for name, port in (("PORT", self.port), ("STATUS_PORT", self.status_port)):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError as error:
                    raise Failure(
                        f"port {port} of 127.0.0.1 cannot be used ({error.strerror}); choose another with {name}=…"
                    ) from None

    def _install_channels(self) -> None:
        libraries = [str(self.binaries / f"lib{name}Channel.so") for name in CHANNELS]
        done = subprocess.run(
            [str(ROOT / "scripts/install-channels"), str(self.state / "channels"), *libraries],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode != 0:
            raise Failure(f"the channels could not be installed:\n{done.stdout}")

    def socket_path(self, name: str) -> pathlib.Path:
        return self.run / "servers" / f"{name}.sock"

    def _write_configurations(self) -> None:
        self.gateways = [self._server("gateway", index) for index in range(self.gateway_count)]
        self.kernels = [self._server("kernel", index) for index in range(self.kernel_count)]
        self._write_configuration("nodesctl", {})

    def _server(self, kind: str, index: int) -> Process:
        name = f"{kind}-{index}"
        path = self._write_configuration(
            name, {"instance": {"name": name}, kind: {"socket": str(self.socket_path(name))}}
        )
        return Process(
            name,
            [str(self.binaries / f"nodes-{kind}"), "--config", str(path)],
            self.log / f"{name}.log",
            environment=self.environment,
        )

    def _write_configuration(self, name: str, own: dict) -> pathlib.Path:
        base = {
            "database": {"url": self.database_url},
            "gateway": {
                "public_origins": [self.origin, f"http://localhost:{self.port}"],
                "shutdown_spread": "1s",
            },
            "session": {"key_file": str(self._account_key())},
            "channels": {"directory": str(self.state / "channels")},
            "templates": {"directory": str(ROOT / "templates")},
        }
        path = self.config / f"{name}.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(merged(merged(base, self.settings), own), indent=2) + "\n")
        return path

    def _account_key(self) -> pathlib.Path:
        """What the secrets of one-time codes are encrypted under; made once."""
        path = self.config / "accounts.key"
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(32))
        return path

    def nodesctl(self, *arguments: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess:
        """Runs `nodesctl` against this deployment."""
        done = subprocess.run(
            [str(self.binaries / "nodesctl"), *arguments],
            input=stdin,
            text=True,
            capture_output=True,
            env={**self.environment, "NODES_CONFIG": str(self.config / "nodesctl.json")},
            timeout=120,
        )
        if check and done.returncode != 0:
            raise Failure(f"nodesctl {' '.join(arguments)} ended with code {done.returncode}:\n{done.stderr}")
        return done

    def _create_administrator(self) -> str | None:
        if json.loads(self.nodesctl("admin", "list", "--json").stdout):
            return None
        password = self.administrator_password or secrets.token_urlsafe(15)
        self.nodesctl("admin", "create", ADMINISTRATOR, "--password-stdin", stdin=password + "\n")
        return password

    def _start_nginx(self) -> None:
        # `include` paths are relative to the folder of the configuration file.
        snippets = self.config / "snippets"
        shutil.rmtree(snippets, ignore_errors=True)
        shutil.copytree(ROOT / "nginx/snippets", snippets)
        path = self.config / "nginx.conf"
        path.write_text(
            nginx.render(
                ROOT / "nginx/development.conf.template",
                account=web_account(),
                run=self.run / "nginx",
                log=self.log,
                templates=self._static_root(),
                port=self.port,
                status_port=self.status_port,
                gateways=[self.socket_path(process.name) for process in self.gateways],
                kernels=[self.socket_path(process.name) for process in self.kernels],
                direct_ports=self.direct_ports,
            )
        )
        program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin")
        if program is None:
            raise Failure("nginx is not on this machine; scripts/install-dependencies installs it")
        self.nginx = Process(
            "nginx",
            [program, "-e", str(self.log / "nginx-error.log"), "-p", str(self.run / "nginx"), "-c", str(path)],
            self.log / "nginx.log",
            stop_signal=signal.SIGTERM,
        )
        self.nginx.start()

    def _static_root(self) -> pathlib.Path:
        """The folder nginx's workers read /static/ from: a copy where they cannot reach the templates."""
        if web_account().can_reach(ROOT / "templates"):
            return ROOT / "templates"
        copy = self.run / "nginx" / "templates"
        shutil.copytree(ROOT / "templates", copy)
        for path in [copy, *copy.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        return copy

    # Health.

    def status(self, path: str) -> tuple[int, str]:
        """Asks the loopback listener, such as for `gateway/0/readyz`; 0 where it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.status_port}/{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")
        except OSError:
            return 0, ""

    def wait_until_ready(self, timeout: float = 60) -> None:
        """Waits until every gateway and kernel says that it is ready."""
        deadline = time.monotonic() + timeout
        waiting = {f"gateway/{i}/readyz": p for i, p in enumerate(self.gateways)}
        waiting |= {f"kernel/{i}/readyz": p for i, p in enumerate(self.kernels)}
        while waiting:
            for path, process in list(waiting.items()):
                if not process.is_running:
                    raise Failure(f"{process.name} did not start; the end of {process.log}:\n{process.last_lines()}")
                if self.status(path)[0] == 200:
                    del waiting[path]
            if not self.nginx.is_running:
                raise Failure(f"nginx did not start; the end of {self.nginx.log}:\n{self.nginx.last_lines()}")
            if waiting and time.monotonic() > deadline:
                name, process = next(iter(waiting.items()))
                raise Failure(
                    f"{name} is not ready after {timeout:g} s; the end of {process.log}:\n{process.last_lines()}"
                )
            time.sleep(0.05)

    # Stop.

    def stop(self) -> None:
        """Stops everything in order: devices are told and closed while nginx still carries it."""
        servers = self.gateways + self.kernels
        for process in servers:
            process.request_stop()
        for process in servers:
            process.stop()
        if self.nginx:
            self.nginx.stop()
        if self.cluster and self.cluster.process:
            self.cluster.process.stop()
        if self.run:
            shutil.rmtree(self.run, ignore_errors=True)
            (self.state / "run").unlink(missing_ok=True)
            self.run = None
        if self._lock:
            self._lock.close()
            self._lock = None


def merged(base: dict, more: dict) -> dict:
    """`base` with the values of `more`, section by section."""
    result = dict(base)
    for key, value in more.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result
