"""The clients that device developers start from live through one script of events, each in its language."""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading

import pytest
from support.deployment import ROOT, Deployment, deployed, eventually

EXAMPLES = ROOT / "docs/examples"


class Client:
    """A program under test, what it has printed, and how to start it again."""

    def __init__(self, kind: "Kind", folder: pathlib.Path, url: str) -> None:
        self.kind, self.folder, self.url = kind, folder, url
        self.sender_id = f"client-{kind.name}"
        self.state = folder / f"{self.sender_id}.state"
        self.events: list[dict] = []
        self.process: subprocess.Popen | None = None

    def start(self, *options: str, state: pathlib.Path | None = None) -> "Client":
        command = self.kind.command(self.url, self.sender_id, str(state or self.state), self.folder) + list(options)
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1,
            env={**os.environ, "NODE_PATH": "/usr/share/nodejs", "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()
        return self

    def _read(self, stream) -> None:
        for line in stream:
            try:
                self.events.append(json.loads(line))
            except json.JSONDecodeError:
                self.events.append({"event": "printed", "line": line})

    def expect(self, event: str, since: int = 0) -> dict:
        """The first event of that name after the first `since` of all."""
        found = eventually(
            lambda: [told for told in self.events[since:] if told["event"] == event], f"{self}: {event}"
        )
        return found[0]

    def end(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def __str__(self) -> str:
        return f"{self.kind.name} {self.events[-5:]}"


@dataclasses.dataclass
class Kind:
    name: str
    channel: str
    command: "callable"
    # Whether it sends by itself, each second.
    measures: bool = False


def compiled(folder: pathlib.Path) -> str:
    """The sensor in C, such that it fails where it touches what isn't its own."""
    program = folder / "sensor"
    if not program.exists():
        subprocess.run(
            ["gcc", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined", "-o", program,
             EXAMPLES / "sensor.c", "-lssl", "-lcrypto"], check=True, timeout=120,
        )  # fmt: skip
    return str(program)


KINDS = [
    Kind("tablet-token", "web", lambda url, name, state, _: [
        sys.executable, str(EXAMPLES / "device.py"), url, "web", name, state, "--token"]),
    Kind("sensor-python", "iot", lambda url, name, state, _: [
        sys.executable, str(EXAMPLES / "sensor.py"), url, name, state, "--every", "1"], measures=True),
    Kind("sensor-c", "iot", lambda url, name, state, folder: [compiled(folder), url, name, state, "1000"], measures=True),
    Kind("tablet-node", "web", lambda url, name, state, _: [
        "node", str(EXAMPLES / "device.mjs"), url, "web", name, state]),
]  # fmt: skip


@pytest.fixture(scope="module")
def nodes():
    with deployed(gateways=2, kernels=1) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def clients(nodes: Deployment, tmp_path_factory):
    folder = tmp_path_factory.mktemp("clients")
    all_of_them = [Client(kind, folder, nodes.origin.replace("http", "ws") + "/ws") for kind in KINDS]
    yield all_of_them
    for client in all_of_them:
        if client.process:
            client.end()


def push(nodes: Deployment, client: Client, identifier: str) -> None:
    message = json.dumps({"type": "command", "command": "blink"} if client.kind.channel == "iot" else {"text": "hello"})
    nodes.nodesctl("messages", "push", client.sender_id, message, "--id", identifier)


def received(client: Client) -> list[int]:
    return [told["messageSeq"] for told in client.events if told["event"] in ("message", "command")]


def test_every_client_lives_through_the_same_script(nodes: Deployment, clients):
    administrator = nodes.administrator()

    # They ask; killed and started again they find their own request.
    codes = {}
    for client in clients:
        client.start()
    for client in clients:
        codes[client] = client.expect("waiting")["code"]
        client.end()
        client.events.clear()
        client.start()
    for client in clients:
        assert client.expect("waiting")["code"] == codes[client], client

    # Approved, they are connected on the same socket.
    for client in clients:
        query = "SELECT request_id::text FROM pairing_requests WHERE sender_id = %s"
        ((request_id,),) = nodes.rows(query, client.sender_id)
        administrator.approve(request_id, codes[client])
    for client in clients:
        client.expect("connected")

    def all_receive(step: str, *, but: tuple = ()) -> None:
        """Each gets a message of its own after what happened, and acknowledges it."""
        for client in clients:
            if client not in but:
                push(nodes, client, step)
        for client in clients:
            if client in but:
                continue
            query = "SELECT count(*) FROM messages WHERE sender_key = %s AND push_id = %s AND done_at IS NOT NULL"
            eventually(
                lambda query=query, client=client: nodes.rows(query, client.sender_id, step) == [(1,)],
                f"{step} reaches {client}",
            )

    all_receive("paired")

    # The gateways die, one after the other: nobody does anything, and all are back.
    for gateway in [process for process in nodes.processes if process.name.startswith("gateway")]:
        nodes.kill(gateway)
        nodes.restart(gateway)
    all_receive("gateways restarted")
    for client in clients:
        assert len([told for told in client.events if told["event"] == "connected"]) >= 2, client

    # The database is away and comes back; whoever sends goes on where it was.
    with nodes.database_stopped():
        for client in clients:
            if client.kind.name == "tablet-node":
                client.process.stdin.write("sent while the database was away\n")
    all_receive("database restored")

    # Everything that came, came once and in its order.
    for client in clients:
        assert received(client) == sorted(set(received(client))), client
        assert not [told for told in client.events if told["event"] in ("printed", "given up")], client
    for client in clients:
        if client.kind.measures:
            since = len(client.events)
            client.expect("accepted", since)

    # Another program with the same state takes over; the older one stops, and says why.
    for client in clients:
        copy = client.state.with_suffix(".copy")
        shutil.copy(client.state, copy)
        older, since = client.process, len(client.events)
        client.start(state=copy)
        assert client.expect("stopped", since)["outcome"] == "replaced", client
        assert older.wait(60) == 1, client
        client.expect("connected", since)
        client.state = copy
    all_receive("replaced")

    # Revoked, they stop, and do not come back by themselves.
    for client in clients:
        since = len(client.events)
        administrator.revoke(client.sender_id)
        assert client.expect("stopped", since)["outcome"] == "revoked", client
        assert client.process.wait(60) == 1, client
    for client in clients:
        since = len(client.events)
        client.start()
        assert client.expect("stopped", since)["outcome"] == "revoked", client
        assert client.process.wait(60) == 1, client
    query = "SELECT count(*) FROM pairing_requests WHERE state = 'pending'"
    assert nodes.rows(query) == [(0,)]

    # Their owner wants them back.
    for client in clients:
        since = len(client.events)
        client.start("--repair")
        client.expect("waiting", since)


def test_what_the_sensors_sent_is_there_once_without_a_gap(nodes: Deployment, clients):
    for client in clients:
        if client.kind.measures:
            query = "SELECT count(*), max(sequence) FROM messages WHERE sender_key = %s AND direction = 'in'"
            ((count, most),) = nodes.rows(query, client.sender_id)
            assert count == most > 5, client
