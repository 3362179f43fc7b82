"""A revocation cuts a device off on every instance at once (I3)."""

import threading
import time

import pytest
from support.deployment import Deployment, eventually
from support.device import Refused, TokenCredential
from websockets.exceptions import ConnectionClosed


def refused(action, *args, **kwargs) -> Refused:
    with pytest.raises(Refused) as caught:
        action(*args, **kwargs)
    return caught.value


@pytest.mark.parametrize("gateway", [0, 1])
def test_a_connected_device_is_closed_with_4001_and_then_told_that_it_was_revoked(
    nodes: Deployment, administrator, gateway: int
):
    device = nodes.device()
    device.pair(administrator, gateway=gateway)
    started = time.monotonic()
    page = administrator.revoke(device.sender_id)
    assert device.sender_id in page.text
    assert device.socket.wait_closed()[0] == 4001
    assert time.monotonic() - started < 30
    device.dial()
    refusal = refused(device.connect)
    assert (refusal.code, refusal.reason) == ("NOT_PAIRED", "revoked")
    assert device.status()["status"] == "revoked"
    again = device.ask()
    assert again["status"] == "pending", "a key may be used again after a revocation"


def test_a_revoked_token_may_not_be_used_again(nodes: Deployment, administrator):
    device = nodes.device(credential=TokenCredential())
    device.pair(administrator)
    administrator.revoke(device.sender_id)
    device.dial()
    assert refused(device.connect).reason == "revoked"
    refusal = refused(device.ask)
    assert (refusal.code, refusal.reason) == ("INVALID_REQUEST", "token_revoked")


def test_a_device_that_is_offline_when_it_is_revoked_is_told_when_it_comes_back(
    nodes: Deployment, administrator
):
    device = nodes.device()
    device.pair(administrator)
    device.close()
    administrator.revoke(device.sender_id)
    device.dial()
    assert refused(device.connect).reason == "revoked"
    assert refused(device.socket.request, "message.send", {"messageId": "m", "message": 1}).code in (
        "NOT_PAIRED",
        "UNAUTHORIZED",
    )


def test_a_revocation_that_races_connects_always_wins(nodes: Deployment, administrator):
    """Three hundred times: connect and revoke at the same moment. However it falls, nothing lives on."""
    devices = [nodes.device(credential=TokenCredential()) for _ in range(60)]
    for device in devices:
        device.pair(administrator)
        device.close()
    survivors, reasons = [], set()
    for turn in range(5):
        barrier = threading.Barrier(len(devices) + 1)

        def come_back(device, index):
            device.dial(index % 2)
            barrier.wait()
            try:
                device.connect()
                code = device.socket.wait_closed()[0]
                reasons.add(code)
                if code != 4001:
                    survivors.append((device.sender_id, code))
            except Refused as refusal:
                reasons.add(refusal.reason)
                if refusal.reason != "revoked":
                    survivors.append((device.sender_id, refusal.reason))
            except ConnectionClosed as closed:
                # The revocation overtook the answer to `connect`.
                reasons.add(closed.rcvd and closed.rcvd.code)
                if closed.rcvd is None or closed.rcvd.code != 4001:
                    survivors.append((device.sender_id, repr(closed)))
            except TimeoutError as error:
                survivors.append((device.sender_id, repr(error)))

        threads = [threading.Thread(target=come_back, args=(d, i)) for i, d in enumerate(devices)]
        for thread in threads:
            thread.start()
        token = administrator.csrf_token
        barrier.wait()
        # One statement each, at the moment the connects run.
        for device in devices:
            administrator.post(
                f"/nodes/devices/{device.sender_id}/revoke",
                {"csrf_token": token, "generation": str(2 * turn + 1)},
            )
        for thread in threads:
            thread.join()
        assert not survivors
        if turn < 4:
            for device in devices:
                device.credential = TokenCredential()
                device.pair(administrator)
                device.close()
    assert reasons <= {4001, "revoked"}


def test_a_revocation_arrives_although_the_gateway_lost_its_listen_connection(
    nodes: Deployment, administrator
):
    device = nodes.device()
    device.pair(administrator, gateway=1)
    # For a while no gateway can listen: its backend is ended as often as it comes back.
    stop, were_cut = threading.Event(), threading.Event()
    database = nodes.db()

    def cut():
        with database.cursor() as cursor:
            while not stop.wait(0.05):
                # One that has nothing to hear asks every three seconds whether it is connected and may hear something.
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE (query ILIKE 'listen%' OR query LIKE '%AS read_only') AND pid <> pg_backend_pid()"
                )
                if cursor.rowcount:
                    were_cut.set()

    cutter = threading.Thread(target=cut)
    cutter.start()
    try:
        assert were_cut.wait(60), "no gateway listened"
        administrator.revoke(device.sender_id)
        assert device.socket.wait_closed()[0] == 4001
    finally:
        stop.set()
        cutter.join()


def test_a_revoke_page_from_before_a_new_pairing_is_answered_409_and_harms_nothing(
    nodes: Deployment, administrator
):
    device = nodes.device()
    device.pair(administrator)
    path = f"/nodes/devices/{device.sender_id}/revoke"
    stale = administrator.get(path).form("/revoke")
    administrator.revoke(device.sender_id)
    device.socket.wait_closed()
    device.pair(administrator)
    page = administrator.submit(stale)
    assert page.status == 409
    device.socket.request("message.send", {"messageId": "m", "message": 1})
    assert device.socket.event("message")["message"] == 1


def test_other_programs_hear_of_a_revocation_and_find_it_in_the_feed(nodes: Deployment, administrator):
    device = nodes.device()
    device.pair(administrator)
    position = nodes.rows("SELECT position FROM event_counter")[0][0]
    listener = nodes.db()
    with listener.cursor() as cursor:
        cursor.execute("LISTEN nodes_events")
    administrator.revoke(device.sender_id)

    def heard():
        listener.poll()
        return [n.payload for n in listener.notifies if '"pairing.revoked"' in n.payload]

    payload = eventually(heard, "pairing.revoked was notified")[0]
    assert device.sender_id in payload
    events = nodes.rows(
        "SELECT event, sender_id, channel, actor_kind, actor FROM events WHERE position > %s ORDER BY position",
        position,
    )
    assert ("pairing.revoked", device.sender_id, "web", "administrator", "admin") in events
