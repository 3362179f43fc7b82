"""OpenClaw's clients pair and talk, by the frames of its protocol."""

import json
import types

import pytest

from support.agents import Agent, says
from support.completions import Steps
from support.deployment import deployed, eventually
from support.device import KeyCredential, TokenCredential
from support.openclaw import Operator, choose_agents

PATHS = ("/", "/gateway", "/__openclaw__/gateway")


@pytest.fixture(scope="module")
def stack():
    with Agent(says("Here you are.")) as words, Agent(says("-")) as steps:
        settings = {
            "agents": {
                name: {"type": "openai", "model": "m", "attempts": 1, "url": agent.url}
                for name, agent in {"words": words, "steps": steps}.items()
            },
            "log": {"level": "trace"},
        }
        with deployed(gateways=2, kernels=1, settings=settings) as nodes:
            administrator = nodes.administrator()
            yield types.SimpleNamespace(nodes=nodes, administrator=administrator, steps=steps, words=words)


def final(operator: Operator, run: str) -> str:
    payload = operator.event("chat", lambda payload: payload["runId"] == run and payload["state"] == "final")
    return payload["message"]["content"][0]["text"]


@pytest.mark.parametrize(("path", "version", "versions"), zip(PATHS, ("v3", "v2", "v3"), ((4, 4), (3, 3), (3, 4))))
def test_a_client_is_pending_with_its_code_then_approved_and_talks(stack, path, version, versions):
    nodes, administrator = stack.nodes, stack.administrator
    operator = Operator(nodes, path=path, version=version, versions=versions, token="sek")
    answer = operator.connect(operator.dial())
    error = answer["error"]
    assert error["code"] == "NOT_PAIRED" and error["retryable"] and error["retryAfterMs"] > 0
    details = error["details"]
    code = details["pairingCode"][:4] + "-" + details["pairingCode"][4:]
    assert error["message"] == f"pairing required: device is not approved yet; code {code}"
    assert details["recommendedNextStep"] == "wait_then_retry" and details["pauseReconnect"] is False
    assert details["deviceId"] == operator.device_id
    # I11: connecting once more, as most do, changes nothing.
    again = Operator(nodes, path=path, version=version, versions=versions, token="sek")
    again.key, again.public_key, again.device_id = operator.key, operator.public_key, operator.device_id
    second = again.connect(again.dial())["error"]["details"]
    assert second["requestId"] == details["requestId"] and second["pairingCode"] == details["pairingCode"]
    page = administrator.get("/nodes").text
    assert operator.device_id in page and code in page and "which names no address" in page
    administrator.approve(details["requestId"], code)
    # The newest that waits is told, and both come again.
    assert again.event("device.pair.resolved")["decision"] == "approved"
    assert again.closed()[0] == 1008
    choose_agents(nodes, "echo", "words", "steps")
    hello = operator.enter()
    assert hello["type"] == "hello-ok" and hello["protocol"] == versions[1]
    assert hello["auth"]["scopes"] == operator.scopes and len(hello["auth"]["deviceToken"]) == 43
    assert hello["policy"]["tickIntervalMs"] == 15000
    sent = operator.request(
        "chat.send", {"sessionKey": "agent:echo:x", "message": "hi 🛰", "deliver": False, "idempotencyKey": "run-1"}
    )
    assert sent["payload"] == {"runId": "run-1", "status": "started"}
    assert final(operator, "run-1") == "hi 🛰"
    words = operator.request("agent", {"sessionKey": "agent:words:y", "message": "go", "idempotencyKey": "run-2"})
    assert words["payload"]["status"] == "accepted" and words["payload"]["runId"] == "run-2"
    done = operator.answer(f"r{next(operator.ids) - 1}")
    assert done["payload"] == {"runId": "run-2", "status": "ok", "summary": "completed"}
    streams = [frame for frame in operator.events if frame["event"] == "agent" and frame["payload"]["runId"] == "run-2"]
    assert [frame["payload"]["data"].get("phase") for frame in streams if frame["payload"]["stream"] == "lifecycle"] == [
        "start", "end",
    ]  # fmt: skip
    text = [frame["payload"]["data"] for frame in streams if frame["payload"]["stream"] == "assistant"]
    assert "".join(data["delta"] for data in text) == text[-1]["text"] == "Here you are. "
    assert final(operator, "run-2") == "Here you are. "
    waited = operator.request("agent.wait", {"runId": "run-2", "timeoutMs": 1000})["payload"]
    assert waited["status"] == "ok" and waited["endedAt"] >= waited["startedAt"]
    # Each session key is a conversation.
    for key, lines in (
        ("agent:words:y", [("user", "go"), ("assistant", "Here you are. ")]), ("agent:echo:x", [("assistant", "hi 🛰")]),
        ("main", []),
    ):  # fmt: skip
        history = operator.request("chat.history", {"sessionKey": key, "limit": 2 if "words" in key else 1})["payload"]
        assert [(line["role"], line["content"][0]["text"]) for line in history["messages"]] == lines, key
        assert history["sessionKey"] == key
    # No path takes a compression that a client offers.
    assert "permessage-deflate" in operator.socket.request.headers["Sec-WebSocket-Extensions"]
    assert "Sec-WebSocket-Extensions" not in operator.socket.response.headers
    # The pongs of the client's library acknowledge what it was sent.
    eventually(
        lambda: nodes.rows(
            "SELECT 1 FROM messages WHERE sender_key = %s AND direction = 'out' AND done_at IS NULL", operator.device_id
        ) == [],
        "everything is acknowledged",
    )  # fmt: skip
    assert operator.request("health", {})["payload"]["ok"] is True
    assert operator.request("sessions.patch", {"key": "main", "sendPolicy": "allow"})["ok"] is True
    # A paired device may talk, and nothing else, whatever it asked for.
    refused = operator.request("device.pair.approve", {"requestId": details["requestId"]})["error"]
    assert refused["code"] == "FORBIDDEN" and refused["details"]["code"] == "MISSING_SCOPE"
    assert operator.request("no.such", {})["error"]["message"] == "unknown method: no.such"
    # Unknown frame types are for others.
    operator.send({"type": "ping"})
    operator.send({"type": "cancel", "id": "r1"})
    assert operator.request("health", {})["ok"] is True
    operator.socket.close()


