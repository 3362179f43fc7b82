"""The connection breaks after PostgreSQL has committed and before anybody hears of it: the repeat settles it (I4, I5)."""

import time

import pytest
from support.deployment import deployed
from support.device import Refused, TokenCredential
from support.postgres_proxy import PostgresProxy
from websockets.exceptions import ConnectionClosed


@pytest.fixture(scope="module")
def proxy():
    proxy = PostgresProxy()
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def nodes(proxy):
    """One gateway and one kernel, so that it is known whose commit is in doubt."""
    with deployed(proxy=proxy, gateways=1, kernels=1) as deployment:
        yield deployment


@pytest.fixture
def device(nodes):
    device = nodes.device(credential=TokenCredential())
    device.pair(nodes.administrator())
    yield device
    device.close()


def insisting(attempt, timeout: float = 60):
    """Repeats what was refused as retryable, as the protocol asks."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return attempt()
        except Refused as refused:
            if not refused.error.get("retryable") or time.monotonic() > deadline:
                raise
            time.sleep(min(1, (refused.retry_after_ms or 100) / 1000))


def send(device, number: int) -> dict:
    return device.socket.request("message.send", {"messageId": f"m{number}", "message": number})


def stored(nodes, device, direction: str) -> list:
    return nodes.rows(
        "SELECT sequence FROM messages WHERE sender_key = lower(%s) AND direction = %s ORDER BY sequence",
        device.sender_id, direction,
    )  # fmt: skip


def test_a_message_whose_acceptance_is_in_doubt_is_stored_once_and_answered_in_order(nodes, device, proxy):
    send(device, 1)
    cut = proxy.cut("INSERT INTO messages")
    receipt = insisting(lambda: send(device, 2))
    cut.wait()
    assert receipt["messageSeq"] == 2
    assert send(device, 3)["messageSeq"] == 3
    assert [device.socket.event("message")["message"] for _ in range(3)] == [1, 2, 3]
    assert stored(nodes, device, "in") == [(1,), (2,), (3,)]


def test_an_answer_in_doubt_is_delivered_once_in_its_place(nodes, device, proxy):
    # The message is the first of the two that are stored, its answer the second.
    cut = proxy.cut("INSERT INTO messages", skip=1)
    send(device, 1)
    cut.wait()
    insisting(lambda: send(device, 2))
    answers = [device.socket.event("message") for _ in range(2)]
    assert [(a["messageSeq"], a["message"]) for a in answers] == [(1, 1), (2, 2)]
    assert stored(nodes, device, "out") == [(1,), (2,)]


def test_an_acknowledgement_in_doubt_is_settled_and_nothing_comes_again(nodes, device, proxy):
    send(device, 1)
    assert device.socket.event("message")["messageSeq"] == 1
    cut = proxy.cut("UPDATE messages")
    insisting(lambda: device.socket.request("message.ack", {"messageSeq": 1}))
    cut.wait()
    send(device, 2)
    assert device.socket.event("message")["messageSeq"] == 2
    device.reconnect()
    # What comes first is what was not acknowledged.
    assert device.socket.event("message")["messageSeq"] == 2


def test_a_session_whose_beginning_is_in_doubt_is_no_ghost(nodes, device, proxy):
    send(device, 1)
    device.socket.event("message")
    device.close()
    cut = proxy.cut("INSERT INTO device_sessions")

    def connect():
        try:
            return device.reconnect()
        except ConnectionClosed as closed:
            raise Refused({"code": "UNAVAILABLE", "retryable": True}) from closed

    assert insisting(connect)["status"] == "paired"
    cut.wait()
    assert send(device, 2)["messageSeq"] == 2
    sessions = nodes.rows(
        "SELECT count(*) FROM device_sessions WHERE sender_key = lower(%s) AND instance_id IS NOT NULL",
        device.sender_id,
    )
    assert sessions == [(1,)]


def decide(administrator, path: str, action: str, **fields):
    """Submits a decision and, as its answer may be that nobody knows, submits it again: the second page."""
    form = administrator.get(path).form(action)
    first = administrator.submit(form, **fields)
    assert first.status in (303, 503), f"{first.status}: {first.text[:500]}"
    second = administrator.submit(form, **fields)
    return administrator.follow(second) if second.status == 303 else second


def test_an_approval_in_doubt_is_carried_out_once_and_lets_the_device_in(nodes, proxy):
    administrator = nodes.administrator()
    device = nodes.device(credential=TokenCredential())
    request = device.ask()
    path = f"/nodes/requests/{request['requestId']}/approve"
    cut = proxy.cut("INSERT INTO paired_devices")
    page = decide(administrator, path, path, code=request["code"])
    cut.wait()
    assert page.status == 200 and "approved" in page.text.lower(), page.text[:500]
    assert device.socket.event("device.pair.resolved")["decision"] == "approved"
    assert events(nodes, device, "pairing.approved") == 1


def test_a_revocation_in_doubt_is_carried_out_once_and_closes_the_session(nodes, device, proxy):
    administrator = nodes.administrator()
    cut = proxy.cut("UPDATE paired_devices SET state = 'revoked'")
    page = decide(administrator, f"/nodes/devices/{device.sender_id}/revoke", "/revoke")
    cut.wait()
    assert page.status == 200 and "revoked" in page.text.lower(), page.text[:500]
    assert device.socket.wait_closed()[0] == 4001
    assert events(nodes, device, "pairing.revoked") == 1


def events(nodes, device, name: str) -> int:
    """How many of that event the feed has for the device."""
    found = nodes.rows("SELECT 1 FROM events WHERE sender_id = %s AND event = %s", device.sender_id, name)
    return len(found)
