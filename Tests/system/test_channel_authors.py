"""Whoever follows docs/channel-authors.md has a channel that works."""

import json
import pathlib
import re
import subprocess

import pytest
from support.channels import compile_c, compile_swift
from support.deployment import ROOT, deployed
from support.device import Refused, TokenCredential
from support.walk import EXAMPLES, Walk, blocks, restart_servers, section


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """A deployment, and the walk in C as far as the restart of the servers; then the Swift channel is there too."""
    with deployed(
        gateways=1, kernels=1, settings={"channels": {"config": {"sensor": {"rooms": ["kitchen"]}}}}
    ) as nodes:
        text = section("Fifteen minutes in C")
        _, copy_header, build, look, *rest = blocks(text, "sh")
        walk = Walk(nodes, tmp_path_factory.mktemp("authors"))
        walk.run(copy_header)
        for name, language in (("echo.c", "c"), ("Makefile", "make")):
            (walk.folder / name).write_text(blocks(text, language)[0])
        walk.run(build)
        sources = list((EXAMPLES / "swift-sensor/Sources").rglob("*.swift"))
        compile_swift(pathlib.Path(nodes.binaries), "SensorChannel", sources, walk.folder / "libSensorChannel.so")
        walk.run('"$NODES/scripts/install-channels" "$CHANNELS" libSensorChannel.so')
        restart_servers(nodes)
        yield nodes, walk, look, rest


def test_the_listings_of_the_document_are_the_examples():
    c, swift = section("Fifteen minutes in C"), section("Fifteen minutes in Swift")
    assert blocks(c, "c") == [(EXAMPLES / "c-echo/echo.c").read_text()]
    assert blocks(c, "make") == [(EXAMPLES / "c-echo/Makefile").read_text()]
    assert blocks(swift, "swift") == [
        (EXAMPLES / "swift-sensor/Package.swift").read_text(),
        (EXAMPLES / "swift-sensor/Sources/SensorChannel/SensorChannel.swift").read_text(),
    ]


def test_the_c_example_builds_where_it_stands_with_one_command(tmp_path):
    example = tmp_path / "Plugins/Examples/c-echo"
    example.mkdir(parents=True)
    (tmp_path / "Sources").symlink_to(ROOT / "Sources")
    for name in ("echo.c", "Makefile"):
        (example / name).write_bytes((EXAMPLES / "c-echo" / name).read_bytes())
    subprocess.run(["make"], cwd=example, check=True, capture_output=True)
    symbols = subprocess.run(
        ["nm", "-D", "--defined-only", "--extern-only", "echo.so"], cwd=example, capture_output=True, text=True
    )
    assert symbols.stdout.split()[1:] == ["T", "goclaw_channel_entry"]


def test_both_channels_are_loaded(walked):
    nodes, walk, look, _ = walked
    assert re.search(r"^echo +Echo +1\.0\.0 +1\.2 +optional", walk.run(look), re.M)
    listed = json.loads(nodes.nodesctl("channels", "--json").stdout)
    assert listed["refused"] == []
    assert sorted(channel["id"] for channel in listed["channels"]) == ["echo", "iot", "mobile", "openclaw", "sensor", "web"]


def test_a_device_is_paired_and_another_refused_as_the_walk_says(walked, tmp_path):
    _, walk, _, (pair, be_refused) = walked
    page = walk.pair(pair, "echo-1", tmp_path / "device")
    assert "Credential key" in page and "blue" in page, page
    said = walk.run(be_refused)
    assert "status 65" in said and "The senderId of an echo device begins with echo-, such as echo-1." in said


def test_the_channel_in_c_has_its_rules_and_limits_kept(walked):
    nodes, *_ = walked
    with pytest.raises(Refused) as refusal:
        nodes.device("echo", "parrot-2").ask()
    assert (refusal.value.code, refusal.value.reason) == ("INVALID_REQUEST", "invalid_sender_id")
    request = nodes.device("echo", "echo-2", TokenCredential()).ask(metadata={"colour": "red"})
    assert 0 < request["expiresInMs"] <= 10 * 60 * 1000
    listed = json.loads(nodes.nodesctl("requests", "list", "--json").stdout)
    [shown] = [pending for pending in listed if pending["requestId"] == request["requestId"]]
    details = {detail["label"]: detail["value"] for detail in shown["details"]}
    assert details == {"Credential": "token", "Metadata": '{"colour":"red"}'}
    counted = re.search(r'reviews_passed\S*channel="echo"\S* (\d+)', nodes.status("gateway/0/metrics")[1])
    assert counted and int(counted[1]) >= 1


