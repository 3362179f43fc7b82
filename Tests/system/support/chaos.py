"""Devices that send and are pushed to all the time while processes are killed at random, and the account of what became
of it (I4, I5).

Every device follows its numbers: what it was told is accepted has to be answered, and what somebody was told is pushed
has to arrive, each in its order, once or as a repeat that says the same.
"""

import argparse
import asyncio
import collections
import contextlib
import json
import os
import random
import secrets
import threading
import time

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from .deployment import Deployment, deployed
from .device import TokenCredential

# How long the last answers may take once everything runs again.
SETTLING = 120


class Broken(AssertionError):
    """What no death of a process may cause."""


class Again(Exception):
    """The socket is not the device's session any more: it has to connect again."""


class Sender:
    """One device that sends a message every `pause` seconds, and comes back whenever it is thrown out."""

    def __init__(self, origin: str, sender_id: str, token: str, pause: float, seed: str) -> None:
        self.url = origin.replace("http", "ws", 1) + "/ws"
        self.sender_id = sender_id
        self.token = token
        self.pause = pause
        # Its own dice: what one device does changes nothing for the others.
        self.dice = random.Random(seed)
        self.sent = 0
        self.acknowledged = 0
        self.answered = 0
        self.pushed = 0
        self.received = 0
        self.last_sequence = 0
        self.repeats = 0
        self.connects = 0
        self.refusals: collections.Counter[str] = collections.Counter()
        self.stopping = False
        # How it is dialled, where that is not as everybody does.
        self.dialling: dict = {}
        # Since when it waits for an answer, and the longest that it took to hear a yes or a no.
        self.asked_at: float | None = None
        self.slowest_answer = 0.0
        self.acknowledged_at = 0.0

    @property
    def is_settled(self) -> bool:
        return self.sent == self.acknowledged == self.answered and self.pushed == self.received

    async def run(self) -> None:
        """Until it is told to stop and everything is answered."""
        while not (self.stopping and self.is_settled):
            with contextlib.suppress(OSError, ConnectionClosed, InvalidHandshake, InvalidMessage, TimeoutError, Again):
                await self._session()
            await asyncio.sleep(self.dice.uniform(0.1, 0.6))

    async def _session(self) -> None:
        dialled = self.dialling
        async with connect(
            self.url, compression=None, proxy=None, open_timeout=10, close_timeout=2, ping_interval=5, ping_timeout=10,
            **dialled,
        ) as socket:
            self.asked_at = None
            await self._request(
                socket, "c", "connect", {"channel": "web", "senderId": self.sender_id, "deviceToken": self.token}
            )
            if not await self._connected(socket):
                return
            self.connects += 1
            reading = asyncio.ensure_future(self._read(socket))
            try:
                while not (self.stopping and self.is_settled) and not reading.done() and self.dialling is dialled:
                    if self.sent == self.acknowledged and not self.stopping:
                        self.sent += 1
                    if self.sent > self.acknowledged:
                        await self._send(socket)
                    await asyncio.wait([reading], timeout=self.dice.uniform(0.5, 1.5) * self.pause)
                if reading.done():
                    reading.result()
            finally:
                reading.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await reading

    async def _send(self, socket) -> None:
        number = self.sent
        self.asked_at = self.asked_at or time.monotonic()
        body = {"n": number, "from": self.sender_id}
        await self._request(
            socket, f"m{number}", "message.send", {"messageId": f"m{number}", "message": body}
        )

    async def _connected(self, socket) -> bool:
        while True:
            frame = json.loads(await asyncio.wait_for(socket.recv(), 15))
            if frame["type"] == "res" and frame["id"] == "c":
                return frame["ok"] or self._refused(frame["error"])
            await self._take(socket, frame)

    async def _read(self, socket) -> None:
        async for text in socket:
            await self._take(socket, json.loads(text))

    async def _take(self, socket, frame: dict) -> None:
        if frame["type"] == "event":
            if frame["event"] == "message":
                self._answer(frame["payload"])
                await self._request(
                    socket, f"a{self.last_sequence}", "message.ack", {"messageSeq": self.last_sequence}
                )
            return
        if frame["id"] == f"m{self.sent}" and self.asked_at:
            self.slowest_answer = max(self.slowest_answer, time.monotonic() - self.asked_at)
            self.asked_at = None
        if not frame["ok"]:
            self._refused(frame["error"])
        elif frame["id"] == f"m{self.sent}":
            if frame["payload"]["messageSeq"] != self.sent:
                raise Broken(f"{self.sender_id}: message {self.sent} was numbered {frame['payload']}")
            self.acknowledged = self.sent
            self.acknowledged_at = time.monotonic()

    def _answer(self, message: dict) -> None:
        number, body = message["messageSeq"], message["message"]
        if number <= self.last_sequence:
            self.repeats += 1
            return
        if number != self.last_sequence + 1:
            raise Broken(f"{self.sender_id}: message {number} came after {self.last_sequence}")
        if body == {"n": self.answered + 1, "from": self.sender_id}:
            self.answered += 1
        # It may arrive before whoever pushed it is told.
        elif body == {"push": self.received + 1} and self.received <= self.pushed:
            self.received += 1
        else:
            raise Broken(
                f"{self.sender_id}: out of order: {body} after answer {self.answered} and push {self.received}"
            )
        self.last_sequence = number

    def _refused(self, error: dict) -> bool:
        reason = (error.get("details") or {}).get("reason", error["code"])
        if not error.get("retryable") and reason != "session_ended":
            raise Broken(f"{self.sender_id} was refused for good: {error}")
        self.refusals[reason] += 1
        if reason == "session_ended":
            raise Again
        return False

    @staticmethod
    async def _request(socket, identifier: str, method: str, params: dict) -> None:
        await socket.send(json.dumps({"type": "req", "id": identifier, "method": method, "params": params}))


