"""GoClaw's browsers and its command line pair and talk as they are, by the frames recorded of them."""

import json
import secrets
import types

import pytest

from support.agents import Agent, says, status
from support.completions import Steps, complete, say
from support.deployment import deployed, eventually
from support.device import Refused, TokenCredential
from support.goclaw import Browser
from support.openclaw import Operator


@pytest.fixture(scope="module")
def stack():
    with Agent(says("Here you are.")) as words, Agent(says("-")) as steps, Agent(status(400, "no")) as refuses:
        settings = {
            "agents": {
                name: {"type": "openai", "model": "m", "attempts": 1, "url": agent.url}
                for name, agent in {"words": words, "steps": steps, "refuses": refuses}.items()
            },
            "log": {"level": "trace"},
        }
        with deployed(gateways=2, kernels=1, settings=settings) as nodes:
            yield types.SimpleNamespace(nodes=nodes, administrator=nodes.administrator(), steps=steps)


def browser(stack, **options) -> Browser:
    return Browser(stack.nodes, f"user-{secrets.token_hex(4)}", **options)


def refusal(call) -> Refused:
    with pytest.raises(Refused) as raised:
        call()
    return raised.value


def test_a_browser_is_pending_with_its_code_then_approved_and_talks(stack):
    nodes, administrator = stack.nodes, stack.administrator
    tablet = browser(stack)
    pending = tablet.ask()
    # It offers to compress, which is declined.
    assert "Sec-WebSocket-Extensions" in tablet.socket.request.headers
    assert "Sec-WebSocket-Extensions" not in tablet.socket.response.headers
    request, code, public = tablet.waiting()
    assert pending["pairing_code"] == code and len(pending["sender_id"]) == 43
    assert tablet.status() == {"status": "pending", "approved": False}
    # I11: coming back with the secret changes nothing, and neither does asking once more on the same socket.
    again = tablet.request("connect", {"user_id": tablet.user_id})
    assert (again["pairing_code"], again["sender_id"]) == (code, tablet.sender_id)
    second = Browser(nodes, tablet.user_id)
    second.sender_id = tablet.sender_id
    assert second.enter()["pairing_code"] == code
    # I9: the administrator sees what is made of the secret's hash.
    page = administrator.get(f"/nodes/requests/{request}/approve").text
    shown = code[:4] + "-" + code[4:]
    assert public in page and shown in page and "GoClaw client" in page and tablet.user_id in page
    assert public.startswith("web-") and tablet.sender_id not in page
    assert refusal(lambda: tablet.request("chat.send", {"message": "hi"})).code == "UNAUTHORIZED"
    administrator.approve(request, code)
    for waiting in (second, tablet):
        eventually(lambda: waiting.status() == {"status": "approved", "approved": True}, "it is told")
        waiting.socket.close()
    nodes.nodesctl("devices", "set-agent", public, "echo", "words")
    hello = tablet.enter()
    assert (hello["role"], hello["user_id"], hello["protocol"]) == ("operator", tablet.user_id, 3)
    assert hello["tenant_id"] and hello["is_owner"] is False and hello["edition"] == "standard"
    key = "agent:default:ws:direct:5f0c"
    identifier = tablet.send("chat.send", {"agentId": "default", "sessionKey": key, "message": "hi 🛰", "stream": True})
    started = tablet.event("run.started")
    assert (started["payload"], started["sessionKey"], started["userId"]) == ({"message": "hi 🛰"}, key, tablet.user_id)
    done = tablet.event("run.completed")
    assert done["payload"]["content"] == "hi 🛰" and done["runId"] == started["runId"]
    assert tablet.answer(identifier)["content"] == "hi 🛰"
    # A streaming agent, which the session key names.
    result = tablet.request("chat.send", {"sessionKey": "agent:words:ws:direct:1", "message": "go", "stream": True})
    assert result["content"] == "Here you are. "
    pieces = [frame["payload"] for frame in tablet.frames if frame["payload"].get("type") == "chunk"]
    assert "".join(piece["payload"]["content"] for piece in pieces) == "Here you are. " and len(pieces) > 1
    assert {piece["agentId"] for piece in pieces} == {"words"} and {frame["event"] for frame in tablet.frames} == {"agent"}
    history = tablet.request("chat.history", {"agentId": "default", "sessionKey": key})["messages"]
    assert [(line["role"], line["content"]) for line in history] == [
        ("user", "hi 🛰"), ("assistant", "hi 🛰"), ("user", "go"), ("assistant", "Here you are. "),
    ]  # fmt: skip
    # Its library's pongs acknowledge what it was sent.
    eventually(
        lambda: nodes.rows(
            "SELECT 1 FROM messages WHERE sender_key = %s AND direction = 'out' AND done_at IS NULL", public
        ) == [],
        "everything is acknowledged",
    )  # fmt: skip
    assert [agent["id"] for agent in tablet.request("agents.list")["agents"]] == ["default", "echo", "words"]
    assert tablet.request("tenants.mine") == {"tenants": []}
    # A paired device may talk to whom it may, and nothing else.
    unknown = refusal(lambda: tablet.request("chat.send", {"agentId": "steps", "message": "hi"}))
    assert unknown.code == "NOT_FOUND" and "steps" in str(unknown)
    for method in ("device.pair.list", "cron.create", "config.get", "sessions.delete"):
        denied = refusal(lambda: tablet.request(method))
        assert denied.code == "UNAUTHORIZED" and "permission denied" in denied.error["message"]
    assert "unknown method" in refusal(lambda: tablet.request("no.such")).error["message"]
    tablet.socket.send(json.dumps({"type": "ping"}))
    assert tablet.request("health") == {"status": "ok"}
    tablet.socket.close()
    for process in nodes.processes:
        assert tablet.sender_id not in nodes.log_of(process), process.name


