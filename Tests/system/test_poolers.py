"""A pooler between the servers and PostgreSQL: PgBouncer in session mode serves everything; in the other modes every
program refuses to start and says what to do."""

import contextlib
import pathlib
import shutil
import socket
import subprocess
import tempfile

import pytest
from nodes_stack.postgres import ROLE
from nodes_stack.process import Process
from support.deployment import Deployment, eventually, free_ports


@contextlib.contextmanager
def pgbouncer(nodes: Deployment, mode: str, **settings):
    """PgBouncer before the deployment's PostgreSQL, run by the account that PostgreSQL runs as; yields its URL."""
    (port,) = free_ports(1)
    # Reached by that account, which may be another than the test's.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pgbouncer-"))
    folder.chmod(0o755)
    users = folder / "users.txt"
    users.write_text(f'"{ROLE}" ""\n')
    file = folder / "pgbouncer.ini"
    more = "".join(f"{name} = {value}\n" for name, value in settings.items())
    file.write_text(
        f"[databases]\nnodes = host={nodes.cluster.sockets} user={ROLE}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = trust\n"
        f"auth_file = {users}\npool_mode = {mode}\n{more}"
    )
    process = Process(
        "pgbouncer", ["/usr/sbin/pgbouncer", str(file)], folder / "pgbouncer.log",
        popen=nodes.cluster.account.popen_arguments(),
    )  # fmt: skip
    process.start()
    try:

        def answers() -> bool:
            assert process.is_running, process.last_lines(20)
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return True
            return False

        eventually(answers, "PgBouncer answers")
        yield f"postgresql://{ROLE}@127.0.0.1:{port}/nodes"
    finally:
        process.stop()
        shutil.rmtree(folder)


@pytest.fixture
def pooled(shared_deployment: Deployment):
    """`pooled(mode)`: a URL of the shared deployment's database through PgBouncer."""
    with contextlib.ExitStack() as stack:
        yield lambda mode, **settings: stack.enter_context(
            pgbouncer(shared_deployment, mode, **settings)
        )


@pytest.mark.parametrize(
    ("mode", "settings"), [("transaction", {}), ("transaction", {"default_pool_size": 1}), ("statement", {})]
)
def test_every_program_refuses_a_pooler_that_keeps_no_sessions(nodes, pooled, mode, settings):
    url = pooled(mode, **settings)
    environment = {**nodes.kernels[0].environment, "DATABASE_URL": url}
    folder = pathlib.Path(nodes.cluster.sockets).parent
    for process, setting in ((nodes.kernels[0], "KERNEL_SOCKET"), (nodes.gateways[0], "GATEWAY_SOCKET")):
        mine = {**process.environment, "DATABASE_URL": url, setting: str(folder / "pooled.sock")}
        done = subprocess.run(process.command, env=mine, capture_output=True, text=True, timeout=60, **process.popen)
        assert done.returncode != 0
        assert "session mode" in done.stderr, done.stderr
    for command in (["devices", "list"], ["migrate"], ["doctor"]):
        done = subprocess.run(
            [nodes.binaries / "nodesctl", *nodes.kernels[0].command[1:3], *command], env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == (1 if command == ["doctor"] else 78), done.stderr
        assert "session mode" in done.stdout + done.stderr, done.stdout + done.stderr


def test_a_pooler_in_session_mode_serves_everything(deploy):
    nodes = deploy(gateways=1, kernels=1)
    with pgbouncer(nodes, "session", max_client_conn=200, default_pool_size=100) as url:
        for process in (*nodes.gateways, *nodes.kernels):
            process.stop()
            process.environment = {**process.environment, "DATABASE_URL": url}
            process.start()
        nodes.wait_until_ready()
        administrator = nodes.administrator()
        device = nodes.device()
        device.pair(administrator)
        assert device.socket.request("message.send", {"messageId": "m", "message": 1})["status"] == "accepted"
        assert device.socket.event("message")["message"] == 1
        administrator.revoke(device.sender_id)
        assert device.socket.wait_closed()[0] == 4001
        for process in (*nodes.gateways, *nodes.kernels):
            process.stop()
