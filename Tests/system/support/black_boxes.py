"""Clients of OpenClaw's and GoClaw's gateways as they are published, and by frames where none is; each a device of its own
behind the same few verbs."""

import asyncio
import contextlib
import dataclasses
import importlib
import importlib.util
import json
import logging
import os
import pathlib
import secrets
import sys
import threading
import types
import uuid
import warnings

import openai
from cryptography.hazmat.primitives import serialization
from websockets.exceptions import ConnectionClosed

from .completions import client as openai_client
from .completions import say
from .deployment import eventually
from .device import PATIENCE, Refused, TokenCredential
from .goclaw import Browser
from .openclaw import Operator


class Shown(Exception):
    """What a client says of its connection that did not come about."""


def module_alone(package: str, name: str):
    """A module of a package of which only that is installed, so that its own `__init__` cannot be run."""
    if package not in sys.modules:
        (folder,) = importlib.util.find_spec(package).submodule_search_locations
        sys.modules[package] = types.ModuleType(package)
        sys.modules[package].__path__ = [folder]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return importlib.import_module(f"{package}.{name}")


class Heard(logging.Handler):
    """What a client logs, which is where some say why they were refused."""

    def __init__(self, logger: str) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []
        logging.getLogger(logger).addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def take(self) -> str:
        lines, self.lines = self.lines, []
        return "\n".join(lines)


class BlackBox:
    """A device. `ask` names an agent by its session key, as these clients do."""

    def __init__(self, nodes, folder: pathlib.Path) -> None:
        self.nodes = nodes
        self.url = nodes.origin.replace("http", "ws")

    def enter(self) -> None:
        """Connects; raises `Shown` where it is refused."""
        raise NotImplementedError

    def ask(self, text: str, agent: str = "main") -> str:
        """Sends a message; what its user is shown as the answer."""
        raise NotImplementedError

    def await_end(self) -> None:
        """Waits until it has seen that its connection is over."""
        raise NotImplementedError

    def leave(self) -> None:
        """Closes what is open."""

    @staticmethod
    def key(agent: str) -> str:
        return f"agent:{agent}:box"


class Asynchronous(BlackBox):
    """One that is written for asyncio, with a loop in a thread of its own."""

    def __init__(self, nodes, folder: pathlib.Path) -> None:
        super().__init__(nodes, folder)
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE)

    def enter(self) -> None:
        try:
            self.run(self.connect())
        except Exception as error:
            raise Shown(str(error)) from error

    def ask(self, text: str, agent: str = "main") -> str:
        return self.run(self.talk(text, self.key(agent)))

    def leave(self) -> None:
        with contextlib.suppress(Exception):
            self.run(self.close())
        self.loop.call_soon_threadsafe(self.loop.stop)


class BambooClaw(Asynchronous):
    def __init__(self, nodes, folder: pathlib.Path) -> None:
        super().__init__(nodes, folder)
        from bamboo_claw_client.gateway import GatewayClient

        self.client = GatewayClient(self.url, "sek", str(folder))

    async def connect(self) -> None:
        await self.client.connect()

    async def talk(self, text: str, key: str) -> str:
        return (await self.client.send_chat_message(text, session_key=key))["content"]

    def await_end(self) -> None:
        async def read() -> None:
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await self.client._receive()

        self.run(read())

    async def close(self) -> None:
        await self.client.disconnect()


class OpenclawSdk(Asynchronous):
    """It finds its key in its user's home, and logs why it was refused."""

    def __init__(self, nodes, folder: pathlib.Path) -> None:
        super().__init__(nodes, folder)
        self.folder = folder
        self.client = None
        self.heard = Heard("openclaw_sdk.gateway.protocol")
        device = Operator(nodes)
        identity = folder / ".openclaw/identity"
        identity.mkdir(parents=True)
        public, private = device.key.public_key(), device.key
        pem = serialization.Encoding.PEM
        facts = {
            "deviceId": device.device_id,
            "publicKeyPem": public.public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo).decode(),
            "privateKeyPem": private.private_bytes(
                pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ).decode(),
        }
        (identity / "device.json").write_text(json.dumps(facts))
        (identity / "device-auth.json").write_text(json.dumps({"tokens": {"operator": {"token": "sek"}}}))

    async def connect(self) -> None:
        from openclaw_sdk.gateway.protocol import ProtocolGateway

        await self.close()
        home, os.environ["HOME"] = os.environ.get("HOME"), str(self.folder)
        try:
            self.client = ProtocolGateway(f"{self.url}/gateway", "sek", connect_timeout=PATIENCE)
            await self.client._do_connect()
            await self.client.call("health", {}, timeout=PATIENCE)
        except Exception as error:
            raise Shown(f"{self.heard.take()}\n{error}") from error
        finally:
            if home is not None:
                os.environ["HOME"] = home

    async def talk(self, text: str, key: str) -> str:
        events = await self.client.subscribe(["chat"])
        run = str(uuid.uuid4())
        asked = {"sessionKey": key, "message": text, "idempotencyKey": run}
        assert (await self.client.call("chat.send", asked))["status"] == "started"
        async for event in events:
            payload = event.data["payload"]
            if payload["runId"] == run and payload["state"] == "final":
                return payload["message"]["content"][0]["text"]
        raise Shown("the connection ended")

    def await_end(self) -> None:
        eventually(lambda: not self.client._connected, "the SDK sees the end")

    async def close(self) -> None:
        if self.client:
            await self.client.close()


