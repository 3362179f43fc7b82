"""A device as its developer would write it, from the protocol's description alone."""

import base64
import collections
import itertools
import json
import secrets
import socket
import time

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

PATIENCE = 60


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Refused(Exception):
    """An answer with `ok: false`."""

    def __init__(self, error: dict) -> None:
        super().__init__(json.dumps(error))
        self.error = error
        self.code = error["code"]
        self.details = error.get("details") or {}
        self.reason = self.details.get("reason")
        self.retry_after_ms = error.get("retryAfterMs")


class TokenCredential:
    """32 random bytes that are the device's secret."""

    def __init__(self, token: str | None = None) -> None:
        self.token = token or base64url(secrets.token_bytes(32))

    def parameters(self, socket_: "Socket", purpose: str, channel: str, sender_id: str, **_) -> dict:
        return {"deviceToken": self.token}


class KeyCredential:
    """An Ed25519 key pair; every use signs this socket's nonce."""

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()
        raw = self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.public_key = base64url(raw)

    def proof(
        self, purpose: str, origin: str, channel: str, sender_id: str, nonce: str, signed_at: int | None = None
    ) -> dict:
        signed_at = int(time.time() * 1000) if signed_at is None else signed_at
        text = f"nodes-v1|{purpose}|{origin}|{channel}|{sender_id}|{self.public_key}|{signed_at}|{nonce}"
        return {"signature": base64url(self.key.sign(text.encode())), "signedAt": signed_at, "nonce": nonce}

    def parameters(self, socket_: "Socket", purpose: str, channel: str, sender_id: str, **changes) -> dict:
        facts = {"origin": socket_.origin, "nonce": None, **changes}
        facts["nonce"] = facts["nonce"] or socket_.challenge()
        proof = self.proof(purpose, channel=channel, sender_id=sender_id, **facts)
        return {"publicKey": self.public_key, "proof": proof} if purpose == "pair" else {"proof": proof}


class Socket:
    """One WebSocket: requests by id, events in order."""

    def __init__(
        self,
        origin: str,
        *,
        port: int | None = None,
        address: str = "127.0.0.1",
        headers: dict[str, str] | None = None,
        subprotocols: list[str] | None = None,
        browser_origin: str | None = None,
        max_size: int | None = 16 * 1024 * 1024,
    ) -> None:
        """Dials `origin`; `port` is where the connection goes if not there, `address` where it comes from."""
        self.origin = origin
        dialled = origin.split("://", 1)[1]
        host, _, own_port = dialled.partition(":")
        connection = socket.create_connection(
            ("127.0.0.1", port or int(own_port or 80)), timeout=PATIENCE, source_address=(address, 0)
        )
        connection.settimeout(None)
        self.connection = connect(
            f"ws://{dialled}/ws",
            sock=connection,
            origin=browser_origin,
            subprotocols=subprotocols,
            additional_headers=headers,
            open_timeout=PATIENCE,
            close_timeout=PATIENCE,
            max_size=max_size,
            compression=None,
            proxy=None,
            ping_interval=None,
            legacy=True,
        )
        self.events: collections.deque[dict] = collections.deque()
        self.answers: dict[str, dict] = {}
        self._ids = itertools.count(1)

    # Frames.

    def send_raw(self, frame: str | bytes) -> None:
        self.connection.send(frame)

    def receive(self, timeout: float = PATIENCE) -> dict:
        """The next frame, whatever it is."""
        return json.loads(self.connection.recv(timeout=timeout))

    def _take(self, timeout: float) -> None:
        frame = self.receive(timeout)
        if frame["type"] == "res":
            self.answers[frame["id"]] = frame
        else:
            self.events.append(frame)

    def send(self, method: str, params: dict | None = None) -> str:
        """Sends a request and returns its id without waiting for the answer."""
        identifier = f"r{next(self._ids)}"
        self.send_raw(json.dumps({"type": "req", "id": identifier, "method": method, "params": params or {}}))
        return identifier

    def answer(self, identifier: str, timeout: float = PATIENCE) -> dict:
        """The payload of the answer to that request; raises ``Refused`` for an error."""
        deadline = time.monotonic() + timeout
        while identifier not in self.answers:
            self._take(max(0.001, deadline - time.monotonic()))
        frame = self.answers.pop(identifier)
        if not frame["ok"]:
            raise Refused(frame["error"])
        return frame["payload"]

    def request(self, method: str, params: dict | None = None, timeout: float = PATIENCE) -> dict:
        return self.answer(self.send(method, params), timeout)

    def event(self, name: str, timeout: float = PATIENCE) -> dict:
        """The payload of the next event of that name; others before it stay queued."""
        deadline = time.monotonic() + timeout
        seen = 0
        while True:
            for index in range(seen, len(self.events)):
                if self.events[index]["event"] == name:
                    found = self.events[index]
                    del self.events[index]
                    return found["payload"]
            seen = len(self.events)
            self._take(max(0.001, deadline - time.monotonic()))

    def challenge(self) -> str:
        return self.request("device.challenge")["nonce"]

    # The end.

    def wait_closed(self, timeout: float = PATIENCE) -> tuple[int, str]:
        """Waits for the server to close; the code and the reason. 1006 where no close frame came."""
        deadline = time.monotonic() + timeout
        try:
            while True:
                self._take(max(0.001, deadline - time.monotonic()))
        except ConnectionClosed as closed:
            frame = closed.rcvd
            return (frame.code, frame.reason) if frame else (1006, "")

    def close(self) -> None:
        self.connection.close()

    def cut(self) -> None:
        """Drops the connection without a word, as a dead network does."""
        self.connection.socket.shutdown(socket.SHUT_RDWR)
        self.connection.socket.close()


