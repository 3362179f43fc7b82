"""A whole device: device.py URL CHANNEL SENDER_ID STATE_FILE [--token] [--repair] [TEXT ...]

    python3 device.py ws://127.0.0.1:8080/ws web tablet-reception-01 tablet.json hello

Needs Python 3.10, `websockets` 13 or later and `cryptography`. It asks to pair, waits for an administrator, sends
each TEXT, prints what agents answer, and comes back by itself as docs/device-developers.md says, until it is revoked,
denied or replaced. `--repair` is its owner's wish to ask again after a revocation or a denial.
"""

import base64
import json
import os
import pathlib
import random
import secrets
import sys
import time
import urllib.parse

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import connect

ENDS = {4001: "revoked", 4002: "replaced", 4003: "denied"}
# What the message sent last is to blame for: not UTF-8, too big. It would end every connection.
BAD_MESSAGE = (1007, 1009)


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def origin_of(url: str) -> str:
    """What a proof is signed for: `ws` is `http`, `wss` is `https`, no path, no default port."""
    parts = urllib.parse.urlsplit(url)
    scheme, default = {"ws": ("http", 80), "wss": ("https", 443)}[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{scheme}://{host}" + (f":{parts.port}" if parts.port not in (None, default) else "")


def say(event: str, /, **facts) -> None:
    print(json.dumps({**facts, "event": event}), flush=True)


class Refused(Exception):
    def __init__(self, error: dict) -> None:
        super().__init__(json.dumps(error))
        self.code = error["code"]
        self.reason = (error.get("details") or {}).get("reason", "")
        self.retryable = error.get("retryable", False)
        self.retry_after = error.get("retryAfterMs", 0) / 1000


class Ended(Exception):
    """The device must not come back by itself."""


class State:
    """What makes the device the same device after a restart. Losing it means pairing under another name."""

    def __init__(self, path: pathlib.Path, uses_token: bool) -> None:
        self.path = path
        if path.exists():
            self.values = json.loads(path.read_text())
        else:
            # Before the first request: an answer may be lost, and its repeat must prove the same credential.
            kind = "token" if uses_token else "key"
            self.values = {kind: base64url(secrets.token_bytes(32)), "asked": False, "received": 0}
            self.save()

    def save(self, **changes) -> None:
        self.values.update(changes)
        new = self.path.with_name(self.path.name + ".new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(self.values, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)


class Device:
    def __init__(self, url: str, channel: str, sender_id: str, state: State, texts: list[str], repairs: bool) -> None:
        self.url, self.channel, self.sender_id, self.state = url, channel, sender_id, state
        # An identifier stays with its message, so that sending it twice is harmless.
        self.outbox = [{"messageId": secrets.token_hex(16), "message": {"text": text}} for text in texts]
        self.repairs = repairs
        self.metadata: dict = {}
        self.calls = 0
        self.good_since = None

    # Requests.

    def post(self, method: str, params: dict) -> str:
        """Sends a request without waiting for its answer; its id."""
        self.calls += 1
        identifier = str(self.calls)
        self.socket.send(json.dumps({"type": "req", "id": identifier, "method": method, "params": params}))
        return identifier

    def request(self, method: str, params: dict) -> dict:
        """The payload of the answer; events that arrive before it are handled."""
        identifier = self.post(method, params)
        while True:
            frame = json.loads(self.socket.recv(timeout=30))
            if frame["type"] == "event":
                self.happened(frame["event"], frame["payload"])
            # The answer to a frame whose id could not be read has none. Everything else this device sends is sound.
            elif frame["id"] in (identifier, None):
                if not frame["ok"]:
                    raise Refused(frame["error"])
                return frame["payload"]

    def proven(self, purpose: str) -> dict:
        """The device's name with the evidence that it is this device."""
        params = {"channel": self.channel, "senderId": self.sender_id}
        if "token" in self.state.values:
            return {**params, "deviceToken": self.state.values["token"]}
        key = Ed25519PrivateKey.from_private_bytes(from_base64url(self.state.values["key"]))
        raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        public_key = base64url(raw)
        challenge = self.request("device.challenge", {})
        # The server's own time, so that this device's clock may be wrong.
        fields = (
            "nodes-v1", purpose, origin_of(self.url), self.channel, self.sender_id, public_key,
            str(challenge["ts"]), challenge["nonce"],
        )
        signature = base64url(key.sign("|".join(fields).encode()))
        proof = {"signature": signature, "signedAt": challenge["ts"], "nonce": challenge["nonce"]}
        return {**params, "proof": proof, **({"publicKey": public_key} if purpose == "pair" else {})}

    # The life of a socket.

    def greet(self) -> None:
        """Asks to pair or connects; returns when the device is connected."""
        if not self.state.values["asked"]:
            self.ask()
        else:
            self.attach()
        while self.standing == "waiting":
            event = json.loads(self.socket.recv())
            if event["type"] == "event":
                self.happened(event["event"], event["payload"])

    def ask(self) -> None:
        answer = self.request("device.pair.request", {**self.proven("pair"), "metadata": self.metadata})
        if answer["status"] == "approved":
            self.attach()
        else:
            self.repairs = False
            self.state.save(asked=True, received=0)
            self.wait(answer)

    def attach(self) -> None:
        try:
            answer = self.request("connect", self.proven("connect"))
        except Refused as refused:
            if refused.code == "NOT_PAIRED" and refused.reason in ("revoked", "denied"):
                if not self.repairs:
                    raise Ended(refused.reason)
                if "token" in self.state.values:
                    self.state.save(token=base64url(secrets.token_bytes(32)))
            if refused.code != "NOT_PAIRED" or not self.state.values["asked"]:
                raise
            # Expired, or forgotten by the server: ask once more.
            self.state.save(asked=False)
            return self.ask()
        if answer["status"] == "paired":
            self.connected(answer)
        else:
            self.wait(answer)

    def wait(self, ticket: dict) -> None:
        self.standing, self.good_since = "waiting", time.monotonic()
        say("waiting", requestId=ticket["requestId"], code=ticket["code"], expiresInMs=ticket["expiresInMs"])

    def connected(self, answer: dict) -> None:
        self.standing, self.good_since = "connected", time.monotonic()
        say("connected", sessionId=answer["sessionId"], instanceId=answer["instanceId"])

    def happened(self, event: str, payload: dict) -> None:
        if event == "device.pair.resolved":
            say("resolved", decision=payload["decision"])
            if payload["decision"] == "denied":
                raise Ended("denied")
            if payload["decision"] == "expired":
                self.ask()
            elif payload.get("status") == "paired":
                self.connected(payload)
            else:
                self.attach()
        elif isinstance(number := payload.get("messageSeq"), int):
            # Whatever the event is called, an agent's message stands behind it. Of parts the last one settles it.
            if number > self.state.values["received"]:
                say(event, **payload)
            if payload.get("last", True):
                self.state.save(received=max(number, self.state.values["received"]))
                # Its answer says nothing that matters: a message that is not acknowledged comes again.
                self.post("message.ack", {"messageSeq": number})

    def serve(self) -> None:
        """Sends what there is, then listens until the socket closes."""
        while self.outbox:
            self.send(self.outbox[0])
            del self.outbox[0]
        while True:
            frame = json.loads(self.socket.recv())
            if frame["type"] == "event":
                self.happened(frame["event"], frame["payload"])

    def send(self, message: dict) -> None:
        """Returns when the message is accepted, or is never going to be: the next one must not wait for it."""
        try:
            receipt = self.request("message.send", message)
            say("accepted", messageId=receipt["messageId"], messageSeq=receipt["messageSeq"])
        except Refused as refused:
            if refused.retryable or refused.code not in ("INVALID_REQUEST", "FORBIDDEN"):
                raise
            say("given up", messageId=message["messageId"], error=json.loads(str(refused)))
        except ConnectionClosed as closed:
            if closed.rcvd and closed.rcvd.code in BAD_MESSAGE:
                del self.outbox[0]
                say("given up", messageId=message["messageId"], code=closed.rcvd.code, reason=closed.rcvd.reason)
            raise

    def run(self) -> None:
        ceiling = 1.0
        while True:
            wait, self.good_since = 0.0, None
            try:
                # `websockets` answers pings by itself, and notices a dead connection with its own.
                with connect(self.url, ping_interval=30, ping_timeout=30) as self.socket:
                    self.greet()
                    self.serve()
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd else 1006
                if code in ENDS:
                    raise Ended(ENDS[code])
                say("disconnected", code=code)
            except Refused as refused:
                if not refused.retryable:
                    raise
                say("refused", code=refused.code, reason=refused.reason)
                wait = refused.retry_after
            except (OSError, TimeoutError, InvalidHandshake) as error:
                say("disconnected", reason=str(error))
            # Between half the ceiling and all of it; a connection that lasted begins small again.
            if self.good_since is not None and time.monotonic() - self.good_since >= 30:
                ceiling = 1.0
            time.sleep(wait + ceiling * random.uniform(0.5, 1))
            ceiling = min(ceiling * 2, 60)


def run_to_the_end(device: Device) -> None:
    """Ends the program when the device must not come back by itself."""
    try:
        device.run()
    except Ended as ended:
        say("stopped", outcome=str(ended))
        sys.exit(1)
    except Refused as refused:
        say("stopped", outcome="refused", error=json.loads(str(refused)))
        sys.exit(1)


def main() -> None:
    arguments = [argument for argument in sys.argv[1:] if argument not in ("--token", "--repair")]
    url, channel, sender_id, path, *texts = arguments
    state = State(pathlib.Path(path), uses_token="--token" in sys.argv)
    run_to_the_end(Device(url, channel, sender_id, state, texts, repairs="--repair" in sys.argv))


if __name__ == "__main__":
    main()
