"""`/mcp`: agents outside use paired devices as tools, through nginx and two gateways, with the protocol's own client."""

import http.client
import json
import threading

import httpx2
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from support.deployment import Deployment, eventually
from support.openclaw import run
from test_administrators_socket import make_token

LIGHT = {
    "name": "light.set", "description": "Switches the light.", "timeoutS": 2,
    "parameters": {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]},
}  # fmt: skip
READINGS = [{"name": "lux", "unit": "lx", "type": "number", "periodMs": 60000}]


def call(nodes: Deployment, token: dict, tool: str, **arguments):
    """One call by a client of its own."""

    async def once():
        headers = {"Authorization": f"Bearer {token['secret']}"}
        async with httpx2.AsyncClient(headers=headers, timeout=90) as client:
            transport = streamable_http_client(f"{nodes.origin}/mcp", http_client=client)
            async with Client(transport) as session:
                if not tool:
                    return [tool.name for tool in (await session.list_tools()).tools]
                return await session.call_tool(tool, arguments)

    return run(once())


def begun(nodes: Deployment, token: dict, tool: str, **arguments):
    """The same in a thread of its own; calling what is returned waits for the result."""
    results: list = []
    thread = threading.Thread(target=lambda: results.append(call(nodes, token, tool, **arguments)))
    thread.start()

    def finish():
        thread.join(60)
        return results[0]

    return finish


def post(nodes: Deployment, body, method: str = "POST", **headers: str):
    connection = http.client.HTTPConnection(nodes.origin.removeprefix("http://"), timeout=30)
    try:
        sent = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **headers}
        connection.request(method, "/mcp", json.dumps(body) if body is not None else None, sent)
        answer = connection.getresponse()
        text = answer.read().decode()
        return answer.status, json.loads(text) if text.startswith(("{", "[")) else text
    finally:
        connection.close()


@pytest.fixture
def token(nodes: Deployment) -> dict:
    return make_token(nodes, "send")


def paired(nodes: Deployment, administrator, channel: str = "web", gateway: int = 0):
    device = nodes.device(channel)
    metadata = {"commands": [LIGHT], **({"readings": READINGS} if channel == "iot" else {})}
    device.pair(administrator, gateway, metadata=metadata, displayName="Lamp in the hall")
    return device


def acknowledge(device, command: dict, **answer) -> None:
    message = {"type": "ack", "command": command["command"], "callId": command["callId"], **answer}
    device.socket.request("message.send", {"messageId": "a-" + command["callId"], "message": message})


def events(nodes: Deployment, token: dict) -> list[tuple]:
    return nodes.rows(
        "SELECT event, sender_id, coalesce(details->>'tool', details->>'outcome') FROM events"
        " WHERE actor LIKE %s ORDER BY position", f"%{token['name']}%",
    )  # fmt: skip


def test_a_program_lists_devices_and_sends_one_a_message_once(nodes: Deployment, administrator, token: dict):
    device = paired(nodes, administrator)
    assert call(nodes, token, "") == ["list_devices", "send_message", "run_command", "read_readings"]
    listed = call(nodes, token, "list_devices", filter=device.sender_id)
    [found] = listed.structured_content["devices"]
    assert json.loads(listed.content[0].text) == listed.structured_content
    assert (found["senderId"], found["name"], found["connected"]) == (device.sender_id, "Lamp in the hall", True)
    assert found["commands"] == [LIGHT]
    for _ in range(2):
        sent = call(nodes, token, "send_message", senderId=device.sender_id, text="Hello", id="once")
        assert (sent.structured_content["status"], sent.structured_content["messageSeq"]) == ("accepted", 1)
    assert device.socket.event("message")["message"] == {"type": "text", "text": "Hello"}
    trail = events(nodes, token)
    assert trail[-3:] == [("tool.called", None, "list_devices")] + [("tool.called", device.sender_id, "send_message")] * 2


@pytest.mark.parametrize("gateway", [0, 1])
def test_a_command_is_carried_out_wherever_the_device_is_connected(nodes, administrator, token, gateway: int):
    device = paired(nodes, administrator, gateway=gateway)
    wanted = {"senderId": device.sender_id, "command": "light.set", "parameters": {"on": True}, "id": "c1"}
    finish = begun(nodes, token, "run_command", **wanted)
    command = device.socket.event("message")["message"]
    assert (command["command"], command["parameters"], command["timeoutMs"]) == ("light.set", {"on": True}, 2000)
    acknowledge(device, command, ok=True, result={"brightness": 80})
    done = finish()
    assert not done.is_error and done.structured_content == {
        "callId": command["callId"], "outcome": "done", "result": {"brightness": 80},
    }  # fmt: skip
    # The same again is the same call, and reaches nobody.
    assert call(nodes, token, "run_command", **wanted).structured_content == done.structured_content
    finish = begun(nodes, token, "run_command", **{**wanted, "id": "c2"})
    acknowledge(device, device.socket.event("message")["message"], ok=False, detail="The fuse is out.")
    refused = finish()
    assert refused.is_error and refused.structured_content["outcome"] == "refused"
    assert refused.structured_content["detail"] == "The fuse is out."


