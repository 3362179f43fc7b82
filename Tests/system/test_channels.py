"""Messages pass through the device's channel, whose rules hold, and whose faults are its own (DESIGN 8)."""

import hashlib
import json
import os
import pathlib
import signal
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from support.deployment import ROOT, Deployment, deployed, eventually
from support.device import PATIENCE, Device, KeyCredential, Refused, TokenCredential
from websockets.exceptions import ConnectionClosed, InvalidHandshake

READINGS = [
    {"name": "temperature", "unit": "Cel", "type": "number", "min": -40, "max": 85, "periodMs": 60000},
    {"name": "door", "unit": "1", "type": "boolean", "periodMs": 500},
]


def say(device: Device, message, identifier: str | None = None, timeout: float = PATIENCE) -> dict:
    identifier = identifier or os.urandom(8).hex()
    return device.socket.request("message.send", {"messageId": identifier, "message": message}, timeout)


def refusal_of(device: Device, message) -> Refused:
    with pytest.raises(Refused) as refusal:
        say(device, message)
    return refusal.value


def paired(nodes: Deployment, channel: str, gateway: int | None = None, **params) -> Device:
    device = nodes.device(channel)
    device.granted = device.pair(nodes.administrator(), gateway, **params)
    return device


# The three channels of this repository, side by side.


def test_a_sensors_readings_reach_the_agent_with_their_units_and_only_as_declared(nodes: Deployment):
    sensor = paired(nodes, "iot", metadata={"readings": READINGS})
    limits = sensor.granted["limits"]
    assert limits["messagesPerSecond"] == 10 and limits["messagesBurst"] == 20
    assert limits["maxBodyBytes"] == 64 * 1024
    say(sensor, {"readings": {"temperature": 21.5, "door": True}, "at": 1764000000000})
    heard = sensor.socket.event("message")
    assert heard["agent"] == "echo" and heard["messageSeq"] == 1
    assert heard["message"] == {
        "type": "readings",
        "at": 1764000000000,
        "readings": [
            {"name": "temperature", "unit": "Cel", "value": 21.5},
            {"name": "door", "unit": "1", "value": True},
        ],
    }
    too_hot = refusal_of(sensor, {"readings": {"temperature": 86}})
    assert too_hot.code == "INVALID_REQUEST" and too_hot.reason == "invalid_reading"
    assert "temperature" in too_hot.error["message"] and "85" in too_hot.error["message"]
    unknown = refusal_of(sensor, {"readings": {"humidity": 1}})
    assert unknown.reason == "unknown_reading" and "humidity" in unknown.error["message"]
    # What was refused took no number.
    assert say(sensor, {"type": "ack", "command": "reboot", "ok": True})["messageSeq"] == 2


def test_a_sensor_is_held_to_its_channels_rate_which_connect_tells_it(deploy):
    # Slow enough that sixty messages in a row are always too many.
    settings = {"channels": {"config": {"iot": {"messagesPerSecond": 1}}}}
    nodes = deploy(gateways=1, kernels=1, settings=settings)
    sensor = paired(nodes, "iot", metadata={"readings": READINGS})
    limits = sensor.granted["limits"]
    assert limits["messagesPerSecond"] == 1 and limits["messagesBurst"] == 20
    refused = None
    for _ in range(60):
        try:
            say(sensor, {"readings": {"door": True}})
        except Refused as refusal:
            refused = refusal
            break
    assert refused and refused.code == "RESOURCE_EXHAUSTED" and refused.reason == "too_many_messages"
    assert 0 < refused.retry_after_ms <= 1000
    time.sleep(refused.retry_after_ms / 1000)
    say(sensor, {"readings": {"door": False}})
    large = refusal_of(sensor, {"type": "ack", "command": "x", "ok": True, "detail": "x" * 65 * 1024})
    assert large.reason == "message_too_large"


