"""A browser of GoClaw's pages, and its command line, by the frames that `research` recorded of them."""

import itertools
import json
import socket
import time

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from .device import PATIENCE, Refused


class Browser:
    """What GoClaw's page stores, and one socket at a time."""

    def __init__(self, nodes, user_id: str = "tablet-user", *, path: str = "/ws") -> None:
        self.nodes = nodes
        self.user_id = user_id
        self.path = path
        self.sender_id = ""
        self.token = ""
        self.ids = itertools.count(1)
        self.frames: list[dict] = []

    def dial(self, gateway: int | None = None) -> "Browser":
        """Opens a socket, to that gateway or to nginx; the server is silent."""
        host = self.nodes.origin.split("://")[1]
        port = int(host.split(":")[1]) if gateway is None else self.nodes.direct_ports[gateway]
        connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        connection.settimeout(None)
        self.socket = connect(
            f"ws://{host}{self.path}", sock=connection, open_timeout=PATIENCE, close_timeout=5, proxy=None,
            ping_interval=None, legacy=True,
        )  # fmt: skip
        self.frames = []
        return self

    def receive(self, timeout: float = PATIENCE) -> dict:
        frame = json.loads(self.socket.recv(timeout=timeout))
        assert frame["type"] == "res" or "seq" not in frame, frame
        return frame

    def send(self, method: str, params: dict) -> str:
        identifier = str(next(self.ids))
        self.socket.send(json.dumps({"type": "req", "id": identifier, "method": method, "params": params}))
        return identifier

    def take(self, wanted, timeout: float = PATIENCE) -> dict:
        """The next frame that is wanted; others stay."""
        deadline = time.monotonic() + timeout
        seen = 0
        while True:
            for index in range(seen, len(self.frames)):
                if wanted(self.frames[index]):
                    return self.frames.pop(index)
            seen = len(self.frames)
            self.frames.append(self.receive(max(0.001, deadline - time.monotonic())))

    def answer(self, identifier: str) -> dict:
        frame = self.take(lambda frame: frame["type"] == "res" and frame["id"] == identifier)
        if not frame["ok"]:
            raise Refused(frame["error"])
        return frame["payload"]

    def request(self, method: str, params: dict | None = None) -> dict:
        return self.answer(self.send(method, params or {}))

    def event(self, kind: str) -> dict:
        """The payload of the next `agent` event of that type."""
        return self.take(lambda frame: frame.get("event") == "agent" and frame["payload"]["type"] == kind)["payload"]

    def enter(self, gateway: int | None = None) -> dict:
        """Dials and sends `connect` as GoClaw's page does, with all that it has stored."""
        self.dial(gateway)
        return self.request(
            "connect",
            {"token": self.token, "user_id": self.user_id, "sender_id": self.sender_id, "locale": "en",
             "tenant_hint": "", "tenant_id": "", "protocolVersion": 3},
        )  # fmt: skip

    def ask(self, gateway: int | None = None) -> dict:
        """The form for pairing: dials, asks, and stores the secret that it is given."""
        self.dial(gateway)
        pending = self.request("connect", {"user_id": self.user_id, "protocolVersion": 3})
        assert pending["status"] == "pending_pairing", pending
        self.sender_id = pending["sender_id"]
        return pending

    def status(self) -> dict:
        return self.request("browser.pairing.status", {"sender_id": self.sender_id})

    def waiting(self) -> tuple[str, str, str]:
        """The request: its identifier, its code and the public sender ID."""
        ((request, code, sender),) = self.nodes.rows(
            "SELECT request_id::text, code, sender_id FROM pairing_requests WHERE display_name = %s "
            "ORDER BY created_at DESC LIMIT 1", self.user_id,
        )  # fmt: skip
        return request, code, sender

    def pair(self, administrator, *agents: str) -> str:
        """Asks, is approved, and connects; the public sender ID."""
        self.ask()
        request, code, sender = self.waiting()
        administrator.approve(request, code)
        if agents:
            self.nodes.nodesctl("devices", "set-agent", sender, *agents)
        while self.status()["status"] != "approved":
            pass
        self.socket.close()
        assert self.enter()["role"] == "operator"
        return sender

    def closed(self, timeout: float = PATIENCE) -> int:
        """Waits for the server to close; the code."""
        deadline = time.monotonic() + timeout
        try:
            while True:
                self.frames.append(self.receive(max(0.001, deadline - time.monotonic())))
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006
