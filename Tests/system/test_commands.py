"""Agents have devices carry out commands: a scripted chat completions server asks for them by tool calls."""

import json
import threading

import pytest

from support.agents import Agent, document
from support.deployment import deployed, eventually
from support.device import Refused
from support.openclaw import Operator
from test_administrators_socket import make_token, signed_in

LIGHT = {
    "name": "light.set",
    "description": "Switches the light.",
    "parameters": {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]},
    "timeoutS": 2,
}
READINGS = [{"name": "lux", "unit": "lx", "type": "number", "periodMs": 60000}]


class Model:
    """Asks for the light with each first request, and says what came of it with each second one."""

    def __init__(self) -> None:
        self.bodies: list[dict] = []
        self.may_call = threading.Event()
        self.may_call.set()

    def __call__(self, handler) -> None:
        body = json.loads(handler.request_body)
        self.bodies.append(body)
        last = body["messages"][-1]
        if "tools" not in body:
            message = {"role": "assistant", "content": "There is nothing that I can do."}
        elif last["role"] == "tool":
            message = {"role": "assistant", "content": "The device said: " + last["content"]}
        else:
            self.may_call.wait(60)
            function = {"name": "light_set", "arguments": '{"on": true}'}
            message = {
                "role": "assistant", "content": None,
                "tool_calls": [{"id": "c1", "type": "function", "function": function}],
            }  # fmt: skip
        document({"choices": [{"index": 0, "message": message}]})(handler)


@pytest.fixture(scope="module")
def house():
    """Two gateways whose devices are answered by the model."""
    model = Model()
    with Agent(model) as agent:
        settings = {
            "agents": {"support": {"type": "openai", "url": agent.url, "model": "m"}},
            "channels": {"default_agents": {"web": "support", "iot": "support", "openclaw": "support"}},
        }
        with deployed(gateways=2, kernels=1, settings=settings) as nodes:
            nodes.model = model
            yield nodes
            nodes.close_opened()


def paired(house, channel: str = "web", seconds: int = 2):
    device = house.device(channel)
    metadata = {"commands": [{**LIGHT, "timeoutS": seconds}], **({"readings": READINGS} if channel == "iot" else {})}
    device.pair(house.administrator(), 0, metadata=metadata)
    return device


def ask(device, channel: str = "web", identifier: str = "m1") -> None:
    message = {"readings": {"lux": 3}} if channel == "iot" else {"text": "It is dark."}
    device.socket.request("message.send", {"messageId": identifier, "message": message})


def acknowledge(device, command: dict, **answer) -> None:
    message = {"type": "ack", "command": command["command"], "callId": command["callId"], **answer}
    device.socket.request("message.send", {"messageId": "a-" + command["callId"], "message": message})


def said(device) -> dict:
    """What the model was told of the command, from its answer."""
    while True:
        message = device.socket.event("message")["message"]
        if message["type"] == "text":
            return json.loads(message["text"].removeprefix("The device said: "))


def audited(house, device) -> list[tuple]:
    return house.rows(
        "SELECT event, details->>'command', details->>'agent', details->>'outcome' FROM events"
        " WHERE sender_id = %s AND event LIKE 'command.%%' ORDER BY position",
        device.sender_id,
    )


def audit(outcome: str) -> list[tuple]:
    return [("command.called", "light.set", "support", None), ("command.ended", "light.set", "support", outcome)]


@pytest.mark.parametrize("channel", ["web", "iot"])
def test_a_device_carries_out_what_the_model_asks_for_and_its_result_is_in_the_answer(house, channel):
    device = paired(house, channel)
    ask(device, channel)
    command = device.socket.event("command" if channel == "iot" else "message")["message"]
    assert command == {
        "type": "command", "command": "light.set", "callId": command["callId"], "parameters": {"on": True},
        "timeoutMs": command["timeoutMs"],
    }  # fmt: skip
    offered = house.model.bodies[-1]["tools"][0]["function"]
    assert offered["description"] == "Switches the light." and offered["parameters"] == LIGHT["parameters"]
    requests = len(house.model.bodies)
    acknowledge(device, command, ok=True, result={"brightness": 80}, detail="it was off")
    assert said(device) == {"ok": True, "answer": {"result": {"brightness": 80}, "detail": "it was off"}}
    assert audited(house, device) == audit("done")
    # The acknowledgement is not a message of its own to the model.
    assert len(house.model.bodies) == requests + 1


def test_the_answer_may_come_by_another_gateway_than_the_one_that_waits(house):
    device = paired(house)
    ask(device)
    first = device.socket.event("message")["message"]
    device.reconnect(1)
    # Not acknowledged, so it comes again, with the same callId.
    again = device.socket.event("message")["message"]
    assert again == first
    acknowledge(device, again, ok=True)
    assert said(device) == {"ok": True, "answer": {}}


def test_a_refusal_is_told_to_the_model(house):
    device = paired(house)
    ask(device)
    acknowledge(device, device.socket.event("message")["message"], ok=False, detail="The fuse is out.")
    told = said(device)
    assert told["ok"] is False and told["answer"] == {"detail": "The fuse is out."}
    assert audited(house, device) == audit("refused")


def test_another_device_cannot_answer_for_it(house):
    device, other = paired(house), paired(house)
    ask(device)
    command = device.socket.event("message")["message"]
    house.model.may_call.clear()
    try:
        acknowledge(other, command, ok=True, result="a lie")
    finally:
        house.model.may_call.set()
    acknowledge(device, command, ok=True, result="the truth")
    assert said(device)["answer"] == {"result": "the truth"}


