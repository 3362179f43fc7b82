"""What channels declare and the servers keep: batches for agents, and word of devices that fell silent."""

import base64
import hashlib
import json
import os
import secrets
import subprocess
import sys
import threading

import pytest
from support.agents import Agent, respond
from support.channels import compile_c
from support.deployment import ROOT, Deployment, deployed, eventually
from test_administrators_socket import make_token, signed_in


class Listener(Agent):
    """A web hook's receiver that takes everything, and answers only what asks for it."""

    def __init__(self) -> None:
        super().__init__(self._answer)

    @staticmethod
    def _answer(handler) -> None:
        message = json.loads(handler.request_body)["data"]["message"]
        if isinstance(message, dict) and "question" in message:
            respond(handler, 200, b'{"answer": 42}', Content_Type="application/json")
        else:
            respond(handler, 202, b"")

    def heard(self, sender_id: str) -> list:
        """The messages of a device, in the order in which they came; a request that was repeated counts once."""
        bodies = {}
        for headers, body in list(self.requests):
            data = json.loads(body)["data"]
            if data["senderId"] == sender_id:
                identifier = next(value for name, value in headers.items() if name.lower() == "webhook-id")
                bodies.setdefault(identifier, data["message"])
        return list(bodies.values())


@pytest.fixture(scope="module")
def agent():
    with Listener() as agent:
        yield agent


