"""A channel in Rust, from docs/channel-authors.md: it builds, passes the check, and serves devices."""

import json
import pathlib
import re
import subprocess

import pytest
from support.channels import check
from support.deployment import deployed
from support.device import Device, Refused, TokenCredential
from support.walk import Walk, blocks, restart_servers, section

LIBRARY = "my-gauge/target/release/libgauge.so"


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """A deployment after the document's commands, which need no network and give no warning."""
    home = tmp_path_factory.mktemp("authors")
    with deployed(gateways=1, kernels=1) as nodes:
        walk = Walk(nodes, home, CARGO_NET_OFFLINE="true", RUSTFLAGS="-D warnings", CARGO_TARGET_DIR="target")
        build_and_install, pair = blocks(section("Rust"), "sh")
        said = walk.run(build_and_install)
        restart_servers(nodes)
        yield nodes, walk, home / LIBRARY, said, pair


@pytest.fixture(scope="module")
def gauge(walked) -> Device:
    """A gauge that is paired and connected."""
    nodes, *_ = walked
    device = nodes.device("gauge", "gauge-7")
    device.granted = device.pair(nodes.administrator())
    return device


def say(device: Device, message, identifier: str) -> dict:
    return device.socket.request("message.send", {"messageId": identifier, "message": message})


def heard(device: Device) -> tuple[dict, dict]:
    """What the device hears of its message, and what the agent answers."""
    return device.socket.event("taken"), device.socket.event("show")


def refused(action) -> Refused:
    with pytest.raises(Refused) as refusal:
        action()
    return refusal.value


def test_it_passes_every_check_and_shows_one_symbol(walked):
    nodes, _, library, said, _ = walked
    assert ", 0 failed, 0 with warnings" in said, said
    assert re.search(r"^gauge +Gauges +1\.0\.0 +1\.0 +optional", said, re.M), said
    status, report = check(pathlib.Path(nodes.binaries), library, "--sender", "gauge-7", "--message", '"slow"')
    assert status == 0 and report["checks"]["tickets"]["outcome"] == "passed", report
    for text, seen in (('{"a": {"model": 1}, "x": ["model"], "model": "T, {1}"}', "Number, Credential, Model"),
                       ('{"a": {"model": 1}, "x": ["model"], "y": "model"}', "Number, Credential")):
        _, report = check(pathlib.Path(nodes.binaries), library, "--sender", "gauge-7", "--message", "1", "--metadata", text)
        assert f"The administrator sees {seen}." in report["checks"]["review.ordinary"]["seen"], report
    symbols = subprocess.run(
        ["nm", "-D", "--defined-only", "--extern-only", library], capture_output=True, text=True, check=True
    )
    assert symbols.stdout.split()[1:] == ["T", "goclaw_channel_entry"]


def test_a_device_is_paired_as_the_document_says_and_the_administrator_sees_its_number(walked, tmp_path):
    _, walk, _, _, pair = walked
    page = walk.pair(pair, "gauge-1", tmp_path / "device")
    assert "Number 1" in page and "Credential key" in page, page


def test_its_rules_for_a_request_are_kept(walked):
    nodes, *_ = walked
    for name in ("meter-1", "gauge-", "gauge-one", "gauge-4294967296"):
        refusal = refused(nodes.device("gauge", name).ask)
        assert (refusal.code, refusal.reason) == ("INVALID_REQUEST", "invalid_sender_id")
        assert "such as gauge-1" in refusal.error["message"]
    request = nodes.device("gauge", "gauge-2", TokenCredential()).ask()
    assert 0 < request["expiresInMs"] <= 10 * 60 * 1000


def test_a_reading_a_note_and_one_that_takes_a_ticket_are_taken_and_answered(gauge):
    for number, (message, to_agent) in enumerate(
        [(-21.5, {"reading": -21.5}), ("open", {"note": "open"}), ("slow", {"note": "slow"})], start=1
    ):
        assert say(gauge, message, f"m-{number}")["messageSeq"] == number
        taken, shown = heard(gauge)
        assert taken == {"number": number}
        assert shown == {"messageSeq": number, "show": to_agent}


def test_what_is_no_reading_is_refused_for_a_reason_to_act_on(gauge):
    for message in ({"reading": 1}, [1], True):
        refusal = refused(lambda message=message: say(gauge, message, "m-wrong"))
        assert (refusal.code, refusal.reason) == ("INVALID_REQUEST", "invalid_message")
        assert "send a number" in refusal.error["message"]
    assert gauge.granted["limits"]["maxBodyBytes"] == 1024
    assert refused(lambda: say(gauge, "x" * 1024, "m-large")).reason == "message_too_large"


def test_its_counter_and_its_gauge_are_in_the_gateways_metrics(walked, gauge):
    nodes, *_ = walked

    def value(name: str) -> float | None:
        found = re.search(rf'{name}\S*channel="gauge"\S* (\S+)', nodes.status("gateway/0/metrics")[1])
        return found and float(found[1])

    before = value("messages_accepted") or 0
    say(gauge, 1e3, "m-counted")
    assert value("messages_accepted") == before + 1
    assert value("last_reading") == 1000


def test_a_configuration_is_refused_as_it_takes_none(walked, tmp_path):
    nodes, *_ = walked
    settings = json.loads((nodes.config / "nodesctl.json").read_text())
    settings.setdefault("channels", {})["config"] = {"gauge": {"unit": "bar"}}
    path = tmp_path / "nodes.json"
    path.write_text(json.dumps(settings))
    listed = json.loads(nodes.nodesctl("channels", "--json", "--config", str(path), check=False).stdout)
    [channel] = listed["refused"]
    assert "gauge has nothing to configure" in channel["reason"]
