"""What authors of channels ran into on a running system, each by the name of its row in the field's list."""

import json
import pathlib
import subprocess

import pytest
from support.channels import compile_c
from support.deployment import ROOT, Deployment, deployed, eventually

OBEDIENT = ROOT / "Tests/PluginZoo/obedient.c"


def install(folder: pathlib.Path, work: pathlib.Path, version: str) -> subprocess.CompletedProcess:
    source = work / "obedient.c"
    source.write_text(OBEDIENT.read_text().replace('"1.0.0"', f'"{version}"'))
    library = compile_c(source, work / "obedient.so", "-I", str(OBEDIENT.parent))
    return subprocess.run(
        [str(ROOT / "scripts/install-channels"), str(folder), str(library)], capture_output=True, text=True, check=True
    )


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """A gateway with the channel `obedient`; what it says of itself is good for 20 seconds."""
    with deployed(gateways=1, kernels=1, settings={"gateway": {"authority_lease": "20s"}}) as nodes:
        install(nodes.state / "channels", tmp_path_factory.mktemp("obedient"), "1.0.0")
        for process in nodes.gateways + nodes.kernels:
            nodes.restart(process)
        yield nodes


def test_c5_a_library_that_was_copied_over_is_told_at_the_next_installation(tmp_path):
    channels = tmp_path / "channels"
    assert install(channels, tmp_path, "1.0.0").stderr == ""
    assert install(channels, tmp_path, "1.1.0").stderr == ""
    with (channels / "obedient.so").open("ab") as file:
        file.write(b"\0")
    said = install(channels, tmp_path, "1.2.0").stderr
    assert "was changed in place after it was installed" in said and "restart the servers" in said, said
    assert install(channels, tmp_path, "1.3.0").stderr == ""


def test_c8_a_refusal_in_deliver_is_in_the_log_with_its_sentence(nodes: Deployment):
    device = nodes.device("obedient")
    device.pair(nodes.administrator())
    device.socket.request("message.send", {"messageId": "m-1", "message": "never"})

    def line() -> str | None:
        lines = nodes.log_of(nodes.gateways[0]).splitlines()
        return next((text for text in lines if "did not take a message for its device" in text), None)

    said = eventually(line, "the refusal is in the log")
    assert "unspeakable" in said and "Not in front of the bears." in said, said


def test_c6_what_runs_is_told_as_it_is_with_its_age(nodes: Deployment, tmp_path):
    [before] = eventually(lambda: json.loads(nodes.nodesctl("channels", "--json").stdout)["gateways"], "it says so")
    assert 0 <= before["heardAgoMs"] < 20_000 and not before["isLate"]
    # At once, though the gateway looks at its folder every few seconds only.
    install(nodes.state / "channels", tmp_path, "1.1.0")
    text = nodes.nodesctl("channels").stdout
    assert "gateway-0: a restart would load another library of obedient" in text, text
    assert "HEARD" in text and "s ago" in text
    # A start whose predecessor was killed: what that said is told as what it is, and by which start.
    [gateway] = nodes.gateways
    nodes.kill(gateway)
    nodes.restart(gateway)

    def told() -> str | None:
        text = nodes.nodesctl("channels").stdout
        return text if "another was started under its name" in text else None

    text = eventually(told, "the killed one is told as ended")
    rows = [row for row in text.splitlines() if row.startswith("gateway-0") and " obedient " in row]
    assert len(rows) in (1, 2) and any("1.1.0" in row and "in service" in row for row in rows), text
    # Its lease ends, and with it what it said.
    eventually(lambda: len(json.loads(nodes.nodesctl("channels", "--json").stdout)["gateways"]) == 1, "the lease ends")

