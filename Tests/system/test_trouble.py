"""What goes wrong is said where people look: on /nodes, on the device's page, in the feed and to whoever meets it."""

import time

import pytest
from support.deployment import Deployment, eventually
from support.device import Refused, TokenCredential


def test_two_programs_with_one_credential_are_slowed_counted_and_shown(nodes: Deployment, administrator):
    device = nodes.device()
    device.pair(administrator)
    clone = nodes.device(sender_id=device.sender_id, credential=device.credential)
    refusals = []
    for turn in range(40):
        try:
            (clone if turn % 2 else device).reconnect(gateway=turn % 2)
        except Refused as refusal:
            refusals.append(refusal)
    assert refusals and {refusal.reason for refusal in refusals} == {"replaced_too_often"}
    assert len(refusals) > 15, "the two are not slowed"
    assert all(1000 <= refusal.retry_after_ms <= 120_000 for refusal in refusals)
    recorded = nodes.rows(
        "SELECT actor_kind, channel, details->>'otherAddress' FROM events "
        "WHERE sender_id = %s AND event = 'device.contended'", device.sender_id,
    )  # fmt: skip
    assert recorded == [("system", "web", "127.0.0.1")]
    for path in ("/nodes", f"/nodes/devices/{device.sender_id}"):
        assert f"Two programs use the credential of {device.sender_id}" in administrator.get(path).text
    # Another device is not slowed by it.
    other = nodes.device()
    other.pair(administrator)
    assert other.reconnect()["status"] == "paired"


def test_a_device_that_comes_back_now_and_then_is_no_trouble(nodes: Deployment, administrator):
    device = nodes.device()
    device.pair(administrator)
    for _ in range(4):
        device.reconnect()
    assert device.sender_id not in administrator.get("/nodes").text.split("Pending Requests")[0]
    assert not nodes.rows("SELECT 1 FROM events WHERE sender_id = %s AND event = 'device.contended'", device.sender_id)


@pytest.fixture(scope="module")
def narrow():
    """A deployment with the usual limits."""
    from support.deployment import deployed

    with deployed(gateways=1, kernels=1, settings={"gateway": {"requests_per_address": 5}}) as deployment:
        yield deployment


def test_many_devices_behind_one_address_wait_for_the_time_that_is_left(narrow: Deployment):
    administrator = narrow.administrator()
    waiting = [narrow.device(credential=TokenCredential()) for _ in range(5)]
    requests = [device.ask() for device in waiting]
    late = narrow.device(credential=TokenCredential())
    with pytest.raises(Refused) as refusal:
        late.ask()
    assert refusal.value.reason == "requests_of_address"
    assert 1000 <= refusal.value.retry_after_ms <= 5000
    page = administrator.get("/nodes").text
    assert "An address is at its limit: 127.0.0.1" in page, page
    metrics = narrow.status("gateway/0/metrics")[1]
    assert 'gateway_limits_reached_total{reason="requests_of_address"} 1' in metrics
    administrator.approve(requests[0]["requestId"], requests[0]["code"])
    began = time.monotonic()
    time.sleep(refusal.value.retry_after_ms / 1000)
    late.ask()
    assert time.monotonic() - began < 10
    administrator.deny(requests[1]["requestId"], requests[1]["code"])
    administrator.deny(requests[2]["requestId"], requests[2]["code"])
    assert "at its limit" not in administrator.get("/nodes").text


def test_a_request_that_expires_soon_makes_the_wait_shorter(narrow: Deployment):
    narrow.rows("UPDATE pairing_requests SET expires_at = clock_timestamp() + interval '2 seconds' WHERE state = 'pending'")
    device = narrow.device(credential=TokenCredential())
    while True:
        try:
            device.ask()
        except Refused as refusal:
            assert refusal.reason == "requests_of_address" and refusal.retry_after_ms <= 2000
            break
        device = narrow.device(credential=TokenCredential())


def test_a_gateway_that_died_is_named_on_the_page(deploy):
    nodes = deploy(gateways=2, kernels=1, settings={"gateway": {"authority_lease": "2s"}})
    administrator = nodes.administrator()
    device = nodes.device()
    device.pair(administrator, gateway=0)
    assert "A gateway is gone" not in administrator.get("/nodes").text
    gateway = next(process for process in nodes.processes if process.name == "gateway-0")
    nodes.kill(gateway)
    page = eventually(
        lambda: (text := administrator.get("/nodes").text) and "A gateway is gone." in text and text, "the page says so"
    )
    assert "gateway-0" in page.split("A gateway is gone.")[1][:400]
    nodes.restart(gateway)
    device.reconnect()
    eventually(lambda: "A gateway is gone" not in administrator.get("/nodes").text, "the page says so no more")