def test_i3_a_revoked_device_is_told_in_its_own_words_and_does_not_come_back_by_itself(stack):
    nodes, administrator = stack.nodes, stack.administrator
    operator = Operator(nodes)
    operator.pair(administrator)
    hello = operator.enter()
    step = Steps("never", " heard")
    stack.steps._answers = [step]
    operator.request("chat.send", {"sessionKey": "agent:steps:x", "message": "hi", "idempotencyKey": "run"})
    eventually(lambda: stack.steps.requests, "the agent is asked")
    administrator.revoke(operator.device_id)
    assert operator.closed() == (4001, "device removed")
    assert step.ended.wait(30) and step.was_cut
    operator.token = hello["auth"]["deviceToken"]
    error = operator.connect(operator.dial())["error"]
    assert error["code"] == "INVALID_REQUEST" and error["details"]["code"] == "AUTH_DEVICE_TOKEN_MISMATCH"
    assert operator.closed() == (1008, "unauthorized: device token mismatch (rotate/reissue device token)")
    # Without it: every connection is a request in this dialect, so that it has to wait.
    operator.token = None
    error = operator.connect(operator.dial())["error"]
    assert error["code"] == "NOT_PAIRED" and error["details"]["pauseReconnect"] is True
    assert 0 < error["retryAfterMs"] <= 600_000
    assert operator.closed()[0] == 1008
    waiting = "SELECT 1 FROM pairing_requests WHERE sender_key = %s AND state = 'pending'"
    assert nodes.rows(waiting, operator.device_id) == []
    nodes.rows(
        "UPDATE paired_devices SET revoked_at = now() - interval '11 min', paired_at = now() - interval '1 h' "
        "WHERE sender_key = %s", operator.device_id,
    )  # fmt: skip
    error = operator.connect(operator.dial())["error"]
    assert error["details"]["pauseReconnect"] is False and error["details"]["pairingCode"]
    assert len(nodes.rows(waiting, operator.device_id)) == 1


