"""Devices send across their revocation, in the order in which the database committed (I3).

ATTEMPTS (2,000) are made in all, over two gateways: a third while everything is well, a third while one gateway hears
no notification, a third while it cannot reach PostgreSQL. What counts is not what anybody was told, but the order of
the commits in the database's own log, read through a logical replication slot.
"""

import collections
import json
import os
import random
import re
import threading
import time

import pytest
from support.deployment import deployed
from support.device import TokenCredential
from support.postgres_proxy import PostgresProxy
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

ATTEMPTS = int(os.environ.get("ATTEMPTS") or 2000)
DEVICES = 8  # of each phase, half of them on each gateway
WINDOW = 8
# How long what follows a revocation may take: most of it is new sockets.
PATIENCE = 60 + ATTEMPTS / 50
SLOT = "order_of_commits"


class Sender(threading.Thread):
    """One device that goes on sending whatever it is told, until it has sent so often after its revocation."""

    def __init__(self, device, gateway: int, after: int, healed: threading.Event) -> None:
        super().__init__(daemon=True)
        self.device, self.gateway, self.after, self.healed = device, gateway, after, healed
        self.warm, self.revoked = threading.Event(), threading.Event()
        self.attempts = self.late = 0
        self.accepted: set[str] = set()
        self.accepted_late: set[str] = set()
        self.outcomes: collections.Counter[str] = collections.Counter()
        self._late_ids: set[str] = set()
        self._sent: dict[str, str] = {}
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not (self.revoked.is_set() and self.late >= self.after):
                # The second half comes when the gateway has its database back.
                if self.late >= self.after // 2:
                    assert self.healed.wait(PATIENCE), "nothing was healed"
                self._send_some()
                if self.attempts >= 2 * WINDOW:
                    self.warm.set()
        except BaseException as failure:  # it is reported where it can be
            self.failure = failure
        finally:
            self.warm.set()

    def _send_some(self) -> None:
        """A window of attempts on the socket there is, or one on a new socket that says who it is as well."""
        try:
            socket = self.device.socket
            if socket is None:
                socket = self.device.dial(self.gateway)
                connecting = socket.send("connect", self.device._params("connect", {}))
                self._attempt(socket)
                self._read(socket, connecting)
            else:
                for _ in range(WINDOW):
                    self._attempt(socket)
            while self._sent:
                self._read(socket, None)
        except (ConnectionClosed, InvalidHandshake, InvalidMessage, OSError) as closed:
            code = closed.rcvd.code if isinstance(closed, ConnectionClosed) and closed.rcvd else type(closed).__name__
            self.outcomes[f"closed {code}"] += 1
            self._sent.clear()
            self.device.socket = None

    def _attempt(self, socket) -> None:
        self.attempts += 1
        identifier = f"m{self.attempts}"
        if self.revoked.is_set():
            self.late += 1
            self._late_ids.add(identifier)
        self._sent[socket.send("message.send", {"messageId": identifier, "message": self.attempts})] = identifier

    def _read(self, socket, until: str | None) -> None:
        """One frame, or all up to the answer that is waited for."""
        while True:
            frame = socket.receive()
            if frame["type"] == "res":
                message = self._sent.pop(frame["id"], None)
                if message is not None:
                    self._note(message, frame)
                if until in (None, frame["id"]):
                    return
            elif until is None:
                return

    def _note(self, message: str, frame: dict) -> None:
        if frame["ok"]:
            self.outcomes["accepted"] += 1
            self.accepted.add(message)
            if message in self._late_ids:
                self.accepted_late.add(message)
        else:
            self.outcomes[frame["error"]["details"].get("reason", frame["error"]["code"])] += 1


@pytest.fixture(scope="module")
def proxy():
    proxy = PostgresProxy()
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def nodes(proxy):
    """The second gateway, and it alone, reaches the database through the proxy."""
    settings = {"gateway": {"frames_per_second": 10_000, "frames_burst": 100_000}}
    with deployed(gateways=2, kernels=1, settings=settings) as deployment:
        deployment.rows("ALTER SYSTEM SET wal_level = 'logical'")
        deployment.stop_database()
        deployment.start_database()
        proxy.server = lambda: deployment.cluster.sockets / proxy.path.name
        gateway = deployment.gateways[1]
        with open(gateway.command[-1], "r+") as file:
            configuration = json.load(file)
            configuration["database"]["url"] = proxy.url("nodes", "nodes")
            file.seek(0)
            file.truncate()
            json.dump(configuration, file)
        deployment.restart(gateway)
        yield deployment


