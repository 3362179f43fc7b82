"""Strangers cannot keep an honest device out (I13): sockets, waiting places, signature checks."""

import contextlib
import threading
import time

from support.deployment import eventually
from support.device import KeyCredential, Refused, TokenCredential
from websockets.exceptions import ConnectionClosed

ROOM = 100

# Small enough that a test fills it.
SETTINGS = {
    "gateway": {
        "unauthenticated_sockets": ROOM,
        "waiting_sockets_per_block": 2,
        "first_request_timeout": "120s",
        "frames_per_second": 1000,
        "frames_burst": 1000,
        "signatures_per_second": 60,
    }
}


def is_refused(socket) -> bool:
    """Whether the server has no room for this socket."""
    try:
        return socket.request("health")["status"] != "ok"
    except ConnectionClosed as closed:
        assert closed.rcvd is None or closed.rcvd.code == 1013, closed
        return True


def flood(nodes, device, address: str, stopped: threading.Event) -> None:
    """Proves to be `device` with another key, as fast as it is answered."""
    impostor = nodes.device(sender_id=device.sender_id)
    impostor.dial(address=address)
    while not stopped.is_set():
        with contextlib.suppress(Refused, ConnectionClosed):
            impostor.connect()


def test_strangers_sockets_and_bogus_proofs_keep_no_paired_device_out(deploy):
    nodes = deploy(gateways=1, kernels=1, settings=SETTINGS)
    administrator = nodes.administrator()
    devices = [nodes.device(credential=(TokenCredential, KeyCredential)[n % 2]()) for n in range(20)]
    for device in devices:
        device.pair(administrator)
        device.close()

    # Ten networks share the strangers' room, and get no more of it.
    strangers = [nodes.socket(address=f"127.0.{10 + n % 10}.1") for n in range(ROOM)]
    assert not is_refused(strangers[0])
    assert is_refused(nodes.socket(address="127.0.10.1"))

    stopped = threading.Event()
    floods = [
        threading.Thread(target=flood, args=(nodes, devices[1], f"127.0.{30 + n}.1", stopped)) for n in range(4)
    ]
    for thread in floods:
        thread.start()
    try:
        started = time.monotonic()
        for device in devices:
            assert device.reconnect()["status"] == "paired"
        assert time.monotonic() - started < 10
        # A device with a key is never told that there are too many signatures to check.
        for _ in range(30):
            # Sessions that replace each other are another matter.
            devices[1].close()
            assert devices[1].reconnect()["status"] == "paired"
    finally:
        stopped.set()
        for thread in floods:
            thread.join()
    # A device takes a stranger's place for as long as it has not proven itself, and each flood keeps one.
    assert 1 <= sum(is_refused(stranger) for stranger in strangers) <= 20


def test_of_the_sockets_that_wait_for_one_request_the_newest_stays(deploy):
    nodes = deploy(gateways=1, kernels=1, settings=SETTINGS)
    device = nodes.device(credential=TokenCredential())
    device.ask()
    older = device.socket
    device.dial()
    device.ask()
    assert older.wait_closed()[0] == 4002

    # A network has so many places to wait at; a device that finds none has its request all the same.
    second, third = (nodes.device(credential=TokenCredential()) for _ in range(2))
    second.ask()
    request = third.ask()
    assert third.socket.wait_closed()[0] == 1013
    nodes.administrator().approve(request["requestId"], request["code"])
    eventually(lambda: third.reconnect()["status"] == "paired", "the third device is paired")
