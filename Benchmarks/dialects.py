"""The dialects beside each other in one run: what a connect and a message of each costs, as ratios to this server's own."""

import asyncio
import hashlib
import json
import os
import pathlib
import secrets
import statistics
import time

from messages import SEQUENCE
from support.deployment import Deployment
from support.device import base64url
from wire import Client, close_all, open_all

TICKS = os.sysconf("SC_CLK_TCK")
WANTED = 1.3


class Talker(Client):
    """Keeps so many messages under way, each until its answer has come, until it is told to stop."""

    # Whose devices these are, and what they say of themselves.
    channel = "web"
    metadata = "{}"

    def __init__(self, host: str, request: dict) -> None:
        super().__init__(host, request)
        self.count = 0
        self.answers = 0
        self.stopping = False
        self.name = secrets.token_hex(8)

    def start(self, window: int) -> None:
        for _ in range(window):
            self.next()

    def next(self) -> None:
        self.count += 1
        self.ask(f"{self.name}-{self.count}")

    def is_answer(self, payload: bytes) -> bool:
        raise NotImplementedError

    def ask(self, identifier: str) -> None:
        raise NotImplementedError

    def received(self, payload: bytes) -> None:
        if b'"ok":false' in payload:
            raise RuntimeError(payload)
        if self.is_answer(payload):
            self.answers += 1
            if not self.stopping:
                self.next()


class Nodes(Talker):
    """Acknowledges as the others' pongs do: one acknowledgement is under way at a time."""

    newest = 0
    acknowledged = 0
    is_acknowledging = False

    @staticmethod
    def device() -> tuple[str, str, dict]:
        token = secrets.token_bytes(32)
        name = f"web-{secrets.token_hex(8)}"
        return name, token, {"channel": "web", "senderId": name, "deviceToken": base64url(token)}

    def ask(self, identifier: str) -> None:
        self.send("message.send", identifier, {"messageId": identifier, "message": {"type": "text", "text": "21.5 °C"}})

    def is_answer(self, payload: bytes) -> bool:
        if b'"event":"message"' in payload:
            self.newest = int(SEQUENCE.search(payload)[1])
            self.acknowledge()
            return True
        if b'"id":"ack"' in payload:
            self.is_acknowledging = False
            self.acknowledge()
        return False

    def acknowledge(self) -> None:
        if self.newest > self.acknowledged and not self.is_acknowledging:
            self.acknowledged = self.newest
            self.is_acknowledging = True
            self.send("message.ack", "ack", {"messageSeq": self.newest})


def foreign(dialect: str, prefix: str) -> tuple[str, bytes, str]:
    """A device of another dialect: its public name, its token here, and the secret that it shows."""
    secret = base64url(secrets.token_bytes(32))
    token = hashlib.sha256(f"{dialect}-token|{secret}".encode()).digest()
    return prefix + hashlib.sha256(token).hexdigest()[:16], token, secret


class GoClaw(Talker):
    @staticmethod
    def device() -> tuple[str, bytes, dict]:
        name, token, secret = foreign("goclaw", "web-")
        return name, token, {"user_id": "bench", "sender_id": secret, "protocolVersion": 3}

    def ask(self, identifier: str) -> None:
        self.send("chat.send", identifier, {"sessionKey": "s", "message": "21.5 °C", "stream": True})

    def is_answer(self, payload: bytes) -> bool:
        return b'"type":"res"' in payload


class OpenClaw(Talker):
    path = "/gateway"
    channel = "openclaw"
    metadata = '{"client":{"id":"cli"},"role":"operator"}'

    @staticmethod
    def device() -> tuple[str, bytes, dict]:
        name, token, secret = foreign("openclaw", "oc-")
        client = {"id": "cli", "version": "2026.9.0", "platform": "linux", "mode": "cli"}
        return name, token, {"minProtocol": 3, "maxProtocol": 4, "client": client, "auth": {"token": secret}}

    def ask(self, identifier: str) -> None:
        self.send("chat.send", identifier, {"sessionKey": "s", "message": "21.5 °C", "idempotencyKey": identifier})

    def is_answer(self, payload: bytes) -> bool:
        return b'"state":"final"' in payload


DIALECTS = {"nodes": Nodes, "goclaw": GoClaw, "openclaw": OpenClaw}


def processor_seconds(nodes: Deployment) -> float:
    """What all gateways have taken."""
    total = 0
    for gateway in nodes.gateways:
        fields = pathlib.Path(f"/proc/{gateway.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


async def connecting(nodes: Deployment, make, requests: list[dict]) -> tuple[float, float]:
    """Seconds, and seconds of processors, for each connect."""
    before = processor_seconds(nodes)
    clients, took = await open_all(nodes.port, nodes.origin.split("://", 1)[1], requests, 64, make)
    used = processor_seconds(nodes) - before
    await close_all(clients)
    # The sockets' ends are in no figure.
    await asyncio.sleep(1)
    return took / len(requests), used / len(requests)


async def talking(nodes: Deployment, make, requests: list[dict], seconds: float) -> tuple[float, float]:
    """Seconds, and seconds of processors, for each message that was answered."""
    talkers, _ = await open_all(nodes.port, nodes.origin.split("://", 1)[1], requests, 64, make)
    before, started = processor_seconds(nodes), time.perf_counter()
    for talker in talkers:
        talker.start(4)
    # For how long is measured.
    await asyncio.sleep(seconds)
    answers = sum(talker.answers for talker in talkers)
    took, used = time.perf_counter() - started, processor_seconds(nodes) - before
    for talker in talkers:
        talker.stopping = True
    # What is still under way is in no figure.
    await asyncio.sleep(1)
    await close_all(talkers)
    return took / answers, used / answers


async def dialects(nodes: Deployment, store, count: int, seconds: float) -> None:
    """Three rounds, the dialects in turn; what is told is the median.

    - store: puts devices, as names and tokens, into the database.
    """
    requests: dict[str, list[dict]] = {}
    for name, make in DIALECTS.items():
        devices = [make.device() for _ in range(count)]
        store(nodes, [(sender, token) for sender, token, _ in devices], make.channel, make.metadata)
        requests[name] = [{"type": "req", "id": "1", "method": "connect", "params": params} for *_, params in devices]
    for what, measure in (
        ("connects", lambda name, make: connecting(nodes, make, requests[name])),
        ("messages", lambda name, make: talking(nodes, make, requests[name][:32], seconds)),
    ):
        samples: dict[str, list[tuple[float, float]]] = {name: [] for name in DIALECTS}
        for _ in range(3):
            for name, make in DIALECTS.items():
                samples[name].append(await measure(name, make))
        medians = {name: [statistics.median(values) for values in zip(*rounds)] for name, rounds in samples.items()}
        own = medians["nodes"]
        for name, (wall, processor) in medians.items():
            line = f"{what}, {name}: {1 / wall:,.0f} a second, {processor * 1e6:,.0f} µs of the gateways' processors each"
            if name != "nodes":
                line += f"; {wall / own[0]:.2f} and {processor / own[1]:.2f} times this server's own (wanted: {WANTED})"
            print(line)