def test_denied_and_expired_are_told_to_who_waits_and_to_who_comes_back(stack):
    nodes, administrator = stack.nodes, stack.administrator
    denied = Operator(nodes)
    details = denied.connect(denied.dial())["error"]["details"]
    administrator.deny(details["requestId"], details["pairingCode"])
    assert denied.event("device.pair.resolved")["decision"] == "rejected"
    assert denied.closed()[0] == 1008
    error = denied.connect(denied.dial())["error"]
    assert error["code"] == "NOT_PAIRED" and error["details"]["reason"] in ("denied", "denied_recently")
    assert error["details"]["pauseReconnect"] is True and error["retryAfterMs"] > 0
    late = Operator(nodes)
    details = late.connect(late.dial())["error"]["details"]
    nodes.rows(
        "UPDATE pairing_requests SET created_at = now() - interval '2 h', expires_at = now() - interval '1 h' "
        "WHERE request_id = %s", details["requestId"],
    )  # fmt: skip
    assert late.event("device.pair.resolved")["decision"] == "expired"
    assert late.closed()[0] == 1008
    again = late.connect(late.dial())["error"]["details"]
    assert again["requestId"] != details["requestId"] and again["pauseReconnect"] is False


def test_bad_proofs_and_clients_without_a_key_are_told_what_is_wrong(stack):
    nodes = stack.nodes
    operator = Operator(nodes)
    cases = [
        (lambda nonce: operator.device(nonce, signature="A" * 86), "DEVICE_AUTH_SIGNATURE_INVALID"),
        (lambda nonce: operator.device(nonce, id="0" * 64), "DEVICE_AUTH_SIGNATURE_INVALID"),
        (lambda nonce: operator.device("A" * 43), "DEVICE_AUTH_NONCE_MISMATCH"),
        (lambda nonce: operator.device(""), "DEVICE_AUTH_NONCE_REQUIRED"),
        (lambda nonce: operator.device(nonce, publicKey="x"), "DEVICE_AUTH_PUBLIC_KEY_INVALID"),
        (lambda nonce: operator.device(nonce, signed_at=1), "DEVICE_AUTH_SIGNATURE_EXPIRED"),
    ]
    for make, code in cases:
        challenge = operator.dial()
        error = operator.connect(device=make(challenge["nonce"]))["error"]
        assert (error["code"], error["details"]["code"]) == ("INVALID_REQUEST", code), error
        assert operator.closed()[0] == 1008
    # A signature is good for one socket.
    challenge = operator.dial()
    device = operator.device(challenge["nonce"])
    assert operator.connect(device=device)["error"]["code"] == "NOT_PAIRED"
    operator.dial()
    assert operator.connect(device=device)["error"]["details"]["code"] == "DEVICE_AUTH_NONCE_MISMATCH"
    old = Operator(nodes, versions=(1, 2))
    error = old.connect(old.dial())["error"]
    assert error["details"]["code"] == "PROTOCOL_MISMATCH" and old.closed()[0] == 1002
    for token, code in ((None, "DEVICE_IDENTITY_REQUIRED"), ("short", "AUTH_TOKEN_MISMATCH")):
        keyless = Operator(nodes, keyless=True, token=token)
        assert keyless.connect(keyless.dial())["error"]["details"]["code"] == code
        assert keyless.closed()[0] == 1008
    assert nodes.rows("SELECT 1 FROM pairing_requests WHERE sender_key LIKE 'oc-%%'") == []


