"""Processes die and the database goes away; nothing granted is lost and nothing is granted meanwhile (I4, I5, I12)."""

import itertools
import secrets
import threading
import time

import pytest
from support.deployment import Deployment, eventually
from support.device import Refused, TokenCredential
from websockets.exceptions import ConnectionClosed, InvalidHandshake


def come_back(device, deadline: float = 60) -> dict:
    """What a well-behaved device does: tries again until it is let in."""
    until = time.monotonic() + deadline
    while True:
        try:
            return device.reconnect()
        except (OSError, ConnectionClosed, InvalidHandshake, Refused) as error:
            if isinstance(error, Refused) and error.code != "UNAVAILABLE":
                raise
            assert time.monotonic() < until, f"not back after {deadline} s: {error!r}"
            time.sleep(0.05)


def test_every_process_can_be_killed_and_devices_are_back_and_requests_still_there(deploy):
    nodes = deploy()
    administrator = nodes.administrator()
    paired = nodes.device()
    paired.pair(administrator)
    waiting = nodes.device(credential=TokenCredential())
    request = waiting.ask()
    paired.socket.request("message.send", {"messageId": "before", "message": "kept"})
    for process in nodes.processes:
        nodes.kill(process)
        nodes.restart(process)
        answer = come_back(paired)
        assert answer["status"] == "paired", process.name
        assert waiting.sender_id in nodes.administrator().get("/nodes").text, process.name
        come_back_waiting = waiting.dial()
        assert waiting.ask()["requestId"] == request["requestId"], process.name
        assert come_back_waiting is waiting.socket
    administrator = nodes.administrator()
    administrator.approve(request["requestId"], request["code"])
    assert waiting.socket.event("device.pair.resolved")["decision"] == "approved"
    # Sent before the first kill: answered, whoever was killed meanwhile.
    assert paired.socket.event("message")["message"] == "kept"


def test_nothing_is_granted_and_nothing_lost_while_postgresql_is_stopped(deploy):
    nodes = deploy()
    administrator = nodes.administrator()
    paired = nodes.device()
    paired.pair(administrator, gateway=0)
    waiting = nodes.device(credential=TokenCredential())
    request = waiting.ask()
    newcomer = nodes.device(credential=TokenCredential())
    newcomer.dial()
    returning = nodes.device(credential=TokenCredential())
    returning.pair(administrator)
    returning.close()
    path = f"/nodes/requests/{request['requestId']}/approve"
    form = administrator.get(path).form(path)
    events = nodes.rows("SELECT count(*) FROM events")
    with nodes.database_stopped():
        started = time.monotonic()
        while time.monotonic() - started < 10:
            with pytest.raises(Refused) as refusal:
                newcomer.ask()
            assert refusal.value.code == "UNAVAILABLE" and refusal.value.error["retryable"]
            returning.dial()
            with pytest.raises(Refused) as refusal:
                returning.connect()
            assert refusal.value.code == "UNAVAILABLE"
            returning.close()
            assert administrator.get("/nodes").status == 503
            page = administrator.submit(form, code=request["code"])
            assert page.status == 503, page.text
            time.sleep(1)
    eventually(lambda: administrator.get("/nodes").status == 200, "the pages recover")
    assert nodes.rows("SELECT count(*) FROM events") == events, "something was granted meanwhile"
    assert come_back(returning)["status"] == "paired"
    assert come_back(paired)["status"] == "paired"
    assert newcomer.ask()["status"] == "pending"
    assert administrator.submit(form, code=request["code"]).status == 303
    waiting.dial()
    assert waiting.connect()["status"] == "paired"


