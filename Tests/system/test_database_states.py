"""PostgreSQL is there and can't serve: frozen, read-only, or not prepared; nothing needs a restart (I5)."""

import contextlib
import os
import pathlib
import re
import signal
import time

import psycopg2
import pytest
from support.deployment import eventually
from support.device import Refused, TokenCredential


def processes_of(nodes) -> list[int]:
    """PostgreSQL's processes, the postmaster first, so that it starts no other while they are stopped."""
    postmaster = nodes.cluster.process.pid
    children = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            facts = stat.read_text().rsplit(")", 1)[1].split()
            if int(facts[1]) == postmaster:
                children.append(int(stat.parent.name))
    return [postmaster, *children]


@contextlib.contextmanager
def frozen(nodes):
    os.kill(nodes.cluster.process.pid, signal.SIGSTOP)
    stopped = processes_of(nodes)
    for process in stopped:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in stopped:
            os.kill(process, signal.SIGCONT)


def test_a_frozen_database_is_said_to_be_away_in_seconds_and_is_back_by_itself(deploy):
    nodes = deploy(gateways=1, kernels=1)
    administrator = nodes.administrator()
    device = nodes.device(credential=TokenCredential())
    device.pair(administrator)
    message = {"messageId": "before", "message": 1}
    device.socket.request("message.send", message)
    with frozen(nodes):
        asked = time.monotonic()
        with pytest.raises(Refused) as refusal:
            device.socket.request("message.send", {"messageId": "during", "message": 2})
        # Three seconds, and what a busy machine adds.
        assert time.monotonic() - asked < 6
        assert refusal.value.code == "UNAVAILABLE" and refusal.value.error["retryable"]
        for path in ("gateway/0/readyz", "kernel/0/readyz"):
            eventually(lambda path=path: nodes.status(path)[0] == 503, f"{path} is red", timeout=6)
        asked = time.monotonic()
        assert administrator.get("/nodes").status == 503
        assert time.monotonic() - asked < 6
    thawed = time.monotonic()

    def sent():
        try:
            return device.socket.request("message.send", {"messageId": "during", "message": 2})
        except Refused as refusal:
            assert refusal.code == "UNAVAILABLE", refusal

    eventually(sent, "the repeat is accepted", timeout=20)
    assert time.monotonic() - thawed < 6
    answers = [device.socket.event("message")["message"] for _ in range(2)]
    assert answers == [1, 2]
    assert device.socket.request("message.send", message)["messageSeq"] == 1
    eventually(lambda: nodes.status("kernel/0/readyz")[0] == 200, "the kernel is ready again")


def test_a_device_is_answered_before_its_socket_goes_with_1013(deploy):
    nodes = deploy(gateways=1, kernels=1, settings={"gateway": {"authority_lease": "4s"}})
    device = nodes.device(credential=TokenCredential())
    device.pair(nodes.administrator())
    with frozen(nodes):
        until = time.monotonic() + 6
        refusals = 0
        # Beyond the lease: what is asked is still read, and answered.
        while time.monotonic() < until:
            with pytest.raises(Refused) as refusal:
                device.socket.request("message.send", {"messageId": f"m{refusals}", "message": 1})
            assert refusal.value.code == "UNAVAILABLE", refusal.value
            refusals += 1
            time.sleep(0.2)
        assert device.socket.wait_closed(60)[0] == 1013
    eventually(lambda: nodes.status("gateway/0/readyz")[0] == 200, "the gateway is ready again")
    assert device.reconnect()["status"] == "paired"


def test_a_read_only_database_is_said_to_be_one_and_is_not_overrun(deploy):
    nodes = deploy(gateways=1, kernels=1)
    administrator = nodes.administrator()
    device = nodes.device(credential=TokenCredential())
    device.pair(administrator)
    signing_in = nodes.browser_session()
    form = signing_in.get("/login").form("/login")
    nodes.rows("ALTER DATABASE nodes SET default_transaction_read_only = on")
    for path in ("gateway/0/readyz", "kernel/0/readyz"):
        status, text = eventually(
            lambda path=path: (s := nodes.status(path))[0] == 503 and s, f"{path} is red", timeout=20
        )
        assert "accepts no changes" in text
    sessions = "SELECT sessions FROM pg_stat_database WHERE datname = 'nodes'"
    before = nodes.rows(sessions)[0][0]
    started = time.monotonic()
    while time.monotonic() - started < 5:
        with pytest.raises(Refused) as refusal:
            device.socket.request("message.send", {"messageId": "m", "message": 1})
        assert (refusal.value.code, refusal.value.reason) == ("UNAVAILABLE", "database_read_only")
        assert refusal.value.error["retryable"]
        time.sleep(0.1)
    # The gateway's listener may have come back once; the test's own look is another.
    assert nodes.rows(sessions)[0][0] - before <= 4
    assert "accepts no changes" in administrator.get("/nodes").text
    page = signing_in.submit(form, username="admin", password="wrong but long enough")
    assert page.status == 503
    assert "accepts no changes" in page.text and "decision" not in page.text
    with nodes.db().cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = off")
        cursor.execute("ALTER DATABASE nodes RESET default_transaction_read_only")
    reset = time.monotonic()

    def sent():
        try:
            return device.socket.request("message.send", {"messageId": "m", "message": 1})
        except Refused as refusal:
            assert refusal.code == "UNAVAILABLE", refusal

    eventually(sent, "the database serves again", timeout=20)
    assert time.monotonic() - reset < 6


def test_a_kernel_waits_for_a_schema_and_for_rights_and_says_what_to_run(deploy):
    nodes = deploy(gateways=1, kernels=1)
    nodes.rows("CREATE ROLE server LOGIN")
    nodes.rows("CREATE DATABASE empty")
    kernel = nodes.kernels[0]
    kernel.stop()
    owner = nodes.database_url.replace("/nodes?", "/empty?")
    kernel.environment = {**kernel.environment, "DATABASE_URL": owner.replace("nodes@", "server@")}
    kernel.start()

    def unready(word):
        status, text = nodes.status("kernel/0/readyz")
        return text if status == 503 and word in text else None

    text = eventually(lambda: unready("no schema"), "the kernel says that there is no schema")
    assert "nodesctl migrate" in text and "GRANT USAGE, CREATE ON SCHEMA public TO server" in text
    session = nodes.browser_session()
    page = session.submit(session.get("/login").form("/login"), username="admin", password="long enough for one")
    assert page.status == 503 and "not prepared" in page.text, page.text
    nodes.environment["DATABASE_URL"] = owner
    nodes.nodesctl("migrate")
    text = eventually(lambda: unready("lacks rights"), "the kernel says what rights it lacks")
    del nodes.environment["DATABASE_URL"]
    with contextlib.closing(psycopg2.connect(owner)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for statement in re.findall(r"GRANT [^;.]+", text):
            cursor.execute(statement)
    eventually(lambda: nodes.status("kernel/0/readyz")[0] == 200, "the kernel is ready")
