"""How long paired devices take to come back while strangers hold all of their own room (I13), beside an empty gateway."""

import asyncio
import concurrent.futures
import contextlib
import threading
import time

from support.deployment import Deployment, deployed
from support.device import Device, KeyCredential, Refused, TokenCredential
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from wire import Client

DEVICES = 50
STRANGERS = 2000
NETWORKS = 10

# The room and the rates as they are shipped; the tests' are wider.
SHIPPED = {
    "gateway": {"unauthenticated_sockets_per_address": 200, "signatures_per_second": 200},
    "log": {"level": "error"},
}


class Strangers:
    """Sockets that are opened again as soon as they are closed, in a thread of their own."""

    def __init__(self, nodes: Deployment) -> None:
        self.nodes = nodes
        self.host = nodes.origin.split("://", 1)[1]
        self.opened = 0
        self.open = 0
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self.thread.start()

    async def _run(self) -> None:
        sockets = [asyncio.ensure_future(self._keep(f"127.0.{10 + n % NETWORKS}.1")) for n in range(STRANGERS)]
        while not self.stopped.is_set():
            await asyncio.sleep(0.05)
        for socket in sockets:
            socket.cancel()
        await asyncio.gather(*sockets, return_exceptions=True)

    async def _keep(self, address: str) -> None:
        loop = asyncio.get_running_loop()
        health = {"type": "req", "id": "1", "method": "health", "params": {}}
        while True:
            client = None
            try:
                _, client = await loop.create_connection(
                    lambda: Client(self.host, health), "127.0.0.1", self.nodes.port, local_addr=(address, 0)
                )
                await client.answered
                self.opened += 1
                self.open += 1
                await client.closed
                self.open -= 1
            except (OSError, RuntimeError):
                pass
            finally:
                if client is not None:
                    client.transport.abort()
            await asyncio.sleep(0.5)


def impersonate(nodes: Deployment, sender_id: str, address: str, stopped: threading.Event) -> int:
    """Proves to be that device with another key, as fast as it is answered; how often."""
    count = 0
    while not stopped.is_set():
        impostor = nodes.device(sender_id=sender_id)
        with contextlib.suppress(Refused, ConnectionClosed, InvalidHandshake, OSError):
            impostor.dial(address=address)
            while not stopped.is_set():
                with contextlib.suppress(Refused):
                    impostor.connect()
                count += 1
        with contextlib.suppress(Exception):
            impostor.close()
    return count


def come_back(device: Device) -> float:
    """Connects, again and again if it must; the seconds until it is let in."""
    started = time.monotonic()
    while True:
        try:
            device.reconnect()
            return time.monotonic() - started
        except (Refused, ConnectionClosed, InvalidHandshake, OSError):
            assert time.monotonic() - started < 120, "a paired device was kept out for two minutes"
            time.sleep(0.05)


def all_back(devices: list[Device]) -> list[float]:
    for device in devices:
        device.close()
    with concurrent.futures.ThreadPoolExecutor(len(devices)) as threads:
        return sorted(threads.map(come_back, devices))


def strangers() -> None:
    with deployed(gateways=1, kernels=1, settings=SHIPPED) as nodes:
        administrator = nodes.administrator()
        devices = [nodes.device(credential=(TokenCredential, KeyCredential)[n % 2]()) for n in range(DEVICES)]
        for device in devices:
            device.pair(administrator)
        alone = all_back(devices)

        crowd = Strangers(nodes)
        deadline = time.monotonic() + 60
        while crowd.open < STRANGERS * 0.95:
            assert time.monotonic() < deadline, f"only {crowd.open} strangers' sockets are open"
            time.sleep(0.1)
        with concurrent.futures.ThreadPoolExecutor(2) as threads:
            try:
                impostors = [
                    threads.submit(impersonate, nodes, devices[1].sender_id, f"127.0.{30 + n}.1", crowd.stopped)
                    for n in range(2)
                ]
                time.sleep(2)
                among = all_back(devices)
                held = crowd.open
            finally:
                crowd.stopped.set()
        crowd.thread.join()
        proofs = sum(impostor.result() for impostor in impostors)
    print(
        f"{DEVICES} paired devices back among {held:,} strangers' sockets of {NETWORKS} networks and {proofs:,} bogus "
        f"proofs: the last after {among[-1]:.2f} s, median {among[len(among) // 2]:.2f} s"
    )
    print(f"  with nobody else there: {alone[-1]:.2f} s, {alone[len(alone) // 2]:.2f} s; {among[-1] / alone[-1]:.1f} times that")