class Device:
    """An identity and a credential; what it stores is enough to come back with."""

    def __init__(self, nodes, channel: str = "web", sender_id: str | None = None, credential=None) -> None:
        self.nodes = nodes
        self.channel = channel
        self.sender_id = sender_id or f"tablet-{secrets.token_hex(6)}"
        self.credential = credential or KeyCredential()
        self.socket: Socket | None = None

    def dial(self, gateway: int | None = None, **options) -> Socket:
        """Opens a socket, to that gateway or to whichever nginx picks, and keeps it as the device's."""
        self.socket = self.nodes.socket(gateway, **options)
        return self.socket

    def _params(self, purpose: str, changes: dict) -> dict:
        given = self.credential.parameters(self.socket, purpose, self.channel, self.sender_id, **changes)
        return {"channel": self.channel, "senderId": self.sender_id, **given}

    def ask(self, *, proof: dict | None = None, **params) -> dict:
        """`device.pair.request`; dials first if need be."""
        if self.socket is None:
            self.dial()
        return self.socket.request("device.pair.request", {**self._params("pair", proof or {}), **params})

    def status(self, *, proof: dict | None = None) -> dict:
        if self.socket is None:
            self.dial()
        return self.socket.request("device.pair.status", self._params("status", proof or {}))

    def connect(self, *, proof: dict | None = None) -> dict:
        if self.socket is None:
            self.dial()
        return self.socket.request("connect", self._params("connect", proof or {}))

    def reconnect(self, gateway: int | None = None, **options) -> dict:
        """A new socket and `connect`, as after a broken network."""
        self.dial(gateway, **options)
        return self.connect()

    def pair(self, administrator, gateway: int | None = None, **params) -> dict:
        """Asks, is approved, and is authenticated on the same socket; the payload of the resolution."""
        self.dial(gateway)
        request = self.ask(**params)
        administrator.approve(request["requestId"], request["code"])
        resolved = self.socket.event("device.pair.resolved")
        assert resolved["decision"] == "approved", resolved
        return resolved

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None
