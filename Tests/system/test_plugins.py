"""A plugin that cannot be trusted is refused with the reason, and the other channels work on (DESIGN 8)."""

import json
import os
import pathlib
import shutil
import subprocess

import pytest
from support.deployment import Deployment, deployed
from support.device import Refused


def manifest_of(folder: pathlib.Path, name: str) -> dict:
    return json.loads((folder / f"{name}.json").read_text())


def copy(folder: pathlib.Path, name: str, **changes) -> None:
    """A copy of the web channel under another file name, its manifest changed."""
    shutil.copy(folder / "web.so", folder / f"{name}.so")
    (folder / f"{name}.json").write_text(json.dumps({**manifest_of(folder, "web"), **changes}))


def compile_c(folder: pathlib.Path, name: str, source: str) -> None:
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(folder / f"{name}.so")],
        input=source, text=True, check=True,
    )
    digest = subprocess.run(["sha256sum", str(folder / f"{name}.so")], capture_output=True, text=True, check=True)
    manifest = {**manifest_of(folder, "web"), "id": name, "sha256": digest.stdout.split()[0]}
    manifest.pop("swift", None)
    (folder / f"{name}.json").write_text(json.dumps(manifest))


def spoil(folder: pathlib.Path) -> dict[str, str]:
    """Adds broken plugins; what the reason of each has to mention."""
    (folder / "text.so").write_text("this is not a library, whatever its name says\n")
    digest = subprocess.run(["sha256sum", str(folder / "text.so")], capture_output=True, text=True, check=True)
    (folder / "text.json").write_text(
        json.dumps({**manifest_of(folder, "web"), "id": "text", "sha256": digest.stdout.split()[0]})
    )
    copy(folder, "abi", id="abi", abi="9.0")
    copy(folder, "tampered", id="tampered", sha256="0" * 64)
    shutil.copy(folder / "web.so", folder / "orphan.so")
    copy(folder, "open", id="open")
    os.chmod(folder / "open.so", 0o777)
    (folder / "link.so").symlink_to(folder / "web.so")
    (folder / "link.json").write_text(json.dumps(manifest_of(folder, "web")))
    compile_c(folder, "failing", "const void *goclaw_channel_entry(const void *host) { return 0; }")
    compile_c(folder, "silent", "int nothing_of_interest;")
    (folder / "gone.json").write_text(json.dumps({**manifest_of(folder, "web"), "id": "gone"}))
    return {
        "text": "", "abi": "9.0", "tampered": "0000", "orphan": "json", "open": "writ", "link": "link",
        "failing": "", "silent": "goclaw_channel_entry", "gone": "",
    }


@pytest.fixture(scope="module")
def spoilt():
    """A deployment whose channels' folder got broken plugins before a restart of its servers."""
    with deployed(gateways=1, kernels=1) as nodes:
        folder = nodes.state / "channels"
        expected = spoil(folder)
        for process in nodes.processes:
            if process.name.startswith(("gateway", "kernel")):
                nodes.restart(process)
        yield nodes, expected


def test_every_broken_plugin_is_listed_with_its_reason_and_the_good_ones_work(spoilt):
    nodes, expected = spoilt
    listed = json.loads(nodes.nodesctl("channels", "--json", check=False).stdout)
    assert sorted(channel["id"] for channel in listed["channels"]) == ["iot", "mobile", "openclaw", "web"]
    reasons = {pathlib.Path(refused["path"]).stem: refused["reason"] for refused in listed["refused"]}
    assert set(reasons) == set(expected), reasons
    for name, mention in expected.items():
        assert len(reasons[name]) > 20 and mention in reasons[name], (name, reasons[name])
    log = nodes.log_of(nodes.gateways[0])
    for name in expected:
        assert f"{name}." in log, f"the log says nothing of {name}"
    device = nodes.device()
    device.pair(nodes.administrator())
    device.socket.request("message.send", {"messageId": "m", "message": 1})


def test_a_refused_channel_is_unknown_to_devices_and_the_known_ones_are_named(spoilt):
    nodes, _ = spoilt
    with pytest.raises(Refused) as refusal:
        nodes.device("tampered").ask()
    assert refusal.value.code == "NOT_FOUND"
    assert "web" in refusal.value.error["message"] and "iot" in refusal.value.error["message"]


def test_each_channel_reviews_requests_by_its_own_rules(nodes: Deployment):
    from support.device import TokenCredential

    with pytest.raises(Refused) as refusal:
        nodes.device("iot", credential=TokenCredential()).ask()
    assert refusal.value.reason == "key_required"
    readings = [{"name": "temperature", "unit": "Cel", "type": "number", "min": -40, "max": 85, "periodMs": 60000}]
    assert nodes.device("iot").ask(metadata={"readings": readings})["status"] == "pending"
    with pytest.raises(Refused) as refusal:
        nodes.device("iot").ask(metadata={"readings": [{**readings[0], "unit": "bananas"}]})
    assert "temperature" in refusal.value.error["message"]
    facts = {"platform": "ios", "model": "iPhone15,2", "appVersion": "2.4.1", "locale": "de-DE"}
    assert nodes.device("mobile").ask(metadata=facts)["status"] == "pending"