def test_an_app_is_told_what_became_of_its_message_and_receipts_travel_as_such(nodes: Deployment):
    app = paired(nodes, "mobile", metadata={"platform": "ios", "appVersion": "2.4.1"})
    say(app, {"text": "hello"}, "m-1")
    assert app.socket.event("receipt") == {"messageId": "m-1", "status": "delivered"}
    assert app.socket.event("message")["message"] == {"text": "hello"}
    receipt = {"type": "receipt", "messageId": "m-1", "status": "read"}
    nodes.nodesctl("messages", "push", app.sender_id, json.dumps(receipt), "--id", "p-1")
    # To the app an agent's receipt is one, not a message.
    assert app.socket.event("receipt") == {"messageSeq": 2, "messageId": "m-1", "status": "read"}
    # What the app says of an agent's message is no question: the echo agent, that says everything back, says nothing.
    say(app, {"type": "receipt", "messageSeq": 1, "status": "read"})
    say(app, {"text": "next"}, "m-2")
    assert app.socket.event("receipt") == {"messageId": "m-2", "status": "delivered"}
    assert app.socket.event("message")["message"] == {"text": "next"}
    assert refusal_of(app, {"type": "receipt", "status": "lost"}).reason == "invalid_message"


def test_a_repeated_message_gets_the_channels_frames_again(nodes: Deployment):
    app = paired(nodes, "mobile", metadata={"platform": "ios"})
    first = say(app, 1, "m-1")
    assert say(app, 1, "m-1") == first
    for _ in range(2):
        assert app.socket.event("receipt")["messageId"] == "m-1"


def test_a_browser_may_type_without_anything_being_kept_and_send_no_text_beyond_the_limit(nodes: Deployment):
    browser = paired(nodes, "web")
    # Nobody is asked about it, and nothing is stored: the next message has its number.
    told = say(browser, {"type": "typing"}, "t-1")
    assert told == {"messageId": "t-1", "status": "ephemeral"}
    assert nodes.rows("SELECT count(*) FROM messages WHERE sender_key = lower(%s)", browser.sender_id) == [(0,)]
    assert say(browser, "é" * 32_000)["messageSeq"] == 1
    assert browser.socket.event("message")["message"] == "é" * 32_000
    assert refusal_of(browser, "é" * 32_001).reason == "text_too_long"


def test_an_old_app_a_missing_key_and_a_wrong_declaration_are_refused_for_a_reason_to_act_on(deploy):
    settings = {"channels": {"config": {"mobile": {"minimumVersions": {"ios": "2.4.0"}}}}}
    nodes = deploy(gateways=1, kernels=1, settings=settings)
    old = nodes.device("mobile")
    with pytest.raises(Refused) as refusal:
        old.ask(metadata={"platform": "ios", "appVersion": "2.3.9"})
    assert refusal.value.reason == "app_version_too_old"
    assert "2.3.9" in refusal.value.error["message"] and "2.4.0" in refusal.value.error["message"]
    with pytest.raises(Refused) as refusal:
        nodes.device("iot", credential=TokenCredential()).ask(metadata={"readings": READINGS})
    assert refusal.value.reason == "key_required" and "publicKey" in refusal.value.error["message"]
    with pytest.raises(Refused) as refusal:
        nodes.device("iot").ask(metadata={"readings": [{**READINGS[0], "periodMs": 1}]})
    assert "temperature" in refusal.value.error["message"] and "periodMs" in refusal.value.error["message"]
    # All three at the same time on the one gateway.
    administrator = nodes.administrator()
    for channel, metadata in (
        ("web", {}), ("mobile", {"platform": "ios", "appVersion": "2.4.0"}), ("iot", {"readings": READINGS}),
    ):
        device = nodes.device(channel)
        device.pair(administrator, metadata=metadata)
        device.socket.request("health")


# A plugin that does what messages tell it, beside the others.


def install(folder: pathlib.Path, animal: str) -> None:
    """Compiles a plugin of the zoo into the channels' folder."""
    library = folder / f"{animal}.so"
    subprocess.run(
        [
            "gcc", "-std=c11", "-D_GNU_SOURCE", "-shared", "-fPIC", f"-I{ROOT}/Sources/CGoClawChannel/include",
            f"{ROOT}/Tests/PluginZoo/{animal}.c", "-o", library,
        ],
        check=True,
    )  # fmt: skip
    digest = hashlib.sha256(library.read_bytes()).hexdigest()
    manifest = {"id": animal, "version": "1.0.0", "abi": "1.0", "sha256": digest}
    (folder / f"{animal}.json").write_text(json.dumps(manifest))


