"""One host of the lab: its disk, its configuration files and its processes."""

import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.request

from nodes_stack import nginx
from nodes_stack.accounts import database_account, web_account
from nodes_stack.postgres import programs
from nodes_stack.process import Process
from nodes_stack.stack import ROOT, Failure, merged

from .network import Namespace

WEB_PORT, STATUS_PORT, POSTGRES_PORT, PATRONI_PORT, ETCD_PORT, ETCD_PEER_PORT = 8080, 8081, 5432, 8008, 2379, 2380
# Of a machine that does other things as well: a cluster of one's own can be quicker.
TIMES = {"ttl": 20, "loop_wait": 5, "retry_timeout": 5}
DISK = "400m"


def program(name: str, package: str) -> str:
    found = shutil.which(name, path="/usr/local/sbin:/usr/sbin:/usr/bin:/bin:/sbin")
    if found is None:
        raise Failure(f"{name} is not on this machine; scripts/install-dependencies lab installs {package}")
    return found


class Host:
    def __init__(self, lab, name: str, address: str) -> None:
        self.lab = lab
        self.name = name
        self.folder: pathlib.Path = lab.state / name
        self.disk = self.folder / "disk"
        self.sockets = self.folder / "run"
        self.network = Namespace(name, address)
        self.is_on = False
        self.is_cut = False
        self.stopped: set[str] = set()
        self.processes: dict[str, Process] = {}

    @property
    def address(self) -> str:
        return self.network.address

    def prepare(self) -> None:
        """Makes the folders and the disk; needs to be done once."""
        for folder in (self.folder, self.disk, self.sockets, self.folder / "log", self.folder / "nginx"):
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        # PostgreSQL's and etcd's own, and of a size that can be filled.
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=0755", "lab", str(self.disk)], check=True)
        account = database_account()
        postgres_sockets = self.folder / "postgres"
        postgres_sockets.mkdir(mode=0o700, exist_ok=True)
        for folder in (self.disk, postgres_sockets):
            account.own(folder)
        # nginx's workers may connect to what is made in here, and nobody else.
        web = web_account()
        shutil.chown(self.sockets, 0, web.gid)
        self.sockets.chmod(0o2750)
        self._configure()

    # Configuration.

    def _configure(self) -> None:
        account = database_account()
        etcd = self.disk / "etcd"
        etcd.mkdir(mode=0o700, exist_ok=True)
        account.own(etcd)
        members = ",".join(f"{h.name}=http://{h.address}:{ETCD_PEER_PORT}" for h in self.lab.hosts.values())
        own = f"http://{self.address}"
        self._add(
            "etcd",
            [
                program("etcd", "etcd-server"), "--name", self.name, "--data-dir", str(etcd),
                "--listen-client-urls", f"{own}:{ETCD_PORT}", "--advertise-client-urls", f"{own}:{ETCD_PORT}",
                "--listen-peer-urls", f"{own}:{ETCD_PEER_PORT}", "--initial-advertise-peer-urls", f"{own}:{ETCD_PEER_PORT}",
                "--initial-cluster", members, "--initial-cluster-state", "new", "--initial-cluster-token", "lab",
                # Of a machine that does other things as well. A member that comes back does not start an election.
                "--heartbeat-interval", "200", "--election-timeout", "2000", "--pre-vote", "--log-level", "warn",
                "--enable-v2",
            ],
            as_database=True,
        )  # fmt: skip
        patroni = self.folder / "patroni.json"
        # JSON is YAML, too.
        patroni.write_text(json.dumps(self._patroni(), indent=2) + "\n")
        patroni.chmod(0o600)
        account.own(patroni)
        self._add("patroni", [program("patroni", "patroni"), str(patroni)], as_database=True)
        for kind in ("gateway", "kernel"):
            path = self._server(kind)
            self._add(kind, [str(self.lab.binaries / f"nodes-{kind}"), "--config", str(path)])
        path = self._nginx()
        self._add(
            "nginx",
            [program("nginx", "nginx-light"), "-e", str(self.folder / "log/nginx-error.log"),
             "-p", str(self.folder / "nginx"), "-c", str(path)],
        )  # fmt: skip

    def _add(self, name: str, command: list[str], *, as_database: bool = False) -> None:
        if as_database:
            account = database_account()
            # The kernel forgets which signal a parent's death is to be once the account changes.
            command = ["setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups",
                       "--pdeathsig", "KILL", "--", *command]  # fmt: skip
        self.processes[name] = Process(
            f"{name} of {self.name}", self.network.command(*command), self.folder / "log" / f"{name}.log",
            environment=self.lab.environment, popen={"cwd": "/"},
        )  # fmt: skip

    def _patroni(self) -> dict:
        strict = self.lab.is_synchronous
        addresses = ",".join(f"{h.address}:{ETCD_PORT}" for h in self.lab.hosts.values())
        return {
            "scope": "lab",
            "name": self.name,
            "restapi": {"listen": f"{self.address}:{PATRONI_PORT}", "connect_address": f"{self.address}:{PATRONI_PORT}"},
            # Not etcd3: with that, this Patroni writes the leader's key without looking whose it is, so that a former
            # primary that comes back takes it from the new one, with what it had committed for itself.
            "etcd": {"hosts": addresses},
            "bootstrap": {
                "dcs": {
                    **TIMES,
                    # A primary that crashed is not waited for: another one takes over.
                    "primary_start_timeout": 0,
                    # Without etcd, a primary that reaches every other host goes on.
                    "failsafe_mode": True,
                    "maximum_lag_on_failover": 1 << 20,
                    "synchronous_mode": strict,
                    # Rather wait than acknowledge what is on one host only.
                    "synchronous_mode_strict": strict,
                    "postgresql": {
                        "use_pg_rewind": True,
                        "use_slots": True,
                        "parameters": {
                            "max_connections": 100, "shared_buffers": "64MB",
                            "wal_keep_size": "32MB", "max_wal_size": "48MB", "min_wal_size": "2MB",
                            "max_slot_wal_keep_size": "128MB",
                            "wal_log_hints": "on", "log_checkpoints": "off",
                            # A standby that is gone is known to the primary, and a primary to its standby.
                            "wal_sender_timeout": "5s", "wal_receiver_timeout": "5s",
                            "tcp_user_timeout": "5s",
                        },
                    },
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, {"wal-segsize": "1"}, "data-checksums"],
            },
            "postgresql": {
                "listen": f"{self.address}:{POSTGRES_PORT}",
                "connect_address": f"{self.address}:{POSTGRES_PORT}",
                "data_dir": str(self.disk / "postgres"),
                "bin_dir": str(programs()),
                "pgpass": str(self.folder / "postgres/pgpass"),
                "remove_data_directory_on_rewind_failure": True,
                "remove_data_directory_on_diverged_timelines": True,
                "authentication": {
                    "superuser": {"username": "postgres", "password": self.lab.secrets["postgres"]},
                    "replication": {"username": "replicator", "password": self.lab.secrets["replicator"]},
                    "rewind": {"username": "rewinder", "password": self.lab.secrets["rewinder"]},
                },
                "parameters": {"unix_socket_directories": str(self.folder / "postgres")},
                "pg_hba": [
                    # The folder of the socket is closed to everyone but PostgreSQL's account and root.
                    "local all all trust",
                    f"host all all {self.lab.network} scram-sha-256",
                    f"host replication replicator {self.lab.network} scram-sha-256",
                ],
            },
        }  # fmt: skip

    def _server(self, kind: str) -> pathlib.Path:
        base = {
            "database": {"url": self.lab.database_url},
            "instance": {"name": f"{kind}-{self.name}"},
            kind: {"socket": str(self.sockets / f"{kind}.sock")},
        }
        path = self.folder / f"{kind}.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(merged(self.lab.settings, base), indent=2) + "\n")
        return path

    def _nginx(self) -> pathlib.Path:
        shutil.copytree(ROOT / "nginx/snippets", self.folder / "snippets", dirs_exist_ok=True)
        text = nginx.render(
            ROOT / "nginx/development.conf.template",
            account=web_account(),
            run=self.folder / "nginx",
            log=self.folder / "log",
            templates=self.lab.templates,
            port=WEB_PORT,
            status_port=STATUS_PORT,
            gateways=[self.sockets / "gateway.sock"],
            kernels=[self.sockets / "kernel.sock"],
        )
        # Between hosts it is the network; whoever asks is who the nginx in front says.
        text = re.sub(r"listen 127\.0\.0\.1:", f"listen {self.address}:", text)
        believed = f"    set_real_ip_from {self.lab.front};\n    real_ip_header X-Real-IP;\n"
        path = self.folder / "nginx.conf"
        path.write_text(text.replace("http {\n", "http {\n" + believed, 1))
        return path

    # Life.

    def switch_on(self) -> None:
        """Starts everything that is to run and does not."""
        self.is_on = True
        for name, process in self.processes.items():
            if name not in self.stopped and not process.is_running:
                process.start()

    def switch_off(self) -> None:
        """The whole host is gone at once: nobody is told, not even by its network."""
        self.is_on = False
        self.network.unplug()
        self.network.end_processes()
        for process in self.processes.values():
            if process.child is not None:
                process.child.wait()
        # What a machine that lost its power does not find again.
        (self.disk / "postgres/postmaster.pid").unlink(missing_ok=True)

    def cut(self) -> None:
        self.is_cut = True
        self.network.unplug()

    def mend(self) -> None:
        """Undoes whatever was done to it."""
        self.filler.unlink(missing_ok=True)
        self.is_cut = False
        self.stopped.clear()
        self.network.plug()
        self.switch_on()

    def stop_process(self, name: str) -> None:
        """Until it is mended."""
        self.stopped.add(name)
        self.processes[name].kill()

    def kill_postgres(self) -> None:
        """`kill -9` of PostgreSQL's first process, which Patroni started."""
        path = self.disk / "postgres/postmaster.pid"
        pid = int(path.read_text().split()[0])
        if pid in self.network.processes():
            os.kill(pid, signal.SIGKILL)

    @property
    def filler(self) -> pathlib.Path:
        return self.disk / "filler"

    def fill(self) -> None:
        """Leaves no byte of the disk that PostgreSQL and etcd are on."""
        with self.filler.open("wb", buffering=0) as file:
            size = 1 << 20
            while size:
                try:
                    file.write(b"\0" * size)
                except OSError:
                    size //= 2

    def kept_running(self) -> list[Process]:
        return [p for n, p in self.processes.items() if n not in self.stopped] if self.is_on else []

    # What it says of itself.

    def ask(self, port: int, path: str) -> tuple[int, str]:
        """Asks over the network; 0 where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://{self.address}:{port}/{path}", timeout=1.5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")
        except (OSError, ValueError):
            return 0, ""

    def condition_of_patroni(self) -> dict:
        """Its own words; empty where it does not answer."""
        _, text = self.ask(PATRONI_PORT, "patroni")
        try:
            return json.loads(text) if text else {}
        except ValueError:
            return {}

    def condition(self) -> dict:
        """What it shows to whoever asks over the network; takes as long as its slowest answer."""
        questions = {
            "etcd": (ETCD_PORT, "health"), "gateway": (STATUS_PORT, "gateway/0/readyz"),
            "kernel": (STATUS_PORT, "kernel/0/readyz"),
        }  # fmt: skip
        with concurrent.futures.ThreadPoolExecutor(len(questions) + 1) as asking:
            patroni = asking.submit(self.condition_of_patroni)
            codes = {name: asking.submit(self.ask, *question) for name, question in questions.items()}
            says = patroni.result()
        return {
            "host": self.name,
            "address": self.address,
            "on": self.is_on,
            "cut": self.is_cut,
            "stopped": sorted(self.stopped),
            "full": self.filler.exists(),
            "role": says.get("role", "unknown"),
            "postgres": says.get("state", "unknown"),
            "timeline": says.get("timeline"),
            "synchronous": bool(says.get("sync_standby")),
            **{name: code.result()[0] == 200 for name, code in codes.items()},
        }