def test_i3_a_revoked_browser_is_told_before_its_socket_ends_and_does_not_get_back_in(stack):
    tablet = browser(stack)
    public = tablet.pair(stack.administrator, "steps")
    step = Steps("never", " heard")
    stack.steps._answers = [step]
    tablet.send("chat.send", {"sessionKey": "s", "message": "hi", "stream": True})
    eventually(lambda: len(stack.steps.requests) > 0, "the agent is asked")
    tablet.event("run.started")
    stack.administrator.revoke(public)
    assert tablet.closed() == 4001
    told = [frame["payload"] for frame in tablet.frames if frame.get("event") == "tenant.access.revoked"]
    assert told == [{"user_id": tablet.user_id, "payload": {"user_id": tablet.user_id}}]
    assert step.ended.wait(30) and step.was_cut
    error = refusal(tablet.enter)
    assert (error.code, error.reason) == ("TENANT_ACCESS_REVOKED", "revoked")
    assert tablet.status() == {"status": "expired", "approved": False, "reason": "revoked"}
    tablet.sender_id = ""
    assert tablet.enter()["status"] == "pending_pairing"


def test_denied_and_expired_are_told_to_who_waits_and_to_who_comes_back(stack):
    nodes, administrator = stack.nodes, stack.administrator
    denied = browser(stack)
    denied.ask()
    request, code, _ = denied.waiting()
    administrator.deny(request, code)
    assert denied.closed() == 4003
    error = refusal(denied.enter)
    assert (error.code, error.reason) == ("UNAUTHORIZED", "denied")
    assert denied.status() == {"status": "expired", "approved": False, "reason": "denied"}
    late = browser(stack)
    late.ask()
    nodes.rows(
        "UPDATE pairing_requests SET created_at = now() - interval '2 h', expires_at = now() - interval '1 h' "
        "WHERE request_id = %s", late.waiting()[0],
    )  # fmt: skip
    eventually(lambda: late.status() == {"status": "expired", "approved": False}, "it is told")
    error = refusal(late.enter)
    assert (error.code, error.reason) == ("UNAUTHORIZED", "expired")
    late.sender_id = ""
    assert late.enter()["status"] == "pending_pairing"


