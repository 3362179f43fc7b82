"""Devices that speak HTTP (`/v1/…`): the same acceptance, order, agents and revocation as a socket's messages."""

import json
import time

import openai
import pytest

from support.agents import Agent, says, status
from support.completions import Request, Steps, client, complete, paired, say
from support.deployment import deployed, eventually
from support.device import TokenCredential

ALIVE = {"type": "openai", "model": "m", "attempts": 1}


class Stack:
    """Two gateways, and agents that the test can tell what to do."""

    def __init__(self, nodes, agents: dict[str, Agent]) -> None:
        self.nodes = nodes
        self.agents = agents
        self.administrator = nodes.administrator()

    def script(self, name: str, *answers) -> Agent:
        agent = self.agents[name]
        agent.requests.clear()
        agent._answers = list(answers)
        return agent


@pytest.fixture(scope="module")
def stack():
    with Agent(says("Here you are.")) as words, Agent(says("-")) as steps:
        agents = {"words": words, "steps": steps}
        settings = {
            "agents": {name: {**ALIVE, "url": agent.url} for name, agent in agents.items()},
            "channels": {"default_agents": {"web": "words"}},
            "gateway": {"answer_timeout": "15s", "http_requests_per_device": 3},
            "log": {"level": "trace"},
        }
        with deployed(gateways=2, kernels=1, settings=settings) as nodes:
            yield Stack(nodes, agents)


def messages(nodes, device) -> list[tuple]:
    return nodes.rows(
        "SELECT direction, sequence, message_id, done_at IS NOT NULL, ended, body FROM messages WHERE sender_key = %s "
        "ORDER BY direction, sequence", device.sender_id.lower(),
    )  # fmt: skip


def test_openais_client_lists_agents_asks_and_is_answered_whole_and_in_pieces(stack):
    nodes = stack.nodes
    words = stack.script("words", says("Here you are."))
    device = paired(nodes, stack.administrator)
    api = client(nodes, device.credential.token)
    assert [model.id for model in api.models.list()] == ["default", "words", "steps", "echo"]
    assert api.models.retrieve("echo").owned_by == "goclaw-nodes"
    # Nobody chose for this one: it has its channel's agent.
    plain = client(nodes, paired(nodes, stack.administrator, agents=["--default"]).credential.token)
    assert [model.id for model in plain.models.list()] == ["default", "words"]
    with pytest.raises(openai.NotFoundError, match="default, words"):
        plain.chat.completions.create(model="echo", messages=say("hello"))
    whole = api.chat.completions.create(model="default", messages=say("hello"), temperature=0.1)
    assert whole.choices[0].message.content == "Here you are. " and whole.choices[0].finish_reason == "stop"
    assert whole.model == "default" and abs(whole.created - time.time()) < 120
    pieces = list(api.chat.completions.create(model="words", messages=say("again"), stream=True))
    texts = [piece.choices[0].delta.content or "" for piece in pieces]
    assert "".join(texts) == "Here you are. " and len([text for text in texts if text]) > 1
    assert pieces[-1].choices[0].finish_reason == "stop"
    # The last message is what is said; what was said before the server knows.
    asked = json.loads(words.requests[1][1])["messages"]
    assert [(turn["role"], turn["content"].strip()) for turn in asked] == [
        ("user", "hello"), ("assistant", "Here you are."), ("user", "again"),
    ]  # fmt: skip
    named = api.chat.completions.create(
        model="echo",
        messages=[
            {"role": "system", "content": "no"}, {"role": "user", "content": "no"},
            {"role": "assistant", "content": "no"},
            {"role": "user", "content": [{"type": "text", "text": "¡sí! 🛰"}, {"type": "text", "text": "b"}]},
        ],
    )  # fmt: skip
    assert named.choices[0].message.content == "¡sí! 🛰\nb"
    # Every message is one like a socket's, and every answer that was read is acknowledged.
    eventually(lambda: all(row[3] for row in messages(nodes, device)), "everything is settled")
    rows = messages(nodes, device)
    assert [row[:2] for row in rows] == [("in", 1), ("in", 2), ("in", 3), ("out", 1), ("out", 2), ("out", 3)]
    assert [row[4] for row in rows] == [None] * 6
    assert json.loads(rows[0][5]) == {"type": "text", "text": "hello"}
    (seen,) = nodes.rows(
        "SELECT last_seen_at > now() - interval '2 minutes' FROM device_sessions WHERE sender_key = %s",
        device.sender_id.lower(),
    )
    assert seen == (True,)
    for process in nodes.processes:
        assert device.credential.token not in nodes.log_of(process), process.name


