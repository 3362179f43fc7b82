"""The least WebSocket client that can hold thousands of devices: what is measured is the server, not this."""

import asyncio
import base64
import json
import os
import time


def frame(payload: bytes) -> bytes:
    """A masked text frame (RFC 6455, 5.2); the mask is zero, so that masking costs nothing here."""
    length = len(payload)
    if length < 126:
        return bytes([0x81, 0x80 | length]) + b"\0\0\0\0" + payload
    return bytes([0x81, 0x80 | 126]) + length.to_bytes(2, "big") + b"\0\0\0\0" + payload


class Client(asyncio.Protocol):
    """One socket: upgrade, one request, and then whatever arrives."""

    path = "/ws"

    def __init__(self, host: str, request: dict) -> None:
        self.host = host
        self.request = request
        self.buffer = b""
        self.upgraded = False
        self.answered = asyncio.get_running_loop().create_future()
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport) -> None:
        self.transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET {self.path} HTTP/1.1\r\nHost: {self.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.upgraded:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            status = self.buffer.split(b"\r\n", 1)[0]
            if b" 101 " not in status:
                self.fail(RuntimeError(status.decode()))
                return
            self.upgraded = True
            self.buffer = self.buffer[end + 4 :]
            self.transport.write(frame(json.dumps(self.request).encode()))
        self.read_frames()

    def read_frames(self) -> None:
        while len(self.buffer) >= 2:
            opcode = self.buffer[0] & 15
            length = self.buffer[1] & 127
            start = 2
            if length == 126:
                if len(self.buffer) < 4:
                    return
                length = int.from_bytes(self.buffer[2:4], "big")
                start = 4
            if len(self.buffer) < start + length:
                return
            payload = self.buffer[start : start + length]
            self.buffer = self.buffer[start + length :]
            if opcode == 9:
                self.transport.write(bytes([0x8A, 0x80 | length]) + b"\0\0\0\0" + payload)
            elif opcode == 8:
                if not self.closed.done():
                    self.closed.set_result((time.perf_counter(), int.from_bytes(payload[:2], "big")))
                self.transport.close()
            elif opcode == 1 and self.answered.done():
                self.received(payload)
            elif opcode == 1:
                answer = json.loads(payload)
                if answer.get("type") == "res":
                    if answer["ok"]:
                        self.answered.set_result(answer["payload"])
                    else:
                        self.fail(RuntimeError(json.dumps(answer["error"])))

    def received(self, payload: bytes) -> None:
        """A message after the first answer; nobody cares here."""

    def send(self, method: str, identifier: str, params: dict) -> None:
        request = {"type": "req", "id": identifier, "method": method, "params": params}
        self.transport.write(frame(json.dumps(request).encode()))

    def fail(self, error: Exception) -> None:
        if not self.answered.done():
            self.answered.set_exception(error)

    def connection_lost(self, error) -> None:
        self.fail(error or ConnectionError("closed before the answer"))
        if not self.closed.done():
            self.closed.set_result((time.perf_counter(), 1006))


async def open_all(
    port: int, host: str, requests: list[dict], concurrency: int, make=Client
) -> tuple[list[Client], float]:
    """Opens a socket for each request, so many at a time, and waits for each answer; the sockets and the seconds."""
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(concurrency)

    async def one(request: dict) -> Client:
        async with gate:
            _, client = await loop.create_connection(lambda: make(host, request), "127.0.0.1", port)
            await client.answered
            return client

    started = time.perf_counter()
    clients = await asyncio.gather(*(one(request) for request in requests))
    return clients, time.perf_counter() - started


async def close_all(clients: list[Client]) -> None:
    for client in clients:
        client.transport.abort()
    await asyncio.sleep(0)
