"""Messages over two gateways: what is acknowledged is answered, in order, whoever dies; pushes find their device (I4)."""

import json

import pytest
from support.deployment import Deployment, deployed, eventually
from support.device import Refused
from test_administrators_socket import make_token, signed_in
from websockets.exceptions import ConnectionClosed


def test_a_push_finds_its_device_on_the_other_gateway_once_however_often_it_is_sent(nodes: Deployment, administrator):
    device = nodes.device()
    device.pair(administrator, gateway=0)
    program = signed_in(nodes, make_token(nodes, "send"), gateway=1)
    push = {"senderId": device.sender_id, "pushId": "news-1", "message": {"text": "hello"}, "agent": "news"}
    first = program.request("message.push", push)
    assert (first["status"], first["messageSeq"]) == ("accepted", 1)
    event = device.socket.event("message")
    assert (event["messageSeq"], event["agent"], event["message"]) == (1, "news", {"text": "hello"})
    assert "inReplyTo" not in event
    assert program.request("message.push", {**push, "message": "another"})["messageSeq"] == 1
    device.socket.request("message.ack", {"messageSeq": 1})
    status = {"senderId": device.sender_id, "pushId": "news-1"}
    assert program.request("message.status", status)["status"] == "delivered"
    made = nodes.nodesctl("messages", "push", device.sender_id, '"from the shell"', "--id", "cli-1", "--json")
    assert json.loads(made.stdout)["messageSeq"] == 2
    assert device.socket.event("message")["message"] == "from the shell"
    shown = nodes.nodesctl("messages", "status", device.sender_id, "--id", "cli-1", "--json")
    assert json.loads(shown.stdout)["status"] == "accepted"
    with pytest.raises(Refused) as refusal:
        program.request("device.pair.list")
    assert (refusal.value.code, refusal.value.reason) == ("FORBIDDEN", "scope")
    listed = json.loads(nodes.nodesctl("devices", "list", "--filter", device.sender_id, "--json").stdout)
    assert listed[0]["connected"] and listed[0]["instance"]


def test_a_push_waits_for_a_device_that_is_away_for_as_long_as_it_is_wanted(nodes: Deployment, administrator):
    device = nodes.device()
    device.pair(administrator)
    device.close()
    program = signed_in(nodes, make_token(nodes, "send"))

    def push(name: str, **more) -> dict:
        return program.request(
            "message.push", {"senderId": device.sender_id, "pushId": name, "message": name, **more}
        )

    push("short", expiresInMs=1000)
    push("long", expiresInMs=3_600_000)

    def status(name: str) -> dict:
        return program.request("message.status", {"senderId": device.sender_id, "pushId": name})

    eventually(lambda: status("short")["status"] == "expired", "the end of what is wanted no more")
    assert status("long")["status"] == "accepted"
    device.reconnect()
    event = device.socket.event("message")
    assert (event["messageSeq"], event["message"]) == (2, "long")


def test_a_device_asks_what_became_of_its_messages(nodes: Deployment, administrator):
    device = nodes.device()
    device.pair(administrator)
    device.socket.request("message.send", {"messageId": "m-1", "message": "hello"})
    event = device.socket.event("message")
    assert event["inReplyTo"] == "m-1"
    assert device.socket.request("message.status", {"messageId": "m-1"})["status"] == "answered"
    device.socket.request("message.ack", {"messageSeq": event["messageSeq"]})
    report = device.socket.request("message.status", {"messageId": "m-1"})
    assert report == {"messageId": "m-1", "messageSeq": 1, "status": "delivered"}
    # Too late: it has been answered.
    assert device.socket.request("message.abort", {"messageId": "m-1"})["status"] == "delivered"
    with pytest.raises(Refused) as refusal:
        device.socket.request("message.status", {"messageId": "none"})
    assert (refusal.value.code, refusal.value.reason) == ("NOT_FOUND", "unknown_message")
    with pytest.raises(Refused) as refusal:
        device.socket.request("message.push", {"senderId": device.sender_id, "pushId": "p", "message": 1})
    assert refusal.value.reason == "not_an_administrator"


def test_what_a_killed_gateway_had_accepted_is_answered_by_the_other_in_order():
    with deployed(gateways=2, kernels=1) as nodes:
        device = nodes.device()
        device.pair(nodes.administrator(), gateway=0)
        accepted = []
        # Acknowledged, and killed at once: what was not answered waits for the other gateway.
        identifiers = [
            device.socket.send("message.send", {"messageId": f"m-{number}", "message": number})
            for number in range(1, 41)
        ]
        for number, identifier in enumerate(identifiers, start=1):
            device.socket.answer(identifier)
            accepted.append(number)
            if number == 30:
                nodes.kill(nodes.gateways[0])
                break
        try:
            for number, identifier in enumerate(identifiers[30:], start=31):
                device.socket.answer(identifier, timeout=5)
                accepted.append(number)
        except (ConnectionClosed, Refused, TimeoutError):
            pass
        assert len(accepted) >= 30
        device.reconnect(gateway=1)
        for number in range(1, 42):
            device.socket.request("message.send", {"messageId": f"m-{number}", "message": number})
        answers = [device.socket.event("message") for _ in range(41)]
        assert [answer["message"] for answer in answers] == list(range(1, 42))
        assert [answer["inReplyTo"] for answer in answers] == [f"m-{number}" for number in range(1, 42)]
        assert [answer["messageSeq"] for answer in answers] == list(range(1, 42))
