"""Agents answer devices: through nginx, a gateway, and a server that the test runs."""

import base64
import json
import secrets
import subprocess
import time

import pytest

from support.agents import DIES_HALF_WAY, GARBAGE, TEN_MEGABYTES, Agent, document, hang, is_signed, says, status
from support.deployment import Deployment, eventually

KEY = "sk-" + secrets.token_hex(16)
SECRET = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


@pytest.fixture
def keys(tmp_path):
    """The keys' files by agent."""
    files = {}
    for name, key in {"support": KEY, "readings": SECRET}.items():
        files[name] = tmp_path / f"{name}.key"
        files[name].touch(mode=0o600)
        files[name].write_text(key + "\n")
    return files


def send(device, message, identifier: str = "m1") -> dict:
    device.socket.request("message.send", {"messageId": identifier, "message": message})
    return device.socket.event("message")


def test_each_channel_has_its_agent_answer(deploy, keys):
    """A tablet's message goes to a chat completions server, a sensor's to a web hook, a phone's to echo."""
    chat = says(lambda body: f"You said {body['messages'][-1]['content']}.")
    with Agent(chat) as support, Agent(document({"thanks": True})) as readings:
        nodes: Deployment = deploy(
            gateways=1, kernels=1,
            settings={
                "agents": {
                    "support": {
                        "type": "openai", "url": support.url, "model": "m", "key_file": str(keys["support"]),
                        "system_prompt": "Be kind.",
                    },
                    "readings": {"type": "webhook", "url": readings.url, "key_file": str(keys["readings"])},
                },
                "channels": {"default_agents": {"web": "support", "iot": "readings"}},
                "log": {"level": "trace"},
            },
        )  # fmt: skip
        administrator = nodes.administrator()
        tablet, phone = nodes.device("web"), nodes.device("mobile")
        for device in (tablet, phone):
            device.pair(administrator)
        answer = send(tablet, {"type": "text", "text": "hello"})
        assert answer["agent"] == "support"
        assert answer["message"]["text"].split() == ["You", "said", "hello."]
        # It was shown while it came: the parts are its text, in order.
        parts = [event["payload"] for event in tablet.socket.events if event["event"] == "message.part"]
        assert [part["part"] for part in parts] == list(range(len(parts))) and len(parts) > 1
        assert "".join(part["text"] for part in parts) == answer["message"]["text"]
        assert {(part["inReplyTo"], part["agent"]) for part in parts} == {("m1", "support")}
        headers, body = support.requests[0]
        assert headers["Authorization"] == f"Bearer {KEY}"
        asked = json.loads(body)
        assert asked["stream"] is True and asked["messages"][0] == {"role": "system", "content": "Be kind."}
        # The server learns a stable name and not who the device is.
        assert asked["user"].startswith("device-") and tablet.sender_id not in body.decode()
        send(tablet, {"type": "text", "text": "again"}, "m2")
        assert json.loads(support.requests[1][1])["user"] == asked["user"]
        assert support.requests[1][0]["Idempotency-Key"] != headers["Idempotency-Key"]
        # The conversation goes along.
        said = [(turn["role"], turn["content"].strip()) for turn in json.loads(support.requests[1][1])["messages"]]
        assert said == [
            ("system", "Be kind."), ("user", "hello"), ("assistant", "You said hello."), ("user", "again"),
        ]  # fmt: skip
        assert send(phone, {"a": 1})["agent"] == "echo"

        sensor = nodes.device("iot")
        reading = {"name": "temperature", "unit": "Cel", "type": "number", "periodMs": 60000}
        sensor.pair(administrator, metadata={"readings": [reading]})
        answer = send(sensor, {"readings": {"temperature": 21.5}})
        assert (answer["agent"], answer["message"]) == ("readings", {"thanks": True})
        headers, body = readings.requests[0]
        assert is_signed(headers, body, SECRET)
        data = json.loads(body)["data"]
        assert data["senderId"] == sensor.sender_id and data["channel"] == "iot"
        assert data["message"]["readings"] == [{"name": "temperature", "unit": "Cel", "value": 21.5}]

        def reported():
            told = json.loads(nodes.nodesctl("agents", "status", "--json").stdout)
            agents = {agent["name"]: agent for agent in told[0]["agents"] or []}
            return agents if agents.get("support", {}).get("answers") == 2 else None

        agents = eventually(reported, "the gateway tells how its agents are doing")
        assert set(agents) == {"echo", "readings", "support"}
        assert agents["readings"]["answers"] == 1 and agents["support"]["failures"] == 0
        assert 0 <= agents["support"]["medianMs"] <= agents["support"]["percentile99Ms"]
        assert agents["support"]["state"] == "working" and agents["support"]["lastFailure"] is None
        assert "support" in nodes.nodesctl("agents", "status").stdout
        assert 'agent_answer_seconds_count{agent="support"} 2' in nodes.status("gateway/0/metrics")[1]

        # No log holds a key, nor what was said, however much is logged.
        for process in nodes.processes:
            log = nodes.log_of(process)
            assert KEY not in log and SECRET not in log and SECRET.removeprefix("whsec_") not in log, process.name
            assert "hello." not in log