@pytest.fixture
def zoo():
    """Two gateways with the channel `obedient` beside the usual ones; its calls have three seconds."""
    settings = {"channels": {"call_timeout": "3s"}}
    with deployed(gateways=2, kernels=1, settings=settings) as nodes:
        install(nodes.state / "channels", "obedient")
        for process in nodes.gateways + nodes.kernels:
            nodes.restart(process)
        yield nodes


def readiness(nodes: Deployment, gateway: int) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{nodes.status_port}/gateway/{gateway}/readyz") as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_calls_that_never_return_disable_their_channel_alone_and_the_process_says_that_it_needs_a_restart(zoo):
    browser = paired(zoo, "web", 0)
    stuck = [paired(zoo, "obedient", 0) for _ in range(2)]
    spare = paired(zoo, "obedient", 0)
    assert readiness(zoo, 0)[0] == 200
    for device in stuck:
        refusal = refusal_of(device, "hang")
        assert refusal.code == "UNAVAILABLE" and refusal.reason == "channel_timeout"
    refusal = refusal_of(spare, 1)
    assert refusal.code == "UNAVAILABLE" and refusal.reason == "channel_out_of_service"
    assert refusal.retry_after_ms
    status, text = readiness(zoo, 0)
    assert status == 503 and "channel" in text, text
    assert readiness(zoo, 1)[0] == 200
    # The others work at full speed, here and on the other instance.
    started = time.monotonic()
    for number in range(20):
        say(browser, number)
        assert browser.socket.event("message")["message"] == number
    assert time.monotonic() - started < 30
    other = paired(zoo, "obedient", 1)
    say(other, 1)
    # A restart brings the channel back; the process ends in time though two of its threads never do.
    zoo.restart(zoo.gateways[0])
    assert readiness(zoo, 0)[0] == 200
    spare.reconnect(0)
    say(spare, 1)


def test_a_plugin_that_crashes_takes_its_process_with_it_and_nothing_acknowledged_is_lost(zoo):
    browser, victim = paired(zoo, "web", 0), paired(zoo, "obedient", 0)
    elsewhere = paired(zoo, "web", 1)
    # Accepted and answered, but not acknowledged by the device.
    say(victim, "split")
    assert [victim.socket.event("says")["messageSeq"] for _ in range(2)] == [1, 2]
    say(browser, "kept")
    assert browser.socket.event("message")["message"] == "kept"
    victim.socket.send("message.send", {"messageId": "poison", "message": "crash"})
    eventually(lambda: not zoo.gateways[0].is_running, "the plugin's crash ends its process")
    say(elsewhere, 1)
    zoo.restart(zoo.gateways[0])
    for device, event in ((browser, "message"), (victim, "says")):
        device.reconnect(0)
        assert device.socket.event(event)["messageSeq"] == 1
    assert victim.socket.event("says")["messageSeq"] == 2
    # The message that crashed it was never acknowledged, nor stored.
    assert say(victim, 1)["messageSeq"] == 2


@pytest.fixture
def fragile():
    """One gateway with the channel `obedient`; what crashes it is tried twice once that is suspected."""
    with deployed(gateways=1, kernels=1, settings={"messages": {"delivery_attempts": 2}}) as nodes:
        install(nodes.state / "channels", "obedient")
        for process in nodes.gateways + nodes.kernels:
            nodes.restart(process)
        yield nodes


def crashes_until(nodes: Deployment, body):
    """How often the gateway died before `body` went through, and what that returned.

    On a busy machine its backtrace takes longer than a call may, so that the device hears of a channel that did not answer.
    """
    for crashes in range(10):
        try:
            return crashes, body()
        except (ConnectionClosed, InvalidHandshake, OSError, TimeoutError, Refused) as error:
            if isinstance(error, Refused) and error.reason != "channel_timeout":
                raise
            eventually(lambda: not nodes.gateways[0].is_running, "the plugin's crash ends its process")
            nodes.restart(nodes.gateways[0])
    raise AssertionError("the message crashes the gateway again and again")