def test_a_device_that_never_answers_is_waited_for_as_long_as_it_says(house):
    device = paired(house)
    ask(device)
    command = device.socket.event("message")["message"]
    assert "did not answer within 2 seconds" in said(device)["error"]
    assert audited(house, device) == audit("unanswered")
    # What comes later changes nothing, and is no message to the model.
    requests = len(house.model.bodies)
    acknowledge(device, command, ok=True)
    assert audited(house, device) == audit("unanswered")
    assert len(house.model.bodies) == requests


def test_a_device_that_is_away_gets_no_command_later(house):
    device = paired(house)
    house.model.may_call.clear()
    try:
        ask(device)
        device.close()
        eventually(
            lambda: house.rows(
                "SELECT instance_id FROM device_sessions WHERE sender_key = %s", device.sender_id.lower()
            ) == [(None,)],
            "the session is over",
        )  # fmt: skip
    finally:
        house.model.may_call.set()
    eventually(lambda: len(audited(house, device)) == 2, "the call has ended")
    assert audited(house, device) == audit("away")
    device.reconnect()
    # The first that it gets is the answer: there was no command.
    first = device.socket.event("message")["message"]
    assert first["type"] == "text" and "not connected" in first["text"]


def submit_without(admin, page, command: str) -> None:
    form = next(form for form in page.forms if "commands" in form.fields)
    del form.fields["command." + command]
    assert admin.submit(form).status == 303


def test_a_command_that_is_switched_off_is_neither_offered_nor_pushed_from_the_next_call_on(house):
    device, admin = paired(house), house.administrator()
    page = admin.get(f"/nodes/devices/{device.sender_id}")
    submit_without(admin, page, "light.set")
    assert "Switched off" in admin.get(f"/nodes/devices/{device.sender_id}").text
    ask(device)
    assert device.socket.event("message")["message"]["text"] == "There is nothing that I can do."
    assert audited(house, device) == []
    program = signed_in(house, make_token(house, "send"), gateway=1)
    push = {"senderId": device.sender_id, "pushId": "p1", "message": {"type": "command", "command": "light.set"}}
    with pytest.raises(Refused) as refusal:
        program.request("message.push", push)
    assert refusal.value.reason == "command_switched_off"
    on = house.nodesctl("devices", "set-commands", device.sender_id, "--on", "light.set", "--json")
    assert json.loads(on.stdout)["commands"] == ["light.set"]
    assert program.request("message.push", push)["status"] == "accepted"
    wrong = house.nodesctl("devices", "set-commands", device.sender_id, "--off", "none", check=False)
    assert wrong.returncode != 0 and "light.set" in wrong.stderr
    assert house.rows(
        "SELECT details->'commandsOff' FROM events WHERE event = 'device.changed' AND sender_id = %s ORDER BY position",
        device.sender_id,
    ) == [(["light.set"],), ([],)]  # fmt: skip


def test_who_approves_sees_the_commands_and_switches_them(house):
    device, admin = house.device("web"), house.administrator()
    bad = {"name": "late", "timeoutS": 900}
    request = device.ask(metadata={"commands": [LIGHT, {"name": "blink"}, bad]})
    page = admin.get(f"/nodes/requests/{request['requestId']}/approve")
    assert "Switches the light." in page.text and "Its timeoutS is not a whole number" in page.text
    submit_without(admin, page, "blink")
    shown = json.loads(house.nodesctl("devices", "show", device.sender_id, "--json").stdout)[0]
    assert (shown["commands"], shown["commandsOff"]) == (["light.set"], ["blink"])
    [(details,)] = house.rows(
        "SELECT details FROM events WHERE event = 'pairing.approved' AND sender_id = %s", device.sender_id
    )
    assert details["commandsOff"] == ["blink"]


def test_a_revocation_ends_the_wait_for_a_device(house):
    device, administrator = paired(house, seconds=40), house.administrator()
    ask(device)
    command = device.socket.event("message")["message"]
    administrator.revoke(device.sender_id)
    assert device.socket.wait_closed()[0] == 4001
    eventually(lambda: len(audited(house, device)) == 2, "the call has ended", timeout=10)
    assert audited(house, device) == audit("abandoned"), command


def test_a_node_of_openclaws_carries_out_what_the_model_asks_for(house):
    node = Operator(house, path="/gateway", role="node")
    node.scopes = []
    # Its nodes declare names, and nothing more.
    node.extra = {"caps": ["home"], "commands": ["light.set"]}
    details = node.connect(node.dial())["error"]["details"]
    house.administrator().approve(details["requestId"], details["pairingCode"])
    node.enter(0)
    asked = {"event": "agent.request", "payloadJSON": json.dumps({"message": "It is dark.", "sessionKey": "home"})}
    assert node.request("node.event", asked)["payload"] == {"ok": True}
    invoked = node.event("node.invoke.request")
    assert (invoked["command"], invoked["nodeId"]) == ("light.set", node.device_id)
    assert json.loads(invoked["paramsJSON"]) == {"on": True}
    done = {"id": invoked["id"], "nodeId": node.device_id, "ok": True, "payloadJSON": '{"brightness":80}'}
    assert node.request("node.invoke.result", done)["payload"] == {"ok": True}
    answer = node.event("chat", lambda payload: payload["state"] == "final")
    assert answer["sessionKey"] == "home"
    told = json.loads(answer["message"]["content"][0]["text"].removeprefix("The device said: "))
    assert told == {"ok": True, "answer": {"result": {"brightness": 80}}}
    node.socket.close()