def test_a_client_without_a_key_is_paired_by_a_secret_of_its_own_and_never_again_after_a_revocation(stack):
    administrator = stack.administrator
    keyless = Operator(stack.nodes, keyless=True, token="my-own-secret-of-more-than-32-characters")
    keyless.pair(administrator)
    assert keyless.enter()["protocol"] == 4
    keyless.request("chat.send", {"sessionKey": "s", "message": "hi", "idempotencyKey": "k"})
    assert final(keyless, "k") == "hi"
    (sender,) = stack.nodes.rows("SELECT sender_id FROM paired_devices WHERE sender_key LIKE 'oc-%%' AND state = 'active'")
    administrator.revoke(sender[0])
    assert keyless.closed()[0] == 4001
    error = keyless.connect(keyless.dial())["error"]
    assert error["details"]["pauseReconnect"] is True
    for process in stack.nodes.processes:
        assert keyless.token not in stack.nodes.log_of(process), process.name


def test_apples_binary_frames_a_killed_gateway_and_an_abort(stack):
    nodes = stack.nodes
    operator = Operator(nodes, path="/gateway")
    operator.pair(stack.administrator)
    answer = operator.connect(operator.dial(0, binary=True))
    assert answer["ok"]
    nodes.kill(nodes.gateways[0])
    try:
        assert operator.closed()[0] == 1006
        operator.enter(1)
        step = Steps("one", " two")
        stack.steps._answers = [step]
        operator.request("chat.send", {"sessionKey": "agent:steps:x", "message": "hi", "idempotencyKey": "a1"})
        step.go(1)
        delta = operator.event("chat", lambda payload: payload["state"] == "delta")
        assert delta["deltaText"] == "one" and delta["message"]["content"][0]["text"] == "one"
        aborted = operator.request("chat.abort", {"sessionKey": "agent:steps:x"})["payload"]
        assert aborted == {"ok": True, "aborted": True, "runIds": ["a1"]}
        assert operator.event("chat", lambda payload: payload["state"] == "aborted")["runId"] == "a1"
        assert step.ended.wait(30) and step.was_cut
    finally:
        nodes.restart(nodes.gateways[0])


def test_i1_one_device_is_one_identity_whatever_it_speaks(stack):
    nodes = stack.nodes
    operator = Operator(nodes)
    operator.connect(operator.dial())
    rival = nodes.device(sender_id=operator.device_id, credential=TokenCredential())
    with pytest.raises(Exception, match="ALREADY_EXISTS"):
        rival.ask()


def test_one_key_is_an_operator_and_a_node_at_once_and_a_command_comes_back_as_its_acknowledgement(stack):
    nodes, administrator = stack.nodes, stack.administrator
    operator = Operator(nodes, path="/gateway")
    operator.pair(administrator)
    operator.enter(0)
    node = Operator(nodes, path="/gateway", role="node")
    node.key, node.public_key, node.device_id = operator.key, operator.public_key, operator.device_id
    node.scopes = []
    node.extra = {"caps": ["canvas"], "commands": ["canvas.present"]}
    answer = node.connect(node.dial())
    request = answer["error"]["details"]["requestId"]
    page = administrator.get(f"/nodes/requests/{request}/approve").text
    assert f"{node.device_id}:node" in page and "canvas.present" in page and "OpenClaw" in page
    administrator.approve(request, answer["error"]["details"]["pairingCode"])
    assert node.event("device.pair.resolved")["decision"] == "approved" and node.closed()[0] == 1008
    choose_agents(nodes, "words")
    node.enter(1)
    # Neither replaces the other.
    assert operator.request("health", {})["ok"] and node.request("health", {})["ok"]
    sender = f"{node.device_id}:node"
    command = {"type": "command", "command": "canvas.present", "parameters": {"text": "hi"}, "callId": "c1"}
    nodes.nodesctl("messages", "push", sender, json.dumps(command), "--id", "p1")
    invoked = node.event("node.invoke.request")
    assert invoked["command"] == "canvas.present" and invoked["nodeId"] == node.device_id
    assert json.loads(invoked["paramsJSON"]) == {"text": "hi"} and invoked["timeoutMs"] == 30_000
    result = {"id": invoked["id"], "nodeId": node.device_id, "ok": True, "payloadJSON": '{"shown":true}'}
    stack.words.requests.clear()
    assert node.request("node.invoke.result", result)["payload"] == {"ok": True}
    assert node.request("node.invoke.result", result)["payload"] == {"ok": True}
    eventually(lambda: stack.words.requests, "the agent is told")
    said = json.loads(json.loads(stack.words.requests[0][1])["messages"][-1]["content"])
    assert said == {"type": "ack", "command": "canvas.present", "callId": "c1", "ok": True, "result": {"shown": True}}
    rows = "SELECT body FROM messages WHERE sender_key = %s AND direction = 'in'"
    assert len(nodes.rows(rows, sender)) == 1
    # Those whose signature names no address are marked in the audit.
    marked = nodes.rows(
        "SELECT event FROM events WHERE sender_id = %s AND details ->> 'signature' = 'openclaw' ORDER BY position", sender
    )
    assert [event for (event,) in marked] == ["pairing.requested", "pairing.approved"]
    # Each is revoked by itself; the pages name the other one.
    assert sender in administrator.get(f"/nodes/devices/{operator.device_id}").text
    assert f"also paired as {operator.device_id} ." in administrator.get(f"/nodes/devices/{sender}/revoke").text
    administrator.revoke(sender)
    assert node.closed() == (4001, "device removed")
    assert operator.request("health", {})["ok"]
    operator.socket.close()


