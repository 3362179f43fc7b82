"""A whole deployment of the test's own, started by the code that `make run` runs."""

import contextlib
import functools
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import psycopg2

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts"))

from nodes_stack import postgres  # noqa: E402
from nodes_stack.process import Process  # noqa: E402
from nodes_stack.stack import ADMINISTRATOR, Stack, merged  # noqa: E402

from .administrator import Administrator  # noqa: E402
from .device import Device, Socket  # noqa: E402
from .postgres_proxy import PostgresProxy  # noqa: E402

PASSWORD = "correct horse battery staple"

# Every device of the tests comes from one address; what is limited by address has tests of its own.
ROOMY = {
    "gateway": {
        "requests_per_address": 1000,
        "unauthenticated_sockets_per_address": 1000,
        "signatures_per_second": 10_000,
        "shutdown_spread": "500ms",
    },
    # Agents get readings one by one, but where a test is about batches.
    "messages": {"batch_wait": "0s"},
}


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on, all different.

    They are below those that the system gives to outgoing connections, one of which could take a port between this
    look and its use.
    """
    with contextlib.ExitStack() as stack:
        ports: list[int] = []
        while len(ports) < count:
            probe = stack.enter_context(socket.socket())
            port = random.randrange(10_000, 32_000)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                ports.append(port)
        return ports


def binaries() -> pathlib.Path:
    """Where the programs are: in NODES_BINARIES, or where this tree's build puts them."""
    folder = pathlib.Path(os.environ.get("NODES_BINARIES") or shown_binaries())
    for program in ("nodes-kernel", "nodes-gateway", "nodesctl"):
        assert (folder / program).exists(), f"{program} is not built; run swift build"
    return folder


@functools.cache
def shown_binaries() -> str:
    """Asked once: it takes seconds on a busy machine."""
    configuration = os.environ.get("NODES_BUILD_CONFIGURATION", "debug")
    shown = subprocess.run(
        ["swift", "build", "-c", configuration, "--show-bin-path"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return shown.stdout.strip()


def eventually(condition, what: str, timeout: float = 60):
    """Waits until `condition` is true, and says what never came true."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"after {timeout:g} s still not: {what}"
        time.sleep(0.02)


class Deployment(Stack):
    """PostgreSQL, gateways, kernels and nginx on ports and in folders of their own."""

    def __init__(
        self, folder: pathlib.Path, *, gateways: int = 2, kernels: int = 2, settings: dict | None = None,
        programs: pathlib.Path | None = None,
    ):  # fmt: skip
        """`programs`: the folder of others than this tree's."""
        count = max(gateways, kernels)
        port, status_port, *direct = free_ports(2 + count)
        super().__init__(
            folder,
            binaries=programs or binaries(),
            port=port,
            status_port=status_port,
            gateways=gateways,
            kernels=kernels,
            administrator_password=PASSWORD,
            settings=merged(ROOMY, settings or {}),
            direct_ports=direct,
        )
        self._opened: list = []

    # Processes.

    def kill(self, process: Process) -> None:
        """kill -9."""
        process.kill()

    def restart(self, process: Process) -> None:
        """Starts a process that was killed or stopped, and waits until everything is ready."""
        process.stop()
        process.start()
        if process is self.cluster.process:
            # A killed postmaster's backends hold its shared memory until they notice; a new one refuses to
            # start meanwhile.
            def is_up() -> bool:
                if not process.is_running:
                    process.start()
                return self.cluster.is_ready

            eventually(is_up, "PostgreSQL runs again")
        self.wait_until_ready()

    def stop_database(self) -> None:
        self.cluster.process.stop()

    def start_database(self) -> None:
        """Starts PostgreSQL and waits until every process has found it again."""
        self.cluster.process.start()
        self.cluster.wait_until_ready()
        self.wait_until_ready()

    @contextlib.contextmanager
    def database_stopped(self):
        self.stop_database()
        try:
            yield
        finally:
            self.start_database()

    def log_of(self, process: Process) -> str:
        return process.log.read_text(errors="replace")

    # People, devices and programs.

    def db(self):
        """A connection to the database, in autocommit; closed when the deployment ends."""
        connection = psycopg2.connect(self.database_url)
        connection.autocommit = True
        self._opened.append(connection)
        return connection

    def rows(self, statement: str, *values) -> list[tuple]:
        with contextlib.closing(psycopg2.connect(self.database_url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
                return cursor.fetchall() if cursor.description else []

    def socket(self, gateway: int | None = None, **options) -> Socket:
        """A WebSocket through nginx, to that gateway or to whichever nginx picks."""
        port = None if gateway is None else self.direct_ports[gateway]
        opened = Socket(self.origin, port=port, **options)
        self._opened.append(opened)
        return opened

    def device(self, channel: str = "web", sender_id: str | None = None, credential=None) -> Device:
        return Device(self, channel, sender_id, credential)

    def browser_session(self, kernel: int | None = None, **options) -> Administrator:
        """A session that has not signed in."""
        return Administrator(
            self.origin, port=None if kernel is None else self.direct_ports[kernel], **options
        )

    def administrator(self, kernel: int | None = None, **options) -> Administrator:
        """A session signed in as the first administrator."""
        return self.browser_session(kernel, **options).sign_in(ADMINISTRATOR, PASSWORD)

    # The end.

    def close_opened(self) -> None:
        """Closes what a test left open."""
        for opened in self._opened:
            with contextlib.suppress(Exception):
                opened.close()
        self._opened.clear()

    def stop(self) -> None:
        self.close_opened()
        super().stop()


@contextlib.contextmanager
def deployed(*, proxy: PostgresProxy | None = None, **options):
    """A deployment that is gone without a trace afterwards.

    Its programs reach the database through `proxy`, where one is given; `rows` and `db` do not.
    """
    folder = pathlib.Path(tempfile.mkdtemp(prefix="nodes-test-"))
    # PostgreSQL and nginx's workers may run as other accounts, which must reach what is theirs below.
    folder.chmod(0o755)
    if proxy:
        through = {"database": {"url": proxy.url(postgres.DATABASE, postgres.ROLE)}}
        options["settings"] = merged(through, options.get("settings") or {})
    deployment = Deployment(folder, **options)
    if proxy:
        proxy.server = lambda: deployment.cluster.sockets / proxy.path.name
    try:
        deployment.start()
        yield deployment
    finally:
        deployment.stop()
        shutil.rmtree(folder, ignore_errors=True)