def commits(nodes):
    """What the database committed, in its order: `accepted` with a device's key and a message, `revoked` with a key."""
    text = r"\[[a-z ]+\]:'((?:[^']|'')*)'"
    for (change,) in nodes.rows("SELECT data FROM pg_logical_slot_get_changes(%s, NULL, NULL)", SLOT):
        if change.startswith("table public.messages: INSERT:") and "direction[text]:'in'" in change:
            yield "accepted", re.search("sender_key" + text, change)[1], re.search("message_id" + text, change)[1]
        elif change.startswith("table public.device_streams: UPDATE:") and "active[boolean]:false" in change:
            yield "revoked", re.search("sender_key" + text, change)[1], ""


def test_i3_nothing_is_accepted_after_the_commit_of_a_revocation_by_the_databases_order(nodes, proxy):
    administrator = nodes.administrator()
    dice = random.Random(20_261_127)
    nodes.rows("SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", SLOT)
    faults = {"well": lambda: 1, "deaf": proxy.deafen, "severed": proxy.sever}
    seen: dict[str, list[Sender]] = {}
    for phase, fault in faults.items():
        devices = [nodes.device(credential=TokenCredential()) for _ in range(DEVICES)]
        for index, device in enumerate(devices):
            device.pair(administrator, gateway=index % 2)
        healed = threading.Event()
        after = ATTEMPTS // len(faults) // DEVICES
        senders = [Sender(device, index % 2, after, healed) for index, device in enumerate(devices)]
        for sender in senders:
            sender.start()
        for sender in senders:
            assert sender.warm.wait(60), "a device does not come to send"
        assert fault() > 0, f"there was nothing to be cut: {phase}"
        for sender in dice.sample(senders, len(senders)):
            # No event: each revocation comes at another moment of what its device sends.
            time.sleep(dice.uniform(0, 0.03))
            administrator.revoke(sender.device.sender_id)
            sender.revoked.set()
        # Half of what follows is sent while the fault lasts.
        deadline = time.monotonic() + PATIENCE
        while any(sender.is_alive() and sender.late < after // 2 for sender in senders):
            assert time.monotonic() < deadline, "the devices do not go on"
            time.sleep(0.01)
        proxy.heal()
        healed.set()
        for sender in senders:
            sender.join(PATIENCE)
            assert not sender.is_alive() and sender.failure is None, sender.failure
        seen[phase] = senders

    revoked: set[str] = set()
    accepted: dict[str, set[str]] = collections.defaultdict(set)
    after_the_commit = []
    for what, key, message in commits(nodes):
        if what == "revoked":
            revoked.add(key)
        elif key in revoked:
            after_the_commit.append((key, message))
        else:
            accepted[key].add(message)
    for phase, senders in seen.items():
        for gateway in (0, 1):
            there = [sender for sender in senders if sender.gateway == gateway]
            outcomes = sum((sender.outcomes for sender in there), collections.Counter())
            print(phase, f"gateway {gateway}", sum(s.attempts for s in there), dict(outcomes))
            assert outcomes["accepted"] > 0, "nothing was accepted before the revocations"
            assert sum(sender.late for sender in there) >= (ATTEMPTS // len(faults) // DEVICES) * len(there)
        if phase == "severed":
            assert any(s.outcomes["database_unavailable"] for s in senders), "the gateway always reached its database"
    everyone = [sender for senders in seen.values() for sender in senders]
    assert sum(sender.late for sender in everyone) >= ATTEMPTS - len(faults) * DEVICES
    assert {sender.device.sender_id.lower() for sender in everyone} == revoked
    assert after_the_commit == []
    for sender in everyone:
        assert sender.accepted_late == set()
        # A message whose acceptance was in doubt was told to nobody; none was told that is not there.
        assert sender.accepted <= accepted[sender.device.sender_id.lower()]
