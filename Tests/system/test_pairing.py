"""The life of a pairing request, through nginx, with two gateways and two kernels."""

import secrets
import time

import pytest
from support.deployment import Deployment, eventually
from support.device import Device, KeyCredential, Refused, TokenCredential

CREDENTIALS = {"key": KeyCredential, "token": TokenCredential}


@pytest.fixture(params=CREDENTIALS)
def credential(request):
    return CREDENTIALS[request.param]()


def refused(action, *args, **kwargs) -> Refused:
    with pytest.raises(Refused) as caught:
        action(*args, **kwargs)
    return caught.value


def test_an_approved_device_is_authenticated_on_its_waiting_socket_and_on_every_gateway(
    nodes: Deployment, administrator, credential
):
    device = nodes.device(credential=credential)
    device.dial(0)
    request = device.ask(displayName="Reception")
    assert request["status"] == "pending"
    assert request["channel"] == "web" and request["senderId"] == device.sender_id
    assert 3_480_000 < request["expiresInMs"] <= 3_600_000
    page = administrator.get("/nodes")
    assert device.sender_id in page.text and request["code"] in page.text

    administrator.approve(request["requestId"], request["code"])
    resolved = device.socket.event("device.pair.resolved")
    assert resolved["decision"] == "approved" and resolved["requestId"] == request["requestId"]
    assert resolved["status"] == "paired" and resolved["role"] == "device"

    answer = device.socket.request("message.send", {"messageId": "m1", "message": {"text": "hello"}})
    assert answer == {"messageId": "m1", "messageSeq": 1, "status": "accepted"}
    message = device.socket.event("message")
    assert message == {"messageSeq": 1, "inReplyTo": "m1", "agent": "echo", "message": {"text": "hello"}}
    device.socket.request("message.ack", {"messageSeq": 1})

    first = resolved["instanceId"]
    again = device.reconnect(gateway=1)
    assert again["status"] == "paired" and again["instanceId"] != first
    device.socket.request("message.send", {"messageId": "m2", "message": "again"})
    again = {"messageSeq": 2, "inReplyTo": "m2", "agent": "echo", "message": "again"}
    assert device.socket.event("message") == again


def test_an_unacknowledged_message_is_delivered_again_and_a_repeat_is_answered_once(
    nodes: Deployment, administrator
):
    device = nodes.device()
    device.pair(administrator, gateway=0)
    for _ in range(2):
        receipt = device.socket.request("message.send", {"messageId": "once", "message": 1})
        assert receipt["messageSeq"] == 1
    assert device.socket.event("message")["messageSeq"] == 1
    device.reconnect(gateway=1)
    again = {"messageSeq": 1, "inReplyTo": "once", "agent": "echo", "message": 1}
    assert device.socket.event("message") == again
    device.socket.request("message.ack", {"messageSeq": 1})
    device.reconnect(gateway=0)
    receipt = device.socket.request("message.send", {"messageId": "twice", "message": 2})
    assert receipt["messageSeq"] == 2
    assert device.socket.event("message")["messageSeq"] == 2, "an acknowledged message came again"


def test_a_denied_device_is_told_closed_with_4003_and_made_to_wait(
    nodes: Deployment, administrator, credential
):
    device = nodes.device(credential=credential)
    request = device.ask()
    administrator.deny(request["requestId"], request["code"])
    assert device.socket.event("device.pair.resolved")["decision"] == "denied"
    assert device.socket.wait_closed()[0] == 4003
    assert device.sender_id not in administrator.get("/nodes").text

    device.dial()
    assert device.status()["status"] == "denied"
    refusal = refused(device.connect)
    assert (refusal.code, refusal.reason) == ("NOT_PAIRED", "denied")
    refusal = refused(device.ask)
    assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "denied_recently")
    assert 0 < refusal.retry_after_ms <= 600_000
    # Another credential from the same address waits as well.
    refusal = refused(nodes.device(sender_id=device.sender_id).ask)
    assert refusal.reason == "denied_recently"


def test_an_expired_request_says_so_and_leaves_the_page(deploy):
    nodes = deploy(gateways=1, kernels=1, settings={"gateway": {"pairing_code_ttl": "20s"}})
    administrator = nodes.administrator()
    device = nodes.device()
    request = device.ask()
    assert request["expiresInMs"] <= 20_000
    assert device.sender_id in administrator.get("/nodes").text
    assert device.socket.event("device.pair.resolved")["decision"] == "expired"
    assert device.sender_id not in administrator.get("/nodes").text
    device.dial()
    assert device.status()["status"] == "expired"
    assert refused(device.connect).reason == "expired"
    page = administrator.get(f"/nodes/requests/{request['requestId']}/approve")
    assert page.status == 409 or "expired" in page.text
    again = device.ask()
    assert again["requestId"] != request["requestId"] and again["code"] != request["code"]


