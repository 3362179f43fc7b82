"""Streaming answers: how much later than the agent's own the first part is at a device, how many parts a second one
gateway passes on, and what a conversation that streams takes of its memory."""

import asyncio
import json
import pathlib
import re
import statistics
import time

from support.deployment import Deployment
from wire import Client, close_all, open_all

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def resident(pid: int) -> int:
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) * 1024


class Agent:
    """A server with the chat completions interface whose parts say when they were sent."""

    def __init__(self) -> None:
        self.pause = 0.0
        self.parts = 0
        self.asked = 0
        self.go = asyncio.Event()

    async def serve(self) -> tuple[asyncio.Server, str]:
        server = await asyncio.start_server(self.answer, "127.0.0.1", 0, backlog=1024)
        return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(re.search(rb"content-length: *(\d+)", head, re.I)[1]))
        self.asked += 1
        await self.go.wait()
        writer.write(HEAD)
        for _ in range(self.parts):
            text = f"{time.perf_counter()} "
            writer.write(b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}).encode() + b"\n\n")
            await writer.drain()
            # The pace of a model.
            await asyncio.sleep(self.pause)
        writer.write(b"data: [DONE]\n\n")
        await writer.drain()
        writer.close()


class Listener(Client):
    """A device that notes when parts come, and the whole answer."""

    def __init__(self, host: str, request: dict) -> None:
        super().__init__(host, request)
        self.whole = asyncio.get_running_loop().create_future()
        self.first: float | None = None
        self.parts = 0
        self.pieces = 0

    def begin(self, identifier: str) -> None:
        self.whole = asyncio.get_running_loop().create_future()
        self.first, self.parts, self.pieces = None, 0, 0
        self.send("message.send", identifier, {"messageId": identifier, "message": "Go on."})

    def received(self, payload: bytes) -> None:
        if b'"event":"message.part"' in payload:
            # The agent's pieces that arrive together at the gateway are one part.
            stamps = json.loads(payload)["payload"]["text"].split()
            self.parts += 1
            self.pieces += len(stamps)
            if self.first is None:
                self.first = time.perf_counter() - float(stamps[0])
        elif b'"event":"message"' in payload:
            self.send("message.ack", "ack", {"messageSeq": json.loads(payload)["payload"]["messageSeq"]})
            if not self.whole.done():
                self.whole.set_result(time.perf_counter())


async def run(agent: Agent, devices: list[Listener], parts: int, pause: float, name: str) -> tuple[float, list[Listener]]:
    """Has every device answered with so many parts, all beginning at once; the seconds from there to the last whole."""
    agent.parts, agent.pause, agent.asked = parts, pause, 0
    agent.go.clear()
    for number, device in enumerate(devices):
        device.begin(f"{name}-{number}")
    while agent.asked < len(devices):
        # The agent says nothing before everybody is there; how long that takes is no part of any figure.
        await asyncio.sleep(0.05)
    started = time.perf_counter()
    agent.go.set()
    ends = await asyncio.wait_for(asyncio.gather(*(device.whole for device in devices)), 300)
    return max(ends) - started, devices


async def streaming(nodes: Deployment, agent: Agent, requests: list[dict]) -> None:
    host = nodes.origin.split("://", 1)[1]
    devices, _ = await open_all(nodes.direct_ports[0], host, requests, 64, Listener)
    count = len(devices)
    await run(agent, devices, 20, 0.05, "warm")
    # What the first answers left is given back before memory at rest is read.
    await asyncio.sleep(2)
    idle = resident(nodes.gateways[0].pid)
    most = idle

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, resident(nodes.gateways[0].pid))
            await asyncio.sleep(0.1)

    watcher = asyncio.create_task(watch())
    await run(agent, devices, 100, 0.05, "calm")
    watcher.cancel()
    first = sorted(device.first * 1000 for device in devices if device.first is not None)
    print(
        f"{count} devices streaming at once, 20 parts a second each: the first part is at a device median "
        f"{statistics.median(first):.1f} ms, 99th percentile {first[int(len(first) * 0.99)]:.1f} ms after the agent sent it"
    )
    print(f"  resident bytes per streaming conversation: {(most - idle) / count:,.0f}")
    took, _ = await run(agent, devices, 200, 0, "fast")
    parts = sum(device.parts for device in devices)
    pieces = sum(device.pieces for device in devices)
    print(
        f"  as fast as it can: {parts / took:,.0f} parts a second, which hold {pieces / took:,.0f} pieces of the agent's "
        f"({pieces:,} of {count * 200:,} arrived before the whole)"
    )
    await close_all(devices)