def test_i3_a_revocation_ends_a_stream_under_way_and_the_token_is_told_the_truth(stack):
    nodes = stack.nodes
    step = Steps("Once", " upon", " a time")
    stack.script("steps", step)
    device = paired(nodes, stack.administrator)
    api = client(nodes, device.credential.token)
    stream = iter(api.chat.completions.create(model="steps", messages=say("tell"), stream=True))
    assert next(stream).choices[0].delta.role == "assistant"
    step.go(1)
    assert next(stream).choices[0].delta.content == "Once"
    waiting = complete(nodes, device.credential.token, {"model": "steps", "messages": say("and whole")})
    eventually(lambda: len(messages(nodes, device)) == 2, "the second is accepted")
    stack.administrator.revoke(device.sender_id)
    with pytest.raises(openai.APIError, match="revoked"):
        next(stream)
    assert step.ended.wait(30) and step.was_cut
    assert waiting.error()[0] == 403
    with pytest.raises(openai.PermissionDeniedError) as refused:
        api.chat.completions.create(model="default", messages=say("hello"))
    assert refused.value.code == "revoked"
    with pytest.raises(openai.PermissionDeniedError):
        api.models.list()
    assert {row[4] for row in messages(nodes, device)} == {"withdrawn"}


def test_i6_every_stranger_gets_one_answer_and_who_proves_a_token_is_told_where_it_stands(stack):
    nodes = stack.nodes
    body = {"model": "echo", "messages": say("hello")}
    unknown = [complete(nodes, TokenCredential().token, body).error() for _ in range(2)]
    assert unknown[0] == unknown[1]
    assert unknown[0][0] == 401 and unknown[0][1]["code"] == "unknown"
    for token in (None, "short", "x" * 43 + "="):
        code, error = complete(nodes, token, body).error()
        assert (code, error["code"]) == (401, "no_token")
    device = nodes.device(credential=TokenCredential())
    request = device.ask()
    code, error = complete(nodes, device.credential.token, body).error()
    assert (code, error["code"], error["type"]) == (403, "pending", "permission_error")
    assert request["code"] in error["message"]
    stack.administrator.deny(request["requestId"], request["code"])
    code, headers, answer = complete(nodes, device.credential.token, body).answer()
    assert (code, json.loads(answer)["error"]["code"]) == (403, "denied")
    assert 0 < int(headers["Retry-After"]) <= 600
    late = nodes.device(credential=TokenCredential())
    request = late.ask()
    nodes.rows(
        "UPDATE pairing_requests SET created_at = now() - interval '2 h', expires_at = now() - interval '1 h' "
        "WHERE request_id = %s", request["requestId"],
    )  # fmt: skip
    code, error = complete(nodes, late.credential.token, body).error()
    assert (code, error["code"]) == (403, "expired")


def test_a_request_does_not_replace_the_devices_socket_and_both_share_one_conversation(stack):
    nodes = stack.nodes
    stack.script("words", says("Here you are."))
    device = nodes.device(credential=TokenCredential())
    device.pair(stack.administrator, gateway=0)
    sent = device.socket.request("message.send", {"messageId": "s1", "message": {"text": "hello"}})
    device.socket.event("message")
    answers = [
        client(nodes, device.credential.token, gateway).chat.completions.create(model="words", messages=say("HTTP"))
        for gateway in (0, 1)
    ]
    assert {answer.choices[0].message.content for answer in answers} == {"Here you are. "}
    # A socket that is there may be handed an answer before whoever asked has acknowledged it; here it was stored beside
    # the socket.
    event = device.socket.event("message")
    assert event["messageSeq"] == 2 and answers[0].id == f"chatcmpl-{event['inReplyTo']}"
    again = device.socket.request("message.send", {"messageId": "s2", "message": {"text": "still here"}})
    assert (sent["messageSeq"], again["messageSeq"]) == (1, 4)
    while device.socket.event("message")["inReplyTo"] != "s2":
        pass
    device.socket.request("message.ack", {"messageSeq": 4})
    device.close()