def test_an_agent_that_fails_for_a_while_is_asked_again_and_the_others_notice_nothing(deploy):
    with Agent(status(503, "warming up"), status(500), says("Here.")) as support, Agent(hang()) as stuck:
        nodes: Deployment = deploy(
            gateways=1, kernels=1,
            settings={
                "agents": {
                    "support": {"type": "openai", "url": support.url, "model": "m"},
                    "stuck": {"type": "openai", "url": stuck.url, "model": "m", "concurrency": 1},
                },
                "channels": {"default_agents": {"web": "support", "mobile": "stuck"}},
            },
        )  # fmt: skip
        administrator = nodes.administrator()
        phone, tablet = nodes.device("mobile"), nodes.device("web")
        for device in (phone, tablet):
            device.pair(administrator)
        for number in range(3):
            phone.socket.request("message.send", {"messageId": f"m{number}", "message": {"a": number}})
        eventually(lambda: stuck.requests, "the agent that hangs is asked")
        assert send(tablet, {"type": "text", "text": "hello"})["message"]["text"].strip() == "Here."
        keys = {headers["Idempotency-Key"] for headers, _ in support.requests}
        assert len(support.requests) == 3 and len(keys) == 1
        assert len(stuck.requests) == 1


def test_an_agent_that_hangs_or_talks_nonsense_is_not_noticed_by_a_hundred_devices_of_another(deploy):
    bad_answers = [GARBAGE, TEN_MEGABYTES, DIES_HALF_WAY, hang()]
    with Agent(says("Here.")) as good, Agent(*bad_answers) as bad:
        nodes: Deployment = deploy(
            gateways=1, kernels=1,
            settings={
                "agents": {
                    "good": {"type": "openai", "url": good.url, "model": "m", "context_messages": 0},
                    "bad": {
                        "type": "openai", "url": bad.url, "model": "m", "concurrency": 2, "attempts": 1,
                        "breaker_failures": 1000,
                    },
                },
                "channels": {"default_agents": {"web": "good", "mobile": "bad"}},
            },
        )  # fmt: skip
        administrator = nodes.administrator()
        phones = [nodes.device("mobile") for _ in range(4)]
        tablets = [nodes.device("web") for _ in range(100)]
        for device in phones + tablets:
            device.pair(administrator)

        def round_trips(identifier: str) -> float:
            """The longest time that a device waited, all of them at once."""
            began = time.monotonic()
            for tablet in tablets:
                tablet.socket.send("message.send", {"messageId": identifier, "message": {"type": "text", "text": "hi"}})
            for tablet in tablets:
                assert tablet.socket.event("message")["message"]["text"].strip() == "Here."
            return time.monotonic() - began

        round_trips("warm")
        alone = round_trips("alone")
        for phone in phones:
            phone.socket.request("message.send", {"messageId": "m", "message": {"a": 1}})
        beside = round_trips("beside")
        failed = [phone.socket.event("message.failed") for phone in phones[:3]]
        # Each of those who talk to it is told how it went; nobody else waited for that.
        assert {event["reason"] for event in failed} <= {"invalid_answer", "unreachable", "timed_out"}
        assert not any(event["retrying"] for event in failed)
        eventually(lambda: len(bad.requests) == 4, "the bad agent was asked in each of its ways")
        assert beside < 3 * alone + 2, f"{beside:.2f} s beside it, {alone:.2f} s alone"
        print(f"100 devices: {alone:.2f} s alone, {beside:.2f} s beside the bad agent")


def test_a_gateway_with_an_unusable_key_names_the_setting_and_does_not_start(nodes: Deployment, tmp_path):
    file = tmp_path / "gateway.json"
    settings = json.loads((nodes.config / "gateway-0.json").read_text())
    settings["agents"] = {"support": {"type": "openai", "url": "http://a", "model": "m", "key_env": "NOT_SET"}}
    settings["gateway"]["socket"] = str(tmp_path / "gateway.sock")
    file.write_text(json.dumps(settings))
    done = subprocess.run(
        [nodes.binaries / "nodes-gateway", "--config", file],
        env=nodes.environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0
    assert "agents.support.key_env: the variable NOT_SET is not set" in done.stdout + done.stderr