def test_what_administrators_see_of_a_browser_opens_nothing_and_one_dialects_secret_is_none_of_anothers(stack):
    nodes = stack.nodes
    tablet = browser(stack)
    public = tablet.pair(stack.administrator)
    thief = browser(stack)
    for guess in (public, public.removeprefix("web-"), secrets.token_urlsafe(32)):
        thief.sender_id = guess
        assert refusal(thief.enter).code == "UNAUTHORIZED"
        assert refusal(thief.status).code == "UNAUTHORIZED"
    # I1: its sender ID claimed in this server's own dialect, with the secret as it is and with another.
    for token in (tablet.sender_id, None):
        claim = nodes.device(sender_id=public, credential=TokenCredential(token))
        assert refusal(claim.connect).code == "NOT_PAIRED"
        assert refusal(claim.ask).code == "ALREADY_EXISTS"
    # The secret is another device's in OpenClaw's, and nobody's over HTTP.
    operator = Operator(nodes, keyless=True, token=tablet.sender_id)
    assert operator.connect(operator.dial())["error"]["code"] == "NOT_PAIRED"
    code, error = complete(nodes, tablet.sender_id, {"messages": say("hi")}).error()
    assert (code, error["code"]) == (401, "unknown")
    # And a device of this server's own is none here.
    own = nodes.device(credential=TokenCredential())
    own.pair(stack.administrator)
    thief.sender_id = own.credential.token
    assert refusal(thief.enter).code == "UNAUTHORIZED"
    assert tablet.request("chat.send", {"message": "still here"})["content"] == "still here"


def test_an_answer_fails_is_given_up_and_survives_a_killed_gateway(stack):
    nodes = stack.nodes
    tablet = browser(stack)
    tablet.pair(stack.administrator, "steps", "echo", "refuses")
    failed = refusal(lambda: tablet.request("chat.send", {"agentId": "refuses", "message": "hi"}))
    tablet.event("run.started")
    assert failed.code == "INTERNAL" and failed.reason
    assert tablet.event("run.failed")["payload"]["error"] == failed.error["message"]
    step = Steps("one", " two")
    stack.steps._answers = [step]
    identifier = tablet.send("chat.send", {"sessionKey": "s", "message": "hi", "stream": True})
    run = tablet.event("run.started")["runId"]
    step.go(1)
    assert tablet.event("chunk")["payload"] == {"content": "one"}
    running = tablet.request("chat.session.status", {"sessionKey": "s"})
    assert running["isRunning"] is True and running["runId"] == run
    stopped = tablet.request("chat.abort", {"sessionKey": "s"})
    assert stopped["aborted"] is True and stopped["runIds"] == [run]
    assert tablet.answer(identifier) == {"runId": run, "cancelled": True}
    assert tablet.event("run.cancelled")["runId"] == run
    assert step.ended.wait(30) and step.was_cut
    assert tablet.request("chat.abort", {"sessionKey": "s"})["notFound"] is True
    tablet.socket.close()
    # I4: what was said while its gateway was killed comes to the socket that follows.
    tablet.enter(0)
    held = Steps("late")
    stack.steps._answers = [held]
    tablet.send("chat.send", {"sessionKey": "s", "message": "wait", "messageId": "m-1"})
    assert tablet.event("run.started")["runId"] == "m-1"
    nodes.kill(nodes.gateways[0])
    try:
        assert tablet.closed() == 1006
        tablet.enter(1)
        again = tablet.send("chat.send", {"sessionKey": "s", "message": "wait", "messageId": "m-1"})
        held.go()
        assert tablet.answer(again)["content"] == "late"
    finally:
        nodes.restart(nodes.gateways[0])