class Pusher:
    """A program that pushes a message to one device after the other, and repeats what it was not told is stored."""

    def __init__(self, origin: str, token: str, senders: list[Sender], pause: float, seed: str) -> None:
        self.url = origin.replace("http", "ws", 1) + "/ws"
        self.token = token
        self.senders = senders
        self.pause = pause
        self.dice = random.Random(seed)
        self.target: Sender | None = None
        self.stopping = False

    async def run(self) -> None:
        """Until it is told to stop and knows of its last push that it is stored."""
        while not (self.stopping and self.target is None):
            with contextlib.suppress(OSError, ConnectionClosed, InvalidHandshake, InvalidMessage, TimeoutError):
                await self._session()
            await asyncio.sleep(self.dice.uniform(0.1, 0.6))

    async def _session(self) -> None:
        async with connect(self.url, compression=None, proxy=None, open_timeout=10, close_timeout=2) as socket:
            if await self._ask(socket, "connect", {"token": self.token}) is None:
                return
            while not (self.stopping and self.target is None):
                if self.target is None:
                    self.target = self.dice.choice(self.senders)
                number = self.target.pushed + 1
                push = {
                    "senderId": self.target.sender_id, "pushId": f"p{number}", "message": {"push": number},
                }  # fmt: skip
                if await self._ask(socket, "message.push", push) is not None:
                    self.target.pushed = number
                    self.target = None
                await asyncio.sleep(self.pause)

    async def _ask(self, socket, method: str, params: dict) -> dict | None:
        """The answer's payload; nothing where it has to be asked again."""
        await socket.send(json.dumps({"type": "req", "id": "1", "method": method, "params": params}))
        while True:
            frame = json.loads(await asyncio.wait_for(socket.recv(), 15))
            if frame["type"] == "res":
                if not frame["ok"] and not frame["error"].get("retryable"):
                    raise Broken(f"a push was refused for good: {frame['error']}")
                return frame["payload"] if frame["ok"] else None


