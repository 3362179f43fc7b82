"""What the documents show is what happens."""

import json
import os
import pathlib
import re
import subprocess
import sys

from support.deployment import ROOT, Deployment, eventually


def test_the_events_example_prints_a_revocation(nodes: Deployment, administrator, tmp_path):
    output = tmp_path / "events"
    with open(output, "w") as stream:
        follower = subprocess.Popen(
            [sys.executable, str(ROOT / "docs/examples/follow_events.py"), nodes.database_url, "pairing.revoked"],
            stdout=stream, stderr=subprocess.STDOUT,
        )
    try:
        eventually(lambda: "following" in output.read_text(), "the example follows")
        device = nodes.device()
        device.pair(administrator)
        administrator.revoke(device.sender_id)
        lines = eventually(
            lambda: [line for line in output.read_text().splitlines() if device.sender_id in line],
            "the revocation is printed",
        )
        event = json.loads(lines[0])
        assert event["event"] == "pairing.revoked" and event["actor"] == "admin"
        assert "pairing.approved" not in output.read_text(), "an event was printed that nobody asked for"
    finally:
        follower.terminate()
        follower.wait()


def test_the_configuration_reference_lists_every_setting_as_nodesctl_does(nodes: Deployment):
    settings = json.loads(nodes.nodesctl("config", "--json").stdout)
    reference = (ROOT / "docs/configuration.md").read_text()
    for setting in settings:
        assert f"`{setting['key']}`" in reference, setting["key"]


def test_every_link_between_documents_leads_somewhere():
    places = ("*.md", "docs/*.md", "Plugins/*/README.md", "Plugins/Examples/*/README.md")
    documents = [document for place in places for document in ROOT.glob(place)]
    broken = []
    for document in documents:
        for target in re.findall(r"\]\(([^)#\s]+)", document.read_text()):
            if "://" not in target and not (document.parent / target).exists():
                broken.append(f"{document.relative_to(ROOT)}: {target}")
    assert not broken


def test_the_commands_of_the_readme_exist():
    readme = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`?make ([a-z]+)", readme):
        assert re.search(rf"^{target}:", makefile, re.M), f"make {target}"
    for path in re.findall(r"\((docs/[^)]+|LICENSE|CONTRIBUTING.md)\)", readme):
        assert (ROOT / path).exists(), path


def test_every_script_that_the_makefile_names_is_there_and_runs():
    for script in re.findall(r"@?(scripts/[a-z-]+)", (ROOT / "Makefile").read_text()):
        path = ROOT / script
        assert path.exists() and os.access(path, os.X_OK), script


def test_the_five_minute_tour_of_the_readme_does_what_it_says(nodes: Deployment, administrator, tmp_path):
    readme = (ROOT / "README.md").read_text()
    command = re.search(r"\.build/debug/nodesctl (device[^`]*)```", readme)[1].replace("\\\n", " ")
    command = command.replace("ws://127.0.0.1:8080", nodes.origin.replace("http", "ws"))
    words = [word.strip("'\"") for word in re.findall(r"'[^']*'|\S+", command)]
    output = tmp_path / "device"
    with open(output, "w") as stream:
        device = subprocess.Popen(
            [str(pathlib.Path(nodes.binaries) / "nodesctl"), *words], cwd=tmp_path, stdout=stream, stderr=stream
        )
    try:
        row = eventually(
            lambda: nodes.rows(
                "SELECT request_id::text, code FROM pairing_requests"
                " WHERE sender_id = 'tablet-reception-01' AND state = 'pending'"
            ),
            "the device asks",
        )[0]
        code = f"{row[1][:4]}-{row[1][4:]}"
        eventually(lambda: code in output.read_text(), "the device shows its code")
        administrator.approve(row[0], code)
        eventually(lambda: "Hello, agent" in output.read_text(), "the answer of the agent is printed")
        administrator.revoke("tablet-reception-01")
        assert device.wait(60) == 65
        assert "revoke" in output.read_text().lower()
    finally:
        device.kill()
        device.wait()