def test_i4_requests_and_sockets_at_once_get_numbers_without_gaps_and_each_its_own_answer(stack):
    nodes = stack.nodes
    device = nodes.device(credential=TokenCredential())
    device.pair(stack.administrator, gateway=0)
    nodes.nodesctl("devices", "set-agent", device.sender_id, "echo")
    waiting = []
    for number in range(12):
        if number >= 2:
            # No more than two at once, on either gateway; the socket sends in between.
            request, text = waiting[number - 2]
            code, _, body = request.answer()
            assert (code, json.loads(body)["choices"][0]["message"]["content"]) == (200, text)
        device.socket.send("message.send", {"messageId": f"s{number}", "message": {"text": f"s{number}"}, "agent": "echo"})
        body = {"model": "echo", "messages": say(f"h{number}")}
        waiting.append((complete(nodes, device.credential.token, body, gateway=number % 2), f"h{number}"))
    for request, text in waiting[-2:]:
        assert json.loads(request.answer()[2])["choices"][0]["message"]["content"] == text
    eventually(
        lambda: len(messages(nodes, device)) == 48 and all(row[3] for row in messages(nodes, device) if row[0] == "in"),
        "everything is answered",
    )
    numbers = [row[1] for row in messages(nodes, device) if row[0] == "in"]
    assert numbers == list(range(1, 25))
    # It has not read its events, and would not read the end.
    device.socket.cut()


def test_i4_the_same_key_is_the_same_message_also_after_its_gateway_was_killed(stack):
    nodes = stack.nodes
    step = Steps("One", " answer")
    words = stack.script("words", step, says("One answer"))
    device = paired(nodes, stack.administrator)
    body = {"model": "words", "messages": say("hello"), "stream": True}
    named = {"Idempotency-Key": "order-17"}
    first = complete(nodes, device.credential.token, body, gateway=0, **named)
    step.go(1)
    response = first.connection.getresponse()
    assert b"One" in b"".join(response.readline() for _ in range(3))
    nodes.kill(nodes.gateways[0])
    try:
        with pytest.raises(Exception):
            assert b"[DONE]" in response.read()
        plain = {**body, "stream": False}
        again = [complete(nodes, device.credential.token, plain, gateway=1, **named) for _ in range(2)]
        answers = [request.answer() for request in again]
    finally:
        step.go()
        nodes.restart(nodes.gateways[0])
    assert [code for code, _, _ in answers] == [200, 200], answers
    texts = {json.loads(answer)["choices"][0]["message"]["content"].strip() for _, _, answer in answers}
    assert texts == {"One answer"}
    assert len(words.requests) == 2 and len({headers["Idempotency-Key"] for headers, _ in words.requests}) == 1
    assert [row[:3] for row in messages(nodes, device)] == [("in", 1, "order-17"), ("out", 1, "order-17")]
    # And once more when all is long over.
    code, _, answer = complete(nodes, device.credential.token, plain, gateway=0, **named).answer()
    assert code == 200 and json.loads(answer)["choices"][0]["message"]["content"].strip() == "One answer"
    assert len(words.requests) == 2


def test_who_leaves_is_answered_no_more_unless_the_message_has_a_name(stack):
    nodes = stack.nodes
    device = paired(nodes, stack.administrator)
    for stream in (False, True):
        step = Steps("never", " read")
        stack.script("steps", step)
        request = complete(nodes, device.credential.token, {"model": "steps", "messages": say("x"), "stream": stream})
        eventually(lambda: stack.agents["steps"].requests, "the agent is asked")
        request.cut()
        assert step.ended.wait(30) and step.was_cut
        eventually(lambda: messages(nodes, device)[-1][4] == "withdrawn", "the message is withdrawn")
    step = Steps("read", " later")
    stack.script("steps", step)
    body = {"model": "steps", "messages": say("y")}
    named = {"Idempotency-Key": "y-1"}
    request = complete(nodes, device.credential.token, body, **named)
    eventually(lambda: stack.agents["steps"].requests, "the agent is asked")
    request.cut()
    step.go()
    code, _, answer = complete(nodes, device.credential.token, body, **named).answer()
    assert code == 200 and json.loads(answer)["choices"][0]["message"]["content"] == "read later"
    assert not step.was_cut and len(stack.agents["steps"].requests) == 1