def test_goclaws_command_line_pairs_by_its_secret_and_reads_bare_events(stack):
    program = browser(stack)
    program.token = "a-secret-of-the-command-line-of-40-chars"
    assert program.enter()["status"] == "pending_pairing"
    request, code, sender = program.waiting()
    stack.administrator.approve(request, code)
    assert program.enter()["role"] == "operator"
    identifier = program.send("chat.send", {"agent_key": "default", "session_key": "", "message": "hi", "stream": True})
    assert program.take(lambda frame: frame.get("event") == "run.completed")["payload"]["content"] == "hi"
    assert program.answer(identifier)["content"] == "hi"
    # It takes what the page of the same program was given, too.
    page = browser(stack)
    page.pair(stack.administrator)
    page.socket.close()
    page.token, page.sender_id = page.sender_id, ""
    assert page.enter()["role"] == "operator"
    program.token = "short"
    assert refusal(program.enter).code == "UNAUTHORIZED"
    stack.administrator.revoke(sender)
    program.token = "a-secret-of-the-command-line-of-40-chars"
    assert refusal(program.enter).code == "TENANT_ACCESS_REVOKED"


def test_administrators_decide_with_goclaws_spellings_and_by_their_roles(stack):
    def program(scope: str) -> Browser:
        made = browser(stack)
        name = f"goclaw-{secrets.token_hex(4)}"
        token = stack.nodes.nodesctl(
            "token", "create", name, "--scope", scope, "--expires", "1d", "--owner", "admin", "--json"
        )
        made.token = json.loads(token.stdout)["secret"]
        return made

    admin, reader = program("administer"), program("read")
    assert admin.enter()["role"] == "admin" and reader.enter()["role"] == "viewer"
    first, second = browser(stack), browser(stack)
    first.ask()
    second.ask()
    (_, code, public), (_, other, _) = first.waiting(), second.waiting()
    rows = {row["sender_id"]: row for row in reader.request("device.pair.list", {})["pending"]}
    assert rows[public]["metadata"] == {"display_name": first.user_id} and rows[public]["channel"] == "web"
    assert rows[public]["expires_at"] > rows[public]["created_at"] and first.sender_id not in json.dumps(rows)
    assert refusal(lambda: reader.request("device.pair.approve", {"code": code})).code == "UNAUTHORIZED"
    paired = admin.request("device.pair.approve", {"code": code, "approvedBy": "somebody"})["paired"]
    assert (paired["sender_id"], paired["channel"]) == (public, "web") and paired["paired_at"]
    # I8: whoever holds the token did it.
    ((by,),) = stack.nodes.rows("SELECT paired_by FROM paired_devices WHERE sender_id = %s", public)
    assert by == paired["paired_by"] != "somebody"
    again = admin.request("device.pair.approve", {"code": code})["paired"]
    assert (again["sender_id"], again["paired_by"]) == (public, by)
    assert admin.request("device.pair.deny", {"code": other}) == {"denied": True}
    assert second.closed() == 4003
    missing = refusal(lambda: admin.request("device.pair.approve", {"code": "ABCD2345"}))
    assert missing.code == "NOT_FOUND" and "ABCD2345 not found or expired" in missing.error["message"]
    listed = {row["sender_id"]: row for row in admin.request("device.pair.list", {})["paired"]}
    assert listed[public]["paired_at"] and listed[public]["paired_by"] and listed[public]["id"] == public
    assert first.enter()["role"] == "operator"
    assert admin.request("device.pair.revoke", {"senderId": public, "channel": "browser"}) == {"revoked": True}
    assert first.closed() == 4001
    gone = refusal(lambda: admin.request("device.pair.revoke", {"id": "nobody"}))
    assert gone.code == "NOT_FOUND" and "paired device not found" in gone.error["message"]


def test_no_log_holds_a_secret_of_the_address(stack):
    nodes = stack.nodes
    curious = browser(stack, path="/ws?token=a-secret-in-the-address")
    assert curious.ask()["status"] == "pending_pairing"
    curious.socket.close()
    for gateway in nodes.gateways:
        nodes.kill(gateway)
    try:
        with pytest.raises(Exception, match="502"):
            curious.dial()
    finally:
        for gateway in nodes.gateways:
            gateway.stop()
            gateway.start()
        nodes.wait_until_ready()
    for log in nodes.processes[0].log.parent.rglob("*.log"):
        assert "a-secret-in-the-address" not in log.read_text(errors="replace"), log
