"""ABI 1.1 through a real gateway: messages that nobody keeps, and frames that a channel sends by itself."""

import contextlib
import hashlib
import json
import re

import pytest
from support.channels import compile_c
from support.deployment import ROOT, Deployment, deployed, eventually
from support.device import Refused

FROZEN = ROOT / "Tests/abi/v1.1"


@pytest.fixture(scope="module")
def nodes():
    """A gateway with the frozen plugin of version 1.1."""
    with deployed(gateways=1, kernels=1) as nodes:
        folder = nodes.state / "channels"
        library = compile_c(FROZEN / "plugin.c", folder / "zoo.so", headers=FROZEN)
        library.chmod(0o755)
        digest = hashlib.sha256(library.read_bytes()).hexdigest()
        manifest = {"id": "zoo", "version": "1.0.0", "abi": "1.1", "sha256": digest}
        (folder / "zoo.json").write_text(json.dumps(manifest))
        (folder / "zoo.json").chmod(0o644)
        for process in nodes.gateways + nodes.kernels:
            nodes.restart(process)
        yield nodes


def paired(nodes: Deployment):
    device = nodes.device("zoo")
    device.pair(nodes.administrator())
    return device


def drop(nodes: Deployment, device) -> None:
    """Ends a connection whose frames nobody reads: a closing handshake would wait behind them."""
    nodes._opened.remove(device.socket)
    # The server may have closed it.
    with contextlib.suppress(OSError):
        device.socket.cut()


def say(device, body, id: str) -> dict:
    return device.socket.request("message.send", {"messageId": id, "message": body})


def stored(nodes: Deployment, device) -> int:
    [(count,)] = nodes.rows("SELECT count(*) FROM messages WHERE sender_key = lower(%s)", device.sender_id)
    return count


def test_an_ephemeral_message_is_taken_and_kept_nowhere(nodes):
    device = paired(nodes)
    for id in ("t-1", "t-2", "t-1"):
        assert say(device, {"type": "typing"}, id) == {"messageId": id, "status": "ephemeral"}
        assert device.socket.event("seen") == {}
    assert stored(nodes, device) == 0
    # Its number stayed free, and agents heard of none of them.
    assert say(device, {"text": "hello"}, "m-1")["messageSeq"] == 1
    answer = device.socket.event("message")
    assert (answer["messageSeq"], answer["message"]) == (1, {"text": "hello"})
    assert stored(nodes, device) == 2
    # What was stored stays stored under its ID, whatever is said under it later.
    again = say(device, {"type": "typing"}, "m-1")
    assert again["messageSeq"] == 1 and again["status"] == "accepted"
    drop(nodes, device)


def test_frames_of_a_tick_reach_every_live_session_in_order_and_end_with_it(nodes):
    devices = [paired(nodes) for _ in range(2)]
    for device in devices:
        ticks = [device.socket.event("tick")["tick"] for _ in range(3)]
        assert ticks == sorted(set(ticks)), ticks
    # A message's way is its own.
    say(devices[0], {"text": "hello"}, "m-1")
    assert devices[0].socket.event("message")["message"] == {"text": "hello"}
    drop(nodes, devices[0])

    def frames() -> float:
        metrics = nodes.status("gateway/0/metrics")[1]
        return float(re.search(r'channel_plugin_counter_frames_total\{channel="zoo"[^}]*\} (\S+)', metrics)[1])

    before = frames()
    eventually(lambda: frames() > before, "the other device goes on hearing ticks")
    assert devices[1].socket.event("tick")
    # A new connection hears its answer first: a device reads nothing before it.
    devices[0].reconnect()
    assert devices[0].socket.event("tick")
    for device in devices:
        drop(nodes, device)


def test_nothing_is_sent_or_taken_after_a_revocation(nodes):
    device = paired(nodes)
    assert device.socket.event("tick")
    nodes.nodesctl("revoke", device.sender_id)
    with pytest.raises(Exception) as ended:
        for number in range(10_000):
            say(device, {"type": "typing"}, f"t-{number}")
    assert not isinstance(ended.value, Refused) or ended.value.code in ("NOT_PAIRED", "UNAVAILABLE"), ended.value
    drop(nodes, device)
    with pytest.raises(Refused):
        device.reconnect()