def test_a_second_device_that_claims_a_held_sender_id_is_refused_and_shown(nodes: Deployment, administrator):
    name = f"Claimed-{secrets.token_hex(4)}"
    owner = nodes.device("web", name)
    request = owner.ask()
    rivals = [("web", name), ("mobile", name), ("web", name.upper()), ("web", name.lower())]

    def claim_all(stage: str):
        answers = set()
        for channel, sender_id in rivals:
            device = nodes.device(channel, sender_id, TokenCredential())
            device.dial(address="127.0.0.77")
            refusal = refused(device.ask)
            assert refusal.code == "ALREADY_EXISTS", (stage, channel, sender_id)
            assert refusal.retry_after_ms > 0
            answers.add((refusal.reason, refusal.error["message"]))
            # A stranger learns nothing from asking for the state either (I6).
            assert refused(device.status).reason == "unknown"
            device.close()
        return answers

    pending = claim_all("pending")
    page = administrator.get(f"/nodes/requests/{request['requestId']}/approve")
    assert "127.0.0.77" in page.text
    administrator.approve(request["requestId"], request["code"])
    assert owner.socket.event("device.pair.resolved")["decision"] == "approved"
    assert claim_all("paired") == pending and len(pending) == 1, "a stranger is told more than that it is taken"
    owner.socket.request("message.send", {"messageId": "m", "message": "unharmed"})
    assert owner.socket.event("message")["message"] == "unharmed"


def test_the_page_of_a_paired_device_shows_who_else_claimed_its_sender_id(nodes: Deployment, administrator):
    device = nodes.device()
    device.pair(administrator)
    path = f"/nodes/devices/{device.sender_id}"
    assert "Another device claimed this sender ID" not in administrator.get(path).text
    rival = nodes.device("web", device.sender_id, TokenCredential())
    rival.dial(address="127.0.0.78")
    assert refused(rival.ask).code == "ALREADY_EXISTS"
    page = administrator.get(path)
    assert "Another device claimed this sender ID" in page.text
    assert "127.0.0.78 on channel web" in page.text


def test_fifty_reconnects_and_repeats_are_one_request_whose_rendered_button_still_works(
    nodes: Deployment, administrator, credential
):
    device = nodes.device(credential=credential)
    first = device.ask(displayName="First name", metadata={"browser": "Firefox"})
    path = f"/nodes/requests/{first['requestId']}/approve"
    form = administrator.get(path).form(path)
    for turn in range(50):
        device.close()
        device.dial(gateway=turn % 2)
        if turn % 3 == 0:
            pending = device.connect()
            assert pending["status"] == "pending_pairing"
        repeat = device.ask(displayName=f"Name {turn}", metadata={"turn": turn})
        for same in ("requestId", "code", "expiresAt"):
            assert repeat[same] == first[same], (turn, same)
    rows = nodes.rows(
        "SELECT state, display_name, metadata::text FROM pairing_requests WHERE sender_id = %s", device.sender_id
    )
    assert rows == [("pending", "First name", '{"browser":"Firefox"}')]
    assert administrator.submit(form, code=first["code"]).status == 303
    assert device.socket.event("device.pair.resolved")["decision"] == "approved"


def test_of_several_waiting_sockets_the_newest_is_authenticated_and_all_are_told(
    nodes: Deployment, administrator
):
    device = nodes.device(credential=TokenCredential())
    older = device.dial(gateway=0)
    request = device.ask()
    newest = device.dial(gateway=1)
    device.ask()
    administrator.approve(request["requestId"], request["code"])
    assert newest.event("device.pair.resolved")["status"] == "paired"
    told = older.event("device.pair.resolved")
    assert told["decision"] == "approved" and "sessionId" not in told
    newest.request("message.send", {"messageId": "m", "message": 1})


def test_an_answer_lost_after_the_commit_is_found_again_by_the_repeat(nodes: Deployment, credential):
    device = nodes.device(credential=credential)
    device.dial()
    device.socket.send("device.pair.request", device._params("pair", {}))
    stored = eventually(
        lambda: nodes.rows("SELECT request_id::text, code FROM pairing_requests WHERE sender_id = %s", device.sender_id),
        "the request is stored",
    )
    device.socket.cut()
    device.dial()
    repeat = device.ask()
    assert (repeat["requestId"], repeat["code"].replace("-", "")) == stored[0]
    assert "deviceToken" not in repeat


