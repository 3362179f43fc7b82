"""Messages: how many a second are acknowledged and answered, and how long a push takes to a device elsewhere."""

import asyncio
import json
import re
import statistics
import time

from support.deployment import Deployment
from wire import Client, close_all, open_all

SEQUENCE = re.compile(rb'"messageSeq":(\d+)')


class Sender(Client):
    """Keeps so many messages, or requests that ask the database nothing, under way until it is told to stop."""

    window = 1
    method = "message.send"

    def __init__(self, host: str, request: dict) -> None:
        super().__init__(host, request)
        self.sent: dict[bytes, float] = {}
        self.count = 0
        self.latencies: list[float] = []
        self.answers = 0
        self.last_acknowledged = 0
        self.stopping = False
        self.name = request["params"].get("senderId", "")

    def start(self, method: str, window: int) -> None:
        self.method = method
        for _ in range(window):
            self.next()

    def next(self) -> None:
        self.count += 1
        identifier = f"{self.name}-{time.time_ns()}-{self.count}"
        self.sent[identifier.encode()] = time.perf_counter()
        params = {"messageId": identifier, "message": "temperature=21.5;humidity=40"}
        self.send(self.method, identifier, params if self.method == "message.send" else {})

    def received(self, payload: bytes) -> None:
        if b'"type":"res"' in payload:
            answer = json.loads(payload)
            started = self.sent.pop(answer["id"].encode(), None)
            if started is None:
                return
            if not answer["ok"]:
                raise RuntimeError(answer["error"])
            self.latencies.append(time.perf_counter() - started)
            if not self.stopping:
                self.next()
        elif b'"event":"message"' in payload:
            self.answers += 1
            number = int(SEQUENCE.search(payload)[1])
            if number >= self.last_acknowledged + 32:
                self.last_acknowledged = number
                self.send("message.ack", "ack", {"messageSeq": number})


async def load(nodes: Deployment, requests: list[dict], method: str, window: int, seconds: float) -> str:
    """What so many sockets get through nginx in that time, in words; the rate is of what was acknowledged."""
    host = nodes.origin.split("://", 1)[1]
    senders, _ = await open_all(nodes.port, host, requests, 64, Sender)
    started = time.perf_counter()
    for sender in senders:
        sender.start(method, window)
    # For how long is measured.
    await asyncio.sleep(seconds)
    for sender in senders:
        sender.stopping = True
    took = time.perf_counter() - started
    latencies = sorted(latency for sender in senders for latency in sender.latencies)
    answers = sum(sender.answers for sender in senders)
    # What is still on its way belongs to no figure.
    await asyncio.sleep(1)
    await close_all(senders)
    text = f"{len(latencies) / took:,.0f} acknowledged"
    if method == "message.send":
        text += f" and {answers / took:,.0f} answered"
    return (
        f"{text} a second (median {statistics.median(latencies) * 1000:.1f} ms, "
        f"99th percentile {latencies[int(len(latencies) * 0.99)] * 1000:.1f} ms)"
    )


def fill(nodes: Deployment, names: list[str], count: int) -> None:
    """Messages that are over, of these devices, as if they had been sent and answered long ago."""
    first = nodes.rows("SELECT max(next_in) FROM device_streams WHERE sender_key = ANY(%s)", names)[0][0]
    nodes.rows(
        """
        INSERT INTO messages (sender_key, generation, direction, sequence, message_id, body, created_at, done_at)
        SELECT (%s::text[])[1 + number %% %s], 1, 'in', number, 'old-' || number, '"temperature=21.5"',
            clock_timestamp(), clock_timestamp()
        FROM generate_series(%s, %s) AS number
        """,
        names, len(names), first, first + count - 1,
    )
    nodes.rows("UPDATE device_streams SET next_in = %s WHERE sender_key = ANY(%s)", first + count, names)


async def throughput(nodes: Deployment, requests: list[dict], stored: str) -> None:
    for window in (16, 1):
        print(
            f"messages, {len(requests)} sockets through nginx, {window} under way on each, {stored} stored: "
            + await load(nodes, requests, "message.send", window, 6)
        )
    print("  health in their place, which asks the database nothing: " + await load(nodes, requests, "health", 16, 4))


class Receiver(Client):
    """Says when each event `message` came, and acknowledges it."""

    def __init__(self, host: str, request: dict) -> None:
        super().__init__(host, request)
        self.arrivals: asyncio.Queue[float] = asyncio.Queue()

    def received(self, payload: bytes) -> None:
        if b'"event":"message"' in payload:
            self.arrivals.put_nowait(time.perf_counter())
            self.send("message.ack", "ack", {"messageSeq": int(SEQUENCE.search(payload)[1])})


class Program(Client):
    """A program with an API token."""


async def pushes(nodes: Deployment, connect: dict, count: int = 300) -> None:
    """From a program at one gateway to a device at the other."""
    made = nodes.nodesctl(
        "token", "create", "bench", "--scope", "send", "--expires", "1d", "--owner", "admin", "--json"
    )
    secret = json.loads(made.stdout)["secret"]
    host = nodes.origin.split("://", 1)[1]
    (device,), _ = await open_all(nodes.direct_ports[1], host, [connect], 1, Receiver)
    request = {"type": "req", "id": "1", "method": "connect", "params": {"token": secret}}
    (program,), _ = await open_all(nodes.direct_ports[0], host, [request], 1, Program)
    times = []
    for number in range(count):
        started = time.perf_counter()
        program.send(
            "message.push", str(number),
            {"senderId": connect["params"]["senderId"], "pushId": f"bench-{number}", "message": number},
        )
        times.append((await asyncio.wait_for(device.arrivals.get(), 10) - started) * 1000)
        # Lightly loaded: one after the other, fifty a second at most.
        await asyncio.sleep(0.02)
    times.sort()
    print(
        f"push to a device at another gateway, {count} one after the other: median {statistics.median(times):.2f} ms, "
        f"99th percentile {times[int(count * 0.99)]:.2f} ms, worst {times[-1]:.2f} ms until it has arrived"
    )
    await close_all([device, program])