def test_i4_who_leaves_with_the_last_piece_has_read_the_answer(stack):
    nodes = stack.nodes
    device = paired(nodes, stack.administrator)
    for number in range(20):
        body = {"model": "echo", "messages": say(f"n{number}"), "stream": True}
        response = complete(nodes, device.credential.token, body, gateway=number % 2).connection.getresponse()
        while b"[DONE]" not in response.readline():
            pass
        # Before the end of the transfer is read.
        response.close()
    eventually(lambda: all(row[3] for row in messages(nodes, device)), "everything is settled")
    assert [row[4] for row in messages(nodes, device)] == [None] * 40


def test_an_agent_that_fails_is_told_in_the_interfaces_words(stack):
    nodes = stack.nodes
    device = paired(nodes, stack.administrator)
    api = client(nodes, device.credential.token)
    stack.script("steps", status(400, "no"))
    with pytest.raises(openai.APIStatusError) as failed:
        api.chat.completions.create(model="steps", messages=say("x"))
    assert (failed.value.status_code, failed.value.code) == (502, "agent_failed")
    with pytest.raises(openai.APIError, match="refused"):
        list(api.chat.completions.create(model="steps", messages=say("x"), stream=True))
    step = Steps("late")
    stack.script("steps", step)
    begin = time.monotonic()
    with pytest.raises(openai.APIStatusError) as late:
        client(nodes, device.credential.token, max_retries=2).chat.completions.create(model="steps", messages=say("x"))
    # It is not repeated: nobody would wait for it three times.
    assert late.value.status_code == 504 and 10 < time.monotonic() - begin < 40
    assert step.ended.wait(30) and step.was_cut