def test_a_device_without_a_credential_gets_a_token_once_and_proves_itself_by_it(
    nodes: Deployment, administrator
):
    socket = nodes.socket()
    sender_id = f"bare-{secrets.token_hex(4)}"
    request = socket.request("device.pair.request", {"channel": "web", "senderId": sender_id})
    device = nodes.device("web", sender_id, TokenCredential(request["deviceToken"]))
    device.dial()
    assert device.status()["status"] == "pending"
    repeat = device.ask()
    assert repeat["requestId"] == request["requestId"] and "deviceToken" not in repeat
    assert refused(nodes.device("web", sender_id, TokenCredential()).ask).code == "ALREADY_EXISTS"


def test_a_paired_device_that_asks_again_is_told_to_connect(nodes: Deployment, administrator):
    device = nodes.device()
    device.pair(administrator)
    device.dial()
    assert device.ask()["status"] == "approved"
    assert device.connect()["status"] == "paired"


def test_a_device_that_comes_from_another_address_is_still_paired(nodes: Deployment, administrator):
    device = nodes.device()
    device.pair(administrator, gateway=0)
    assert device.reconnect(1, address="127.0.0.99")["status"] == "paired"
    page = administrator.get(f"/nodes/devices/{device.sender_id}")
    eventually(lambda: "127.0.0.99" in administrator.get(f"/nodes/devices/{device.sender_id}").text, page.text)


def test_a_device_may_choose_its_code_unless_another_request_had_it(nodes: Deployment):
    code = "".join(secrets.choice("ABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in range(8))
    request = nodes.device().ask(code=f"{code[:4]}-{code[4:].lower()}")
    assert request["code"] == f"{code[:4]}-{code[4:]}"
    refusal = refused(nodes.device().ask, code=code)
    assert (refusal.code, refusal.reason) == ("INVALID_REQUEST", "code_taken")


def test_a_newer_session_replaces_the_older_one_on_any_gateway_with_4002(nodes: Deployment, administrator):
    device = nodes.device()
    device.pair(administrator, gateway=0)
    for gateway in (1, 1, 0):
        older = device.socket
        started = time.monotonic()
        device.reconnect(gateway)
        assert older.wait_closed()[0] == 4002
        assert time.monotonic() - started < 30
    device.socket.request("message.send", {"messageId": "m", "message": 1})


def test_waiting_after_a_denial_can_be_lifted_by_an_administrator(nodes: Deployment, administrator):
    device = nodes.device(credential=TokenCredential())
    request = device.ask()
    administrator.deny(request["requestId"], request["code"])
    device.socket.wait_closed()
    device.dial()
    assert refused(device.ask).reason == "denied_recently"
    nodes.nodesctl("requests", "clear-cooldown", device.sender_id)
    assert device.ask()["status"] == "pending"


@pytest.mark.parametrize("change", ["purpose", "origin", "sender", "channel", "socket", "key", "past", "future", "twice"])
def test_a_proof_made_for_anything_else_opens_nothing(nodes: Deployment, administrator, change: str):
    device = nodes.device()
    device.pair(administrator)
    other = nodes.device()
    other.pair(administrator)
    socket = device.dial()
    facts = dict(
        purpose="connect", origin=socket.origin, channel="web", sender_id=device.sender_id, nonce=socket.challenge()
    )
    key = device.credential
    now = int(time.time() * 1000)
    if change == "purpose":
        facts["purpose"] = "status"
    elif change == "origin":
        facts["origin"] = "http://evil.example"
    elif change == "sender":
        facts["sender_id"] = other.sender_id
    elif change == "channel":
        facts["channel"] = "mobile"
    elif change == "socket":
        facts["nonce"] = nodes.socket().challenge()
    elif change == "key":
        key = other.credential
    elif change == "past":
        facts["signed_at"] = now - 130_000
    elif change == "future":
        facts["signed_at"] = now + 130_000
    params = {"channel": "web", "senderId": device.sender_id, "proof": key.proof(**facts)}
    method = "connect"
    if change == "twice":
        method = "device.pair.status"
        params["proof"] = key.proof(**{**facts, "purpose": "status"})
        assert socket.request(method, params)["status"] == "approved"
    refusal = refused(socket.request, method, params)
    expected = {
        "socket": "nonce_mismatch", "twice": "nonce_mismatch",
        "past": "signed_at_out_of_range", "future": "signed_at_out_of_range",
    }.get(change, "unknown")
    assert refusal.reason == expected
    if change in ("past", "future"):
        assert abs(refusal.details["differenceMs"]) > 120_000