class Crowd:
    """Many senders in a thread of their own."""

    def __init__(self, nodes: Deployment, count: int, pause: float, seed: int) -> None:
        administrator = nodes.administrator()
        self.senders: list[Sender] = []
        for index in range(count):
            credential = TokenCredential()
            device = nodes.device(sender_id=f"chaos-{seed}-{index}", credential=credential)
            device.pair(administrator)
            device.close()
            self.senders.append(
                Sender(nodes.origin, device.sender_id, credential.token, pause, f"{seed}/{index}")
            )
        made = nodes.nodesctl(
            "token", "create", f"chaos-{seed}", "--scope", "send", "--expires", "1d", "--owner", "admin", "--json"
        )
        token = json.loads(made.stdout)["secret"]
        self.pusher = Pusher(nodes.origin, token, self.senders, pause / 10, f"{seed}/pusher")
        self.failures: list[BaseException] = []
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self.thread.start()

    async def _run(self) -> None:
        runs = [self.pusher.run(), *(sender.run() for sender in self.senders)]
        for ended in await asyncio.gather(*runs, return_exceptions=True):
            if isinstance(ended, BaseException):
                self.failures.append(ended)

    def settle(self) -> None:
        """Sends and pushes nothing new, and waits until everything is answered and has arrived."""
        self.pusher.stopping = True
        deadline = time.monotonic() + SETTLING
        while self.pusher.target is not None and time.monotonic() < deadline and self.thread.is_alive():
            time.sleep(0.05)
        for sender in self.senders:
            sender.stopping = True
        self.thread.join(SETTLING)
        unsettled = [
            f"{s.sender_id}: {s.sent} sent, {s.acknowledged} acknowledged, {s.answered} answered, "
            f"{s.pushed} pushed, {s.received} received"
            for s in self.senders
            if not s.is_settled
        ]
        if self.failures or unsettled:
            raise Broken("\n".join([*map(repr, self.failures[:10]), *unsettled[:10]]))

    def total(self, what: str) -> int:
        return sum(getattr(sender, what) for sender in self.senders)


def rage(nodes: Deployment, *, devices: int, seconds: float, seed: int, pause: float = 0.5, say=print) -> dict:
    """Kills a process at random again and again for that long, and returns the counts.

    The same seed kills the same kinds of process in the same order after the same pauses.
    """
    dice = random.Random(seed)
    crowd = Crowd(nodes, devices, pause, seed)
    kills: collections.Counter[str] = collections.Counter()
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end and crowd.thread.is_alive():
            time.sleep(dice.uniform(0.2, 1.5))
            process = dice.choice(nodes.processes)
            say(f"kill -9 {process.name}; {crowd.total('answered')} answered so far")
            nodes.kill(process)
            kills[process.name] += 1
            time.sleep(dice.uniform(0, 1))
            nodes.restart(process)
    finally:
        if not crowd.thread.is_alive():
            say("every device has given up")
        began = time.monotonic()
        crowd.settle()
    refusals = sum((sender.refusals for sender in crowd.senders), collections.Counter())
    counts = {
        "seed": seed,
        "devices": devices,
        "kills": dict(kills),
        "acknowledged": crowd.total("acknowledged"),
        "answered": crowd.total("answered"),
        "pushed": crowd.total("pushed"),
        "received": crowd.total("received"),
        "repeats": crowd.total("repeats"),
        "connects": crowd.total("connects"),
        "refusals": dict(refusals),
        "settled_after_s": round(time.monotonic() - began, 1),
    }
    stored = nodes.rows(
        "SELECT count(*) FROM messages WHERE direction = 'in' AND sender_key LIKE %s", f"chaos-{seed}-%"
    )
    counts["stored"] = stored[0][0]
    return counts


def main() -> None:
    """`make chaos`: the variables are those of scripts/chaos."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=float(os.environ.get("MINUTES") or 2))
    parser.add_argument("--devices", type=int, default=int(os.environ.get("DEVICES") or 200))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED") or secrets.randbelow(10**8)))
    given = parser.parse_args()
    print(f"seed {given.seed}: {given.devices} devices, {given.minutes:g} minutes")
    with deployed() as nodes:
        counts = rage(nodes, devices=given.devices, seconds=60 * given.minutes, seed=given.seed)
    print(json.dumps(counts, indent=2))
    if not counts["acknowledged"] == counts["answered"] == counts["stored"] or counts["pushed"] != counts["received"]:
        raise SystemExit("what was acknowledged, stored and answered is not the same, or what was pushed and received")


if __name__ == "__main__":
    main()
