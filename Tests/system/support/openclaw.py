"""A client of OpenClaw's gateway as `research` describes it: protocol 4, a device key, signatures v2 or v3."""

import asyncio
import concurrent.futures
import hashlib
import itertools
import json
import socket
import time
from collections.abc import Coroutine

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from .device import PATIENCE, base64url


def choose_agents(nodes, *agents: str) -> None:
    """Lets the device that was paired last name these agents; the first is whom it talks to otherwise."""
    ((sender,),) = nodes.rows("SELECT sender_id FROM paired_devices ORDER BY paired_at DESC LIMIT 1")
    nodes.nodesctl("devices", "set-agent", sender, *agents)


def run(client: Coroutine):
    """Runs what a client written for asyncio does, in a thread of its own: a test's own has a loop already once a
    browser's page was open in it."""
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, client).result()


class Operator:
    """One device: its key, and one socket at a time."""

    def __init__(self, nodes, *, path: str = "/", version: str = "v3", token: str | None = None, role="operator",
                 versions=(4, 4), keyless: bool = False) -> None:  # fmt: skip
        self.nodes = nodes
        self.path = path
        self.version = version
        self.token = token
        self.role = role
        self.versions = versions
        self.scopes = ["operator.read", "operator.write"]
        self.key = None if keyless else Ed25519PrivateKey.generate()
        if self.key:
            raw = self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            self.public_key = base64url(raw)
            self.device_id = hashlib.sha256(raw).hexdigest()
        self.extra: dict = {}
        self.ids = itertools.count(1)
        self.events: list[dict] = []

    def dial(self, gateway: int | None = None, *, binary: bool = False) -> dict:
        """Opens a socket and returns the challenge."""
        self.binary = binary
        host = self.nodes.origin.split("://")[1]
        port = int(host.split(":")[1]) if gateway is None else self.nodes.direct_ports[gateway]
        connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        connection.settimeout(None)
        self.socket = connect(
            f"ws://{host}{self.path}", sock=connection, open_timeout=PATIENCE, close_timeout=5, proxy=None,
            ping_interval=None, legacy=True,
        )  # fmt: skip
        self.events = []
        first = self.receive()
        assert first["event"] == "connect.challenge", first
        return first["payload"]

    def receive(self, timeout: float = PATIENCE) -> dict:
        text = self.socket.recv(timeout=timeout)
        assert ":null" not in text, text
        return json.loads(text)

    def send(self, frame: dict) -> None:
        text = json.dumps(frame)
        self.socket.send(text.encode() if self.binary else text)

    def device(self, nonce: str, *, signed_at: int | None = None, **changes) -> dict:
        signed_at = int(time.time() * 1000) if signed_at is None else signed_at
        fields = [self.device_id, "cli", "cli", self.role, ",".join(self.scopes), str(signed_at), self.token or "", nonce]
        if self.version == "v3":
            fields += ["linux", ""]
        signature = base64url(self.key.sign("|".join([self.version, *fields]).encode()))
        return {"id": self.device_id, "publicKey": self.public_key, "signature": signature, "signedAt": signed_at,
                "nonce": nonce, **changes}  # fmt: skip

    def connect(self, challenge: dict | None = None, device: dict | None = None, **changes) -> dict:
        """Sends `connect` and returns the answer, whatever it is."""
        params = {
            "minProtocol": self.versions[0], "maxProtocol": self.versions[1],
            "client": {"id": "cli", "version": "2026.9.0", "platform": " Linux ", "mode": "cli", "unknown": 1},
            "caps": [], "role": self.role, "scopes": self.scopes, "unknown": {},
        }  # fmt: skip
        if self.key:
            params["device"] = device or self.device(challenge["nonce"])
        if self.token:
            params["auth"] = {"token": self.token}
        self.send({"type": "req", "id": "c1", "method": "connect", "params": {**params, **self.extra, **changes}, "traceparent": "x"})
        return self.answer("c1")

    def answer(self, identifier: str, timeout: float = PATIENCE) -> dict:
        while True:
            frame = self.receive(timeout)
            if frame["type"] == "res" and frame["id"] == identifier:
                return frame
            self.events.append(frame)

    def request(self, method: str, params: dict) -> dict:
        identifier = f"r{next(self.ids)}"
        self.send({"type": "req", "id": identifier, "method": method, "params": params})
        return self.answer(identifier)

    def event(self, name: str, wanted=lambda payload: True, timeout: float = PATIENCE) -> dict:
        """The payload of the next event of that name that is wanted."""
        deadline = time.monotonic() + timeout
        while True:
            for frame in self.events:
                if frame.get("event") == name and wanted(frame["payload"]):
                    self.events.remove(frame)
                    return frame["payload"]
            self.events.append(self.receive(max(0.001, deadline - time.monotonic())))

    def enter(self, gateway: int | None = None) -> dict:
        """Dials and connects; the payload of hello-ok."""
        answer = self.connect(self.dial(gateway))
        assert answer["ok"], answer
        return answer["payload"]

    def pair(self, administrator) -> None:
        """Asks, is approved, and is told so; the socket is closed."""
        answer = self.connect(self.dial())
        details = answer["error"]["details"]
        administrator.approve(details["requestId"], details["pairingCode"])
        assert self.event("device.pair.resolved")["decision"] == "approved"
        assert self.closed()[0] == 1008
        choose_agents(self.nodes, "echo", "words", "steps")

    def closed(self, timeout: float = PATIENCE) -> tuple[int, str]:
        """Waits for the server to close; the code and the reason."""
        deadline = time.monotonic() + timeout
        try:
            while True:
                self.events.append(self.receive(max(0.001, deadline - time.monotonic())))
        except ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")