class WebchatAdapter(BlackBox):
    def __init__(self, nodes, folder: pathlib.Path) -> None:
        super().__init__(nodes, folder)
        from openclaw_webchat_adapter.config import AdapterSettings
        from openclaw_webchat_adapter.ws_adapter import DeviceIdentity

        self.device = DeviceIdentity.generate()
        self.settings = AdapterSettings(url=self.url, token="sek")
        self.client = None

    def enter(self) -> None:
        from openclaw_webchat_adapter.ws_adapter import OpenClawChatWsAdapter

        self.client = client = OpenClawChatWsAdapter(self.settings, device=self.device)

        def start() -> None:
            with contextlib.suppress(Exception):
                client.start(timeout_s=PATIENCE)

        threading.Thread(target=start, daemon=True).start()
        # Refused, it waits on: the server keeps its socket open until the decision.
        ended = lambda: client._hello_ok.is_set() or client._last_error or client._closed.is_set()  # noqa: E731
        eventually(ended, "the adapter has an answer")
        if not client._hello_ok.is_set():
            error = client._last_error
            client.stop()
            raise Shown(str(error))
        client.ensure_session("main")

    def ask(self, text: str, agent: str = "main") -> str:
        self.client._settings = dataclasses.replace(self.settings, session_key=self.key(agent))
        return "".join(self.client.stream_chat(text, timeout_s=PATIENCE))

    def await_end(self) -> None:
        assert self.client._closed.wait(PATIENCE)

    def leave(self) -> None:
        if self.client:
            self.client.stop()


class Superred(Asynchronous):
    """It asks by `agent`, waits by `agent.wait` and reads what is new in each `chat` event."""

    def __init__(self, nodes, folder: pathlib.Path) -> None:
        super().__init__(nodes, folder)
        self.folder = folder
        self.client = None

    async def connect(self) -> None:
        module = module_alone("openclaw_target", "ws_client")
        await self.close()
        self.client = module.OpenClawWSClient(
            self.url, "sek", use_device_identity=True, device_identity_path=str(self.folder / "device.json")
        )
        await self.client.connect()

    async def talk(self, text: str, key: str) -> str:
        result = await self.client.run_agent(text, session_key=key)
        assert result.status == "ok", result
        return result.assistant_text

    def await_end(self) -> None:
        eventually(self.client._reader_task.done, "it sees the end")

    async def close(self) -> None:
        if self.client:
            await self.client.close()


class Opencat(BlackBox):
    """It has no key: its token is its own."""

    def __init__(self, nodes, folder: pathlib.Path) -> None:
        super().__init__(nodes, folder)
        self.token = secrets.token_urlsafe(32)
        self.client = None
        self.said: list[str] = []
        self.errors: list[str] = []

    def enter(self) -> None:
        from opencat import config, ws_client

        config.load(
            port_override=int(self.url.rsplit(":", 1)[1]), token_override=self.token, host_override="127.0.0.1"
        )
        connected = threading.Event()
        self.errors.clear()
        self.client = ws_client.OpenClawClient(
            connected.set, lambda: None, self.errors.append, lambda _: None, self.said.append, self.errors.append
        )
        self.client.connect()
        eventually(lambda: connected.is_set() or self.errors, "it has an answer")
        if not connected.is_set():
            self.client.disconnect()
            raise Shown("\n".join(self.errors))

    def ask(self, text: str, agent: str = "main") -> str:
        self.client.session_key = self.key(agent)
        self.said.clear()
        self.client.send_message(text)
        return eventually(lambda: self.said, "the answer is shown")[0]

    def await_end(self) -> None:
        eventually(lambda: not self.client.connected, "it sees the end")

    def leave(self) -> None:
        if self.client:
            self.client.disconnect()