def test_an_answer_in_doubt_is_settled_by_its_repeat(deploy):
    """PostgreSQL stops in the middle of many requests: whatever was committed, the repeat finds it."""
    nodes = deploy(gateways=1, kernels=1)
    devices = [nodes.device(credential=TokenCredential()) for _ in range(30)]
    for device in devices:
        device.dial()
    answers: dict[str, dict | None] = {}

    def ask(device):
        try:
            answers[device.sender_id] = device.ask()
        except Refused as refusal:
            assert refusal.code == "UNAVAILABLE", refusal
            answers[device.sender_id] = None

    threads = [threading.Thread(target=ask, args=(device,)) for device in devices]
    for thread in threads:
        thread.start()
    eventually(lambda: answers or None, "the first answer is there")
    with nodes.database_stopped():
        for thread in threads:
            thread.join()
    for device in devices:
        known = answers[device.sender_id]

        def settled():
            try:
                return device.ask()
            except Refused as refusal:
                assert refusal.code == "UNAVAILABLE", refusal

        repeat = eventually(settled, "the repeat is answered")
        if known:
            assert (repeat["requestId"], repeat["code"]) == (known["requestId"], known["code"])
    rows = nodes.rows("SELECT count(*), count(DISTINCT sender_key) FROM pairing_requests")
    assert rows == [(30, 30)]


def test_acknowledged_messages_survive_the_death_of_a_gateway(deploy):
    nodes = deploy()
    administrator = nodes.administrator()
    device = nodes.device(credential=TokenCredential())
    device.pair(administrator, gateway=0)
    acknowledged = []
    tenth = threading.Event()

    def kill():
        assert tenth.wait(120)
        nodes.kill(nodes.gateways[0])

    # Beside the messages, so that it hits one of them on its way.
    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises((ConnectionClosed, OSError)):
        for number in itertools.count():
            receipt = device.socket.request("message.send", {"messageId": f"m{number}", "message": number})
            acknowledged.append(receipt["messageSeq"])
            if len(acknowledged) == 10:
                tenth.set()
    killer.join()
    assert len(acknowledged) >= 10
    assert acknowledged == list(range(1, len(acknowledged) + 1))
    stored = nodes.rows(
        "SELECT sequence FROM messages WHERE sender_key = lower(%s) AND direction = 'in' ORDER BY sequence",
        device.sender_id,
    )
    assert [row[0] for row in stored][: len(acknowledged)] == acknowledged
    device.reconnect(gateway=1)
    answers = {}
    while len(answers) < len(stored):
        message = device.socket.event("message")
        answers[message["messageSeq"]] = message["message"]
    assert [answers[n] for n in sorted(answers)] == list(range(len(stored)))


def test_twenty_administrators_decide_one_request_and_one_wins(nodes: Deployment, administrator):
    device = nodes.device(credential=TokenCredential(), sender_id=f"popular-{secrets.token_hex(4)}")
    request = device.ask()
    forms = []
    for index in range(20):
        verb = "approve" if index % 2 == 0 else "deny"
        path = f"/nodes/requests/{request['requestId']}/{verb}"
        session = nodes.browser_session(index % 2)
        session.cookies = dict(administrator.cookies)
        forms.append((session, session.get(path).form(path)))
    pages = [None] * 20
    barrier = threading.Barrier(20)

    def decide(index):
        session, form = forms[index]
        barrier.wait()
        pages[index] = session.submit(form, code=request["code"])

    threads = [threading.Thread(target=decide, args=(index,)) for index in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [page for page in pages if page.location == "/nodes"]
    # Who decided the same is told that it is done; they are all one administrator.
    repeats = [page for page in pages if page.status == 303 and page.location != "/nodes"]
    losers = [page for page in pages if page.status == 409]
    assert (len(winners), len(repeats), len(losers)) == (1, 9, 10), [page.status for page in pages]
    state = nodes.rows("SELECT state FROM pairing_requests WHERE request_id = %s", request["requestId"])[0][0]
    for page in losers:
        assert f"already {state} by admin" in page.text, page.text
    decisions = nodes.rows(
        "SELECT count(*) FROM events WHERE request_id = %s AND event <> 'pairing.requested'", request["requestId"]
    )
    assert decisions == [(1,)]