def test_bad_requests_are_refused_before_anything_is_stored(stack):
    nodes = stack.nodes
    device = paired(nodes, stack.administrator)
    token = device.credential.token
    good = {"model": "echo", "messages": say("hello")}
    refused = [
        (b"{", 400, "not_json"), (b"[]", 400, "not_an_object"), ({"model": "echo"}, 400, "bad_parameter"),
        ({**good, "messages": []}, 400, "bad_parameter"), ({**good, "messages": say("")}, 400, "bad_parameter"),
        ({**good, "messages": [{"role": "assistant", "content": "x"}]}, 400, "bad_parameter"),
        ({**good, "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "bad_parameter"),
        ({**good, "messages": say("a\0b")}, 400, "nul"), ({**good, "n": 2}, 400, "bad_parameter"),
        ({**good, "stream": "yes"}, 400, "bad_parameter"), ({**good, "model": "gpt-9"}, 404, "model_not_found"),
        ({**good, "messages": say("x" * 32_001)}, 400, "text_too_long"),
        ({**good, "messages": say("x" * 600_000)}, 413, "message_too_large"),
    ]  # fmt: skip
    for body, code, reason in refused:
        assert (complete(nodes, token, body).error()[0], reason) == (code, reason), body
        assert complete(nodes, token, body).error()[1]["code"] == reason
    # nginx refuses it first; the gateway does as well.
    assert complete(nodes, token, b"x" * (1 << 20) + b"x").answer()[0] == 413
    authorized = {"Authorization": f"Bearer {token}"}
    assert Request(nodes, "GET", "/v1/chat/completions", **authorized).error()[0] == 405
    assert Request(nodes, "POST", "/v1/embeddings", {}, **authorized).error() [0] == 404
    assert Request(nodes, "GET", "/v1/models/nobody", **authorized).error()[1]["code"] == "model_not_found"
    assert complete(nodes, token, good, Origin="https://evil.example").answer()[0] == 403
    assert complete(nodes, token, good, Host="evil.example").answer()[0] == 421
    assert complete(nodes, token, good, **{"Idempotency-Key": "a b"}).error()[0] == 400
    assert messages(nodes, device) == []
    # A device has a few requests under way, and no more.
    step = Steps("done")
    stack.script("steps", step)
    body = {"model": "steps", "messages": say("x")}
    waiting = [complete(nodes, token, body, gateway=1) for _ in range(3)]
    eventually(lambda: len(messages(nodes, device)) == 3, "three are accepted")
    code, headers, answer = complete(nodes, token, body, gateway=1).answer()
    assert code == 429 and json.loads(answer)["error"]["code"] == "too_many_requests" and "Retry-After" in headers
    step.go()
    assert [request.answer()[0] for request in waiting] == [200, 200, 200]


def test_i5_without_the_database_a_request_is_told_to_come_again_and_a_stopping_gateway_says_so(stack):
    nodes = stack.nodes
    device = paired(nodes, stack.administrator)
    body = {"model": "echo", "messages": say("hello")}
    with nodes.database_stopped():
        code, headers, answer = complete(nodes, device.credential.token, body).answer()
        assert code == 503 and "Retry-After" in headers, answer
    assert complete(nodes, device.credential.token, body).answer()[0] == 200
    step = Steps("never")
    stack.script("steps", step)
    waiting = complete(nodes, device.credential.token, {**body, "model": "steps"}, gateway=1)
    eventually(lambda: stack.agents["steps"].requests, "the agent is asked")
    nodes.gateways[1].stop()
    try:
        code, error = waiting.error()
        assert (code, error["code"]) == (503, "stopping")
    finally:
        nodes.restart(nodes.gateways[1])


def test_conversations_are_apart_whatever_they_are_spoken_in_and_their_history_is_read_page_by_page(stack):
    nodes = stack.nodes
    agent = stack.script("words", says(lambda body: "heard " + "/".join(m["content"] for m in body["messages"])))
    device = paired(nodes, stack.administrator)
    device.reconnect(1)

    def ask(text: str, conversation: str | None = None) -> str:
        named = {} if conversation is None else {"conversation": conversation}
        device.socket.request("message.send", {"messageId": text, "message": {"text": text}, **named})
        payload = device.socket.event("message")
        assert payload["inReplyTo"] == text and payload.get("conversation") == conversation
        device.socket.request("message.ack", {"messageSeq": payload["messageSeq"]})
        return payload["message"]["text"].strip()

    # An agent is told of the conversation that it is asked in, and of no other.
    assert ask("a") == "heard a"
    assert ask("k", "kitchen") == "heard k"
    assert ask("b") == "heard a/heard a /b"
    api = client(nodes, device.credential.token)
    said = api.chat.completions.create(model="default", messages=say("l"), user="kitchen").choices[0].message.content
    assert said.strip() == "heard k/heard k /l"
    said = api.chat.completions.create(model="default", messages=say("x"), extra_body={"conversation": "hall"})
    assert said.choices[0].message.content.strip() == "heard x"
    assert len(agent.requests) == 5
    # A device that was reloaded reads what was said, the newest first page first.
    device.reconnect(0)

    def history(**params) -> dict:
        return device.socket.request("message.history", params)

    def texts(page: dict) -> list[str]:
        return [message["message"]["text"].strip() for message in page["messages"]]

    page = history(limit=3)
    assert texts(page) == ["heard a", "b", "heard a/heard a /b"]
    assert [message["from"] for message in page["messages"]] == ["agent", "device", "agent"]
    assert page["messages"][1]["messageId"] == page["messages"][2]["inReplyTo"] == "b"
    rest = history(before=page["before"])
    assert texts(rest) == ["a"] and "before" not in rest
    kitchen = history(conversation="kitchen")
    assert texts(kitchen) == ["k", "heard k", "l", "heard k/heard k /l"] and kitchen["conversation"] == "kitchen"
    # Only what the store still has.
    nodes.rows("DELETE FROM messages WHERE sender_key = %s AND body LIKE %s", device.sender_id.lower(), "%heard k%")
    assert texts(history(conversation="kitchen")) == ["k", "l"]
    with pytest.raises(Exception, match="conversation: expected"):
        history(conversation="a\nb")