class Bluelobster(Asynchronous):
    """It has no key: its token is its own; it waits for the challenge, and logs why it was refused."""

    def __init__(self, nodes, folder: pathlib.Path) -> None:
        super().__init__(nodes, folder)
        self.token = secrets.token_urlsafe(32)
        self.client = None
        self.heard = Heard("bluelobster.ws_client")
        self.frames: list[dict] = []

    async def connect(self) -> None:
        module = module_alone("bluelobster", "ws_client")
        await self.close()

        async def hear(text: str) -> None:
            self.frames.append(json.loads(text))

        self.client = module.MoltbotClient(self.url, self.token, on_response=hear)
        if not await self.client.connect():
            raise Shown(self.heard.take())

    async def talk(self, text: str, key: str) -> str:
        self.client._session_key = key
        self.frames.clear()
        assert await self.client.send_message(text)
        while True:
            for frame in self.frames:
                if frame.get("event") == "chat" and frame["payload"]["state"] == "final":
                    return frame["payload"]["message"]["content"][0]["text"]
            # The client tells nobody of a frame; the caller's own time limit ends this.
            await asyncio.sleep(0.02)

    def await_end(self) -> None:
        eventually(lambda: not self.client.connected, "it sees the end")

    async def close(self) -> None:
        if self.client:
            await self.client.disconnect()


class OpenAI(BlackBox):
    """OpenAI's own client with a device's token; a socket asks for it to be paired."""

    def __init__(self, nodes, folder: pathlib.Path) -> None:
        super().__init__(nodes, folder)
        self.device = None
        self.credential = TokenCredential()
        self.client = openai_client(nodes, self.credential.token)

    def enter(self) -> None:
        if self.device is None:
            self.device = self.nodes.device(credential=self.credential)
            self.device.ask()
            self.device.close()
        try:
            self.client.models.list()
        except openai.OpenAIError as error:
            raise Shown(str(error)) from error

    def ask(self, text: str, agent: str = "default") -> str:
        stream = self.client.chat.completions.create(model=agent, messages=say(text), stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)

    def await_end(self) -> None:
        """It holds no connection."""


class ByFrames(BlackBox):
    """What is not on PyPI, by the frames that were recorded of it: an operator of protocol 4."""

    options: dict = {}

    def __init__(self, nodes, folder: pathlib.Path) -> None:
        super().__init__(nodes, folder)
        self.socket = Operator(nodes, **self.options)

    def enter(self) -> None:
        answer = self.socket.connect(self.socket.dial())
        if not answer["ok"]:
            raise Shown(answer["error"]["message"])

    def ask(self, text: str, agent: str = "main") -> str:
        key, run = self.key(agent), str(uuid.uuid4())
        asked = self.socket.request("chat.send", {"sessionKey": key, "message": text, "idempotencyKey": run})
        assert asked["ok"], asked
        return self.final(lambda payload: payload["runId"] == run)

    def final(self, wanted) -> str:
        payload = self.socket.event("chat", lambda payload: payload["state"] == "final" and wanted(payload))
        return payload["message"]["content"][0]["text"]

    def await_end(self) -> None:
        self.socket.closed()

    def leave(self) -> None:
        self.socket.socket.close()


class Node(ByFrames):
    """A node speaks by `node.event`."""

    options = {"role": "node", "path": "/gateway"}

    def __init__(self, nodes, folder: pathlib.Path) -> None:
        super().__init__(nodes, folder)
        self.socket.scopes = []
        self.socket.extra = {"caps": ["canvas"], "commands": ["canvas.present"]}

    def ask(self, text: str, agent: str = "main") -> str:
        payload = json.dumps({"message": text, "sessionKey": self.key(agent)})
        answer = self.socket.request("node.event", {"event": "agent.request", "payloadJSON": payload})
        assert answer["payload"] == {"ok": True}, answer
        return self.final(lambda payload: payload["sessionKey"] == self.key(agent))


class LateOperator(ByFrames):
    """An operator that dials `/ws` and waits there to be challenged."""

    options = {"path": "/ws", "version": "v2", "versions": (3, 3)}


class GoClawPage(BlackBox):
    def __init__(self, nodes, folder: pathlib.Path) -> None:
        super().__init__(nodes, folder)
        self.page = Browser(nodes, f"user-{secrets.token_hex(4)}")

    def enter(self) -> None:
        try:
            hello = self.page.enter() if self.page.sender_id else self.page.ask()
        except Refused as refused:
            raise Shown(f"{refused} {refused.code} {refused.reason}") from refused
        if hello.get("status") == "pending_pairing":
            raise Shown(hello["pairing_code"])

    def ask(self, text: str, agent: str = "default") -> str:
        asked = {"agentId": agent, "sessionKey": self.key(agent), "message": text, "stream": True}
        return self.page.request("chat.send", asked)["content"]

    def await_end(self) -> None:
        self.page.closed()

    def leave(self) -> None:
        self.page.socket.close()


BLACK_BOXES = (
    BambooClaw, OpenclawSdk, WebchatAdapter, Superred, Opencat, Bluelobster, OpenAI, ByFrames, Node, LateOperator, GoClawPage,
)  # fmt: skip