def test_a_command_that_nobody_carries_out_says_why(nodes: Deployment, administrator, token: dict):
    device = paired(nodes, administrator)
    wanted = {"senderId": device.sender_id, "command": "light.set", "parameters": {"on": True}}
    silent = call(nodes, token, "run_command", timeoutS=1, **wanted)
    assert silent.is_error and silent.structured_content["outcome"] == "unanswered"
    unknown = call(nodes, token, "run_command", **{**wanted, "command": "explode"})
    assert unknown.is_error and unknown.structured_content["reason"] == "unknown_command"
    nodes.nodesctl("devices", "set-commands", device.sender_id, "--off", "light.set")
    off = call(nodes, token, "run_command", **wanted)
    assert off.is_error and off.structured_content["outcome"] == "switched_off"
    [found] = call(nodes, token, "list_devices", filter=device.sender_id).structured_content["devices"]
    assert found["commands"] == []
    nodes.nodesctl("devices", "set-commands", device.sender_id, "--on", "light.set")
    device.close()
    eventually(
        lambda: nodes.rows("SELECT instance_id FROM device_sessions WHERE sender_key = %s", device.sender_id.lower())
        == [(None,)], "the session is over",
    )  # fmt: skip
    away = call(nodes, token, "run_command", **wanted)
    assert away.is_error and away.structured_content["outcome"] == "away"
    wrong = call(nodes, token, "run_command", senderId=device.sender_id)
    assert wrong.is_error and wrong.structured_content["details"] == {"parameter": "command"}
    nobody = call(nodes, token, "send_message", senderId="nobody-here", text="x")
    assert nobody.is_error and nobody.structured_content["reason"] == "unknown_device"


def test_readings_are_read_and_what_people_say_is_not(nodes: Deployment, administrator, token: dict):
    sensor = paired(nodes, administrator, "iot")
    for number in (3, 4):
        reading = {"readings": {"lux": number}, "at": 1764000000000 + number}
        sensor.socket.request("message.send", {"messageId": f"r{number}", "message": reading})
    read = call(nodes, token, "read_readings", senderId=sensor.sender_id).structured_content
    assert [(r["values"], r["at"]) for r in read["readings"]] == [
        ({"lux": 4}, 1764000000004), ({"lux": 3}, 1764000000003),
    ]  # fmt: skip
    assert read["declared"][0]["unit"] == "lx"
    hidden = call(nodes, token, "read_messages", senderId=sensor.sender_id)
    assert hidden.is_error and hidden.structured_content["reason"] == "text_hidden"


def test_who_has_no_right_token_or_speaks_something_else_is_refused(nodes: Deployment, token: dict):
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    bearer = {"Authorization": f"Bearer {token['secret']}"}
    reader = make_token(nodes, "read")
    assert post(nodes, ping)[0] == 401
    assert post(nodes, ping, Authorization="Bearer gcn_x")[1]["error"]["data"]["reason"] == "invalid_token"
    status, answer = post(nodes, ping, Authorization=f"Bearer {reader['secret']}")
    assert (status, answer["error"]["data"]["reason"]) == (403, "scope")
    assert events(nodes, reader)[-1][0] == "admin.refused"
    assert post(nodes, None, "GET", **bearer)[0] == 405
    assert post(nodes, None, "DELETE", **bearer)[0] == 405
    assert post(nodes, ping, Origin="https://evil.example", **bearer)[0] == 403
    assert post(nodes, ping, **{**bearer, "Content-Type": "text/plain"})[0] == 415
    version = {"MCP-Protocol-Version": "1999-01-01"}
    status, answer = post(nodes, ping, **bearer, **version)
    assert status == 400 and "2025-11-25" in answer["error"]["data"]["supported"]
    assert post(nodes, ping, **bearer) == (200, {"jsonrpc": "2.0", "id": 1, "result": {}})
    notice = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert post(nodes, notice, **bearer)[0] == 202
    assert post(nodes, [ping, notice], **bearer)[1] == [{"jsonrpc": "2.0", "id": 1, "result": {}}]
    newer = {"MCP-Protocol-Version": "2025-06-18"}
    assert post(nodes, [ping], **bearer, **newer)[1]["error"]["code"] == -32600
    assert post(nodes, {**ping, "method": "no/such"}, **bearer)[1]["error"]["code"] == -32601
    tool = {**ping, "method": "tools/call", "params": {"name": "none"}}
    assert post(nodes, tool, **bearer)[1]["error"]["code"] == -32602


@pytest.mark.parametrize("named", [{}, {"id": "c1"}], ids=["one of its own", "one that may be repeated"])
def test_a_token_that_is_revoked_ends_its_call_within_seconds(nodes: Deployment, administrator, named: dict):
    device, token = paired(nodes, administrator), make_token(nodes, "send")
    results = []
    wanted = {"senderId": device.sender_id, "command": "light.set", "timeoutS": 50, **named}
    params = {"name": "run_command", "arguments": wanted}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    thread = threading.Thread(
        target=lambda: results.append(post(nodes, body, Authorization=f"Bearer {token['secret']}"))
    )
    thread.start()
    command = device.socket.event("message")["message"]
    nodes.nodesctl("token", "revoke", str(token["id"]))
    thread.join(10)
    assert results[0][0] == 401
    if not named:
        eventually(lambda: events(nodes, token)[-1] == ("command.ended", device.sender_id, "abandoned"), "given up")
    else:
        # Who asks again wants to know what came of it.
        acknowledge(device, command, ok=True)
        ended = "SELECT details->>'outcome' FROM events WHERE event = 'command.ended' AND sender_id = %s"
        assert nodes.rows(ended, device.sender_id) == [("done",)]