def test_i4_a_message_that_crashes_its_channel_is_tried_a_bounded_number_of_times_and_the_next_arrives(fragile):
    victim, other = paired(fragile, "obedient", 0), paired(fragile, "web", 0)

    def send_poison() -> dict:
        victim.reconnect(0)
        victim.reconnect(0)
        return victim.socket.request("message.send", {"messageId": "poison", "message": "crash"})

    crashes, receipt = crashes_until(fragile, send_poison)
    # Once before anybody suspects it, then as often as it may be tried. A session that ended before it said anything,
    # and a device that connects twice, leave the suspicion as it was.
    assert crashes == 3
    told = {"inReplyTo": "poison", "reason": "channel_crashed", "retrying": False}
    assert victim.socket.event("message.failed") == told
    report = victim.socket.request("message.status", {"messageId": "poison"})
    assert (report["status"], report["reason"]) == ("undeliverable", "channel_crashed")
    assert report["messageSeq"] == receipt["messageSeq"] == 1
    assert say(victim, 1)["messageSeq"] == 2
    first = victim.socket.event("says")["messageSeq"]
    victim.socket.request("message.ack", {"messageSeq": first})

    # The same on the way to the device: its agent's answer crashes the channel.
    victim.socket.send("message.send", {"messageId": "later", "message": "crash later"})
    eventually(lambda: not fragile.gateways[0].is_running, "the plugin's crash ends its process")
    fragile.restart(fragile.gateways[0])

    def is_spared() -> dict:
        victim.reconnect(0)
        say(victim, 2)
        return victim.socket.event("says")

    crashes, said = crashes_until(fragile, is_spared)
    assert crashes == 2 and said["messageSeq"] == first + 2
    report = victim.socket.request("message.status", {"messageId": "later"})
    assert (report["status"], report["reason"]) == ("undeliverable", "channel_crashed")
    assert fragile.rows("SELECT count(*) FROM messages WHERE ended = 'undeliverable'") == [(2,)]
    # Who was there meanwhile lost nothing.
    other.reconnect(0)
    say(other, "still here")
    assert other.socket.event("message")["message"] == "still here"


def test_a_channel_refuses_a_session_and_ends_one_with_its_own_reason(zoo):
    administrator = zoo.administrator()
    unwelcome = zoo.device("obedient", "unwelcome")
    unwelcome.dial()
    request = unwelcome.ask()
    administrator.approve(request["requestId"], request["code"])
    # Approved, but its channel does not take it: the device learns why when it connects.
    assert unwelcome.socket.event("device.pair.resolved").get("status") != "paired"
    with pytest.raises(Refused) as refusal:
        unwelcome.connect()
    assert refusal.value.code == "FORBIDDEN" and refusal.value.error["message"] == "You fed the bears."
    guest = paired(zoo, "obedient")
    assert guest.socket.event("welcome") == {}
    guest.socket.send("message.send", {"messageId": "m", "message": "leave"})
    assert guest.socket.wait_closed() == (1008, "closing time")


def test_a_silent_device_is_given_up_after_its_channels_silence(zoo, tmp_path):
    """The plugin asks for pings every second, and for ten seconds of silence at most."""
    granted = paired(zoo, "obedient").granted["limits"]
    assert granted["pingIntervalMs"] == 1000 and granted["silenceTimeoutMs"] == 10_000
    address = zoo.origin.replace("http", "ws") + "/ws"
    report = (tmp_path / "report").open("w+")
    command = [
        zoo.binaries / "nodesctl", "device", "--url", address, "--channel", "obedient", "--sender", "sleeper",
        "--json", "--state", tmp_path / "sleeper.json",
    ]  # fmt: skip
    device = subprocess.Popen(command, env=zoo.environment, stdout=report, stderr=subprocess.STDOUT)
    try:
        def events() -> list[dict]:
            text = (tmp_path / "report").read_text()
            return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

        def has(name: str) -> bool:
            return any(event.get("event") == name for event in events())

        waiting = eventually(lambda: next((e for e in events() if e.get("event") == "waiting"), None), "a code")
        zoo.administrator().approve(waiting["requestId"], waiting["code"])
        eventually(lambda: has("connected"), "connected")
        os.kill(device.pid, signal.SIGSTOP)
        silent_since = time.monotonic()
        eventually(
            lambda: zoo.rows("SELECT instance_id FROM device_sessions WHERE sender_key = 'sleeper'") == [(None,)],
            "the silent device's session is ended",
        )
        # Sooner than the 75 seconds that a channel has by default.
        assert time.monotonic() - silent_since < 40
        os.kill(device.pid, signal.SIGCONT)
        eventually(lambda: has("disconnected"), "the device notices")
    finally:
        os.kill(device.pid, signal.SIGCONT)
        device.kill()
        device.wait()
        report.close()