@pytest.fixture(scope="module")
def nodes(agent, tmp_path_factory):
    """Two gateways, batches of three seconds, and a channel that wants to know of silence after two seconds, and no
    message delivered after one."""
    key = tmp_path_factory.mktemp("keys") / "readings.key"
    key.touch(mode=0o600)
    key.write_text("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())
    settings = {
        "agents": {"readings": {"type": "webhook", "url": agent.url, "key_file": str(key)}},
        "channels": {"default_agents": {"iot": "readings", "zoo": "readings", "mobile": "readings"}},
        "messages": {"batch_wait": "3s"},
    }
    with deployed(gateways=2, kernels=1, settings=settings) as nodes:
        folder = nodes.state / "channels"
        periods = "static const uint64_t periods[] = {2000}; description.silence_periods_ms = periods"
        library = compile_c(
            ROOT / "Tests/PluginZoo/declares.c", folder / "zoo.so",
            f"-DASSIGNMENT={periods}; description.silence_count = 1; description.command_lifetime_ms = 1000",
        )  # fmt: skip
        library.chmod(0o755)
        digest = hashlib.sha256(library.read_bytes()).hexdigest()
        manifest = {"id": "zoo", "version": "1.0.0", "abi": "1.2", "sha256": digest}
        (folder / "zoo.json").write_text(json.dumps(manifest))
        (folder / "zoo.json").chmod(0o644)
        for process in nodes.gateways + nodes.kernels:
            nodes.restart(process)
        yield nodes


def test_an_agent_gets_every_reading_once_and_in_order_in_batches_across_the_end_of_a_gateway(
    nodes: Deployment, agent, tmp_path
):
    command = [
        sys.executable, str(ROOT / "docs/examples/sensor.py"), nodes.origin.replace("http", "ws") + "/ws", "hall-1",
        str(tmp_path / "hall-1.json"), "--every", "0.2",
    ]  # fmt: skip
    told: list[dict] = []
    sensor = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    reader = threading.Thread(target=lambda: told.extend(map(json.loads, sensor.stdout)), daemon=True)
    reader.start()
    try:
        waiting = eventually(lambda: [event for event in told if event["event"] == "waiting"], "the sensor asks")[0]
        nodes.administrator().approve(waiting["requestId"], waiting["code"])

        def readings() -> list[list]:
            return [message for message in agent.heard("hall-1") if isinstance(message, list)]

        eventually(lambda: len(readings()) >= 2, "batches arrive")
        ((instance,),) = nodes.rows(
            "SELECT i.name FROM device_sessions AS s JOIN instances AS i USING (instance_id) WHERE sender_key = 'hall-1'"
        )
        gateway = next(process for process in nodes.gateways if process.name == instance)
        nodes.kill(gateway)
        nodes.restart(gateway)
        before = len(readings())
        eventually(lambda: len(readings()) >= before + 3, "batches arrive again")
    finally:
        sensor.kill()
        sensor.wait()
        reader.join(10)

    # It is reported silent once it has missed three of its periods, but not before 3 s; and back.
    def reported() -> list[str]:
        return [message["type"] for message in agent.heard("hall-1") if "silentMs" in message]

    eventually(lambda: reported()[-1:] == ["silent"], "the sensor is reported silent")
    assert agent.heard("hall-1")[-1]["silentMs"] >= 3000
    sensor = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    again = threading.Thread(target=lambda: told.extend(map(json.loads, sensor.stdout)), daemon=True)
    again.start()
    try:
        eventually(lambda: reported()[-1:] == ["back"], "the sensor is reported back")
    finally:
        sensor.kill()
        sensor.wait()
        again.join(10)
    accepted = max(event["messageSeq"] for event in told if event["event"] == "accepted")
    open_ones = "SELECT count(*) FROM messages WHERE sender_key = 'hall-1' AND direction = 'in' AND done_at IS NULL"
    eventually(lambda: nodes.rows(open_ones) == [(0,)], "what was accepted arrives")
    # A batch that was with the agent when its gateway died may have been asked about again, as it was or longer.
    times, again = [], 0
    for batch in readings():
        for reading in batch:
            if times and reading["at"] <= times[-1]:
                again += 1
            else:
                times.append(reading["at"])
    ((sent,),) = nodes.rows("SELECT count(*) FROM messages WHERE sender_key = 'hall-1' AND direction = 'in'")
    assert len(times) == sent >= accepted
    assert again <= max(map(len, readings()))
    assert max(map(len, readings())) >= 5


def test_an_agent_is_told_of_a_device_that_fell_silent_and_of_its_return(nodes: Deployment, agent):
    device = nodes.device("zoo", "watch-1")
    device.pair(nodes.administrator())

    def told() -> list[str]:
        return [message["type"] for message in agent.heard("watch-1") if "silentMs" in message]

    def send(identifier: str) -> None:
        device.socket.request("message.send", {"messageId": identifier, "message": {"identifier": identifier}})

    send("m1")
    assert told() == []
    eventually(lambda: told() == ["silent"], "the agent is told of the silence")
    assert agent.heard("watch-1")[-1]["silentMs"] >= 2000
    send("m2")
    eventually(lambda: told()[:2] == ["silent", "back"], "the agent is told of the return")
    # It holds for a device that is away as well, and whoever watched may die.
    device.close()
    for gateway in nodes.gateways:
        nodes.kill(gateway)
        nodes.restart(gateway)
    eventually(lambda: told()[:3] == ["silent", "back", "silent"], "the agent is told of the second silence")
    device.reconnect()
    send("m3")
    eventually(lambda: told()[:4] == ["silent", "back", "silent", "back"], "the agent is told of the second return")
    # What is revoked is not watched any more.
    nodes.administrator().revoke("watch-1")
    eventually(
        lambda: nodes.rows("SELECT due_at IS NULL FROM device_silence WHERE sender_key = 'watch-1'") == [(True,)],
        "nobody looks at the device any more",
    )


def test_receipts_of_an_app_are_carried_back_to_the_agent_that_said_the_message(nodes: Deployment, agent):
    app = nodes.device("mobile", "phone-1")
    app.pair(nodes.administrator())
    program = signed_in(nodes, make_token(nodes, "send"))

    def receipts() -> list[dict]:
        return [message for message in agent.heard("phone-1") if message.get("type") == "receipt"]

    def receipt(number: int, status: str, identifier: str) -> dict:
        said = {"type": "receipt", "messageSeq": number, "status": status}
        return app.socket.request("message.send", {"messageId": identifier, "message": said})

    # The agent's answer, and what a program has it say.
    app.socket.request("message.send", {"messageId": "q1", "message": {"question": 1}})
    assert app.socket.event("message")["message"] == {"answer": 42}
    program.request(
        "message.push", {"senderId": "phone-1", "pushId": "p1", "agent": "readings", "message": "wake up"}
    )
    assert app.socket.event("message")["messageSeq"] == 2
    receipt(1, "delivered", "r1")
    receipt(1, "read", "r2")
    report = program.request("message.status", {"senderId": "phone-1", "pushId": "p1"})
    assert report["status"] == "accepted" and "readAt" not in report
    receipt(2, "read", "r3")
    # Repeated, and of a message that does not exist: no harm.
    receipt(2, "read", "r3")
    receipt(99, "read", "r4")
    app.socket.request("message.ack", {"messageSeq": 2})
    eventually(lambda: len(receipts()) == 3, "the agent hears of all three")
    times = [message["at"] for message in receipts()]
    assert times == sorted(times)
    assert receipts() == [
        {"type": "receipt", "status": "delivered", "messageSeq": 1, "inReplyTo": "q1", "at": times[0]},
        {"type": "receipt", "status": "read", "messageSeq": 1, "inReplyTo": "q1", "at": times[1]},
        {"type": "receipt", "status": "read", "messageSeq": 2, "pushId": "p1", "at": times[2]},
    ]
    report = program.request("message.status", {"senderId": "phone-1", "pushId": "p1"})
    assert report["status"] == "delivered" and report["readAt"] == times[2]
    # What an agent answers to a receipt is for nobody.
    assert nodes.rows("SELECT count(*) FROM messages WHERE sender_key = 'phone-1' AND direction = 'out'") == [(2,)]
    open_ones = "SELECT count(*) FROM messages WHERE sender_key = 'phone-1' AND done_at IS NULL"
    eventually(lambda: nodes.rows(open_ones) == [(0,)], "nothing waits")


def test_an_app_is_told_that_its_agent_begins_to_answer(nodes: Deployment, agent):
    app = nodes.device("mobile", "phone-2")
    app.pair(nodes.administrator())
    app.socket.request("message.send", {"messageId": "q1", "message": {"question": 1}})
    assert app.socket.event("typing") == {"inReplyTo": "q1", "agent": "readings"}
    assert app.socket.event("message")["inReplyTo"] == "q1"


def test_what_an_agent_says_is_not_delivered_after_its_time(nodes: Deployment, agent):
    device = nodes.device("zoo", "late-1")
    device.pair(nodes.administrator())
    program = signed_in(nodes, make_token(nodes, "send"))

    def report(identifier: str) -> dict:
        return program.request("message.status", {"senderId": "late-1", "pushId": identifier})

    # In time.
    program.request("message.push", {"senderId": "late-1", "pushId": "p1", "message": 1})
    assert device.socket.event("message")["message"] == 1
    device.socket.request("message.ack", {"messageSeq": 1})
    assert report("p1")["status"] == "delivered"
    # The device is away: what a program pushes ends, but where it says itself how long it is wanted, and so does what
    # an agent answers.
    device.socket.send("message.send", {"messageId": "m1", "message": {"question": 1}})
    eventually(lambda: agent.heard("late-1"), "the agent is asked")
    device.socket.cut()
    program.request("message.push", {"senderId": "late-1", "pushId": "p2", "message": 2})
    program.request("message.push", {"senderId": "late-1", "pushId": "p3", "message": 3, "expiresInMs": 600_000})
    eventually(lambda: report("p2")["status"] == "expired", "the push ends")
    answers = "SELECT ended FROM messages WHERE sender_key = 'late-1' AND direction = 'out' AND push_id IS NULL"
    eventually(lambda: nodes.rows(answers) == [("expired",)], "the answer ends")
    assert report("p3")["status"] == "accepted"
    device.reconnect()
    assert device.socket.event("message")["message"] == 3