def test_the_channel_in_swift_has_its_configuration_and_rules_kept(walked):
    nodes, *_ = walked

    def refused(metadata: dict, credential=None) -> Refused:
        with pytest.raises(Refused) as refusal:
            nodes.device("sensor", credential=credential).ask(metadata=metadata)
        return refusal.value

    assert refused({"room": "kitchen"}, TokenCredential()).reason == "key_required"
    assert refused({"room": "cellar"}).reason == "unknown_room"
    assert "room" in refused({"model": "T-100"}).error["message"]
    assert nodes.device("sensor").ask(metadata={"room": "kitchen"})["status"] == "pending"


def test_a_wrong_configuration_refuses_the_channel_with_its_reason(walked, tmp_path):
    nodes, *_ = walked
    settings = json.loads((nodes.config / "nodesctl.json").read_text())
    settings["channels"]["config"] = {"echo": {"loud": True}, "sensor": {"rooms": []}}
    path = tmp_path / "nodes.json"
    path.write_text(json.dumps(settings))
    listed = json.loads(nodes.nodesctl("channels", "--json", "--config", str(path), check=False).stdout)
    reasons = [refused["reason"] for refused in listed["refused"]]
    assert all(reason.startswith("it cannot be configured: ") for reason in reasons)
    assert "nothing to configure" in reasons[0] and "rooms is empty" in reasons[1]


def test_a_channel_that_says_why_it_cannot_describe_itself_is_not_installed_for_that_reason(tmp_path):
    library = compile_c(ROOT / "Tests/PluginZoo/explaining_describe.c", tmp_path / "explaining.so")
    done = subprocess.run(
        [ROOT / "scripts/install-channels", tmp_path / "channels", library], capture_output=True, text=True
    )
    assert done.returncode == 1 and "The plate of this cage is missing." in done.stderr, done.stderr
    assert list((tmp_path / "channels").iterdir()) == []


def reasons_of_the_host() -> list[re.Pattern]:
    """Every sentence in the sources of the host, with anything where it has a value."""
    value = r"\\\((?:[^()]|\([^()]*\))*\)"
    patterns = []
    for path in (ROOT / "Sources/ChannelHost").glob("*.swift"):
        text = re.sub(r'"\s*\+\s*"', "", path.read_text())
        for sentence in re.findall(rf'"((?:{value}|\\.|[^"\\\n])*)"', text):
            parts = [part.replace('\\"', '"') for part in re.split(value, sentence)]
            if sum(map(len, parts)) > 20:
                patterns.append(re.compile(".+".join(map(re.escape, parts))))
    return patterns


def test_the_reasons_that_the_document_lists_are_the_hosts_own():
    patterns = reasons_of_the_host()
    listed, _ = section("Refused plugins").split("And when it is loaded")
    reasons = re.findall(r"^\| `(.*?)` \|", listed, re.M)
    assert len(reasons) > 20
    for reason in reasons:
        said = (reason, reason.removesuffix("…"))
        assert any(pattern.fullmatch(text) for pattern in patterns for text in said), reason


def test_the_channel_in_c_answers_a_message_with_itself(walked):
    nodes, *_ = walked
    device = nodes.device("echo", "echo-3")
    device.pair(nodes.administrator())
    device.socket.request("message.send", {"messageId": "m-1", "message": {"a": 1}})
    assert device.socket.event("echo") == {"said": {"a": 1}}


def test_the_channel_in_swift_passes_readings_on_and_refuses_impossible_ones(walked):
    nodes, *_ = walked
    device = nodes.device("sensor", "thermometer-3")
    device.pair(nodes.administrator(), metadata={"room": "kitchen"})
    with pytest.raises(Refused) as refusal:
        device.socket.request("message.send", {"messageId": "m-1", "message": {"temperature": -400}})
    assert (refusal.value.code, refusal.value.reason) == ("INVALID_REQUEST", "implausible")
    device.socket.request("message.send", {"messageId": "m-2", "message": {"temperature": 21.5}})
    assert device.socket.event("message")["message"] == {"temperature": 21.5}


def test_the_package_of_the_example_in_swift_is_understood(tmp_path):
    package = subprocess.run(
        ["swift", "package", "--package-path", EXAMPLES / "swift-sensor", "dump-package"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    [product] = json.loads(package.stdout)["products"]
    assert product["name"] == "SensorChannel" and product["type"] == {"library": ["dynamic"]}