def test_one_device_speaks_two_dialects_and_a_name_of_one_claimed_in_another_is_refused(stack):
    nodes = stack.nodes
    operator = Operator(nodes, path="/gateway")
    operator.pair(stack.administrator)
    operator.enter(0)
    # The same key in this server's own dialect: it is the same device, and has one session.
    credential = KeyCredential()
    credential.key, credential.public_key = operator.key, operator.public_key
    device = nodes.device("openclaw", sender_id=operator.device_id, credential=credential)
    assert device.connect()["status"] == "paired"
    assert operator.closed()[0] == 4002
    device.socket.request("message.send", {"messageId": "own", "message": {"text": "from home"}})
    assert device.socket.event("message")["message"]["text"] == "from home"
    operator.enter(1)
    lines = operator.request("chat.history", {"sessionKey": "main"})["payload"]["messages"]
    assert [line["content"][0]["text"] for line in lines] == ["from home", "from home"]
    operator.socket.close()
    # Another key claims that name here, and OpenClaw's clients claim a name of this dialect.
    rival = nodes.device("openclaw", sender_id=operator.device_id, credential=TokenCredential())
    with pytest.raises(Exception, match="ALREADY_EXISTS"):
        rival.ask(metadata={"client": {"id": "cli"}})
    tablet = nodes.device()
    tablet.pair(stack.administrator)
    thief = Operator(nodes)
    error = thief.connect(device=thief.device(thief.dial()["nonce"], id=tablet.sender_id))["error"]
    assert error["details"]["code"] == "DEVICE_AUTH_SIGNATURE_INVALID"
    # A client without a key that shows a device's public name as its secret is somebody else.
    stranger = Operator(nodes, keyless=True, token=operator.device_id)
    details = stranger.connect(stranger.dial())["error"]["details"]
    assert details["code"] == "PAIRING_REQUIRED" and details["deviceId"] != operator.device_id


def test_a_page_at_the_root_is_still_a_page_and_no_log_holds_a_secret_of_the_address(stack):
    nodes = stack.nodes
    assert stack.administrator.get("/").status in (200, 302, 303)
    operator = Operator(nodes, path="/?token=a-secret-in-the-address")
    operator.dial()
    operator.socket.close()
    nodes.kill(nodes.gateways[0])
    nodes.kill(nodes.gateways[1])
    try:
        with pytest.raises(Exception, match="502"):
            operator.dial()
    finally:
        for gateway in nodes.gateways:
            gateway.stop()
            gateway.start()
        nodes.wait_until_ready()
    for log in nodes.processes[0].log.parent.rglob("*.log"):
        assert "a-secret-in-the-address" not in log.read_text(errors="replace"), log
