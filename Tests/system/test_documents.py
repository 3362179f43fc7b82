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


def catalogue(audience: str) -> list[tuple[str, str, str]]:
    """The rows of the catalogue of refusals: name, code, reason."""
    files = ("Devices", "Channels") if audience == "devices" else ("Administration",)
    text = "".join((ROOT / f"Sources/PairingCore/RefusalKind+{file}.swift").read_text() for file in files)
    rows = re.findall(r'static let (\w+) = RefusalKind\(\s*\.(\w+), "(\w+)"', text)
    assert len(rows) == text.count("static let ") > 40
    return [(name, re.sub("([A-Z])", r"_\1", code).upper(), reason) for name, code, reason in rows]


def test_the_tables_of_errors_have_what_the_catalogue_has_for_devices_and_their_programs():
    document = (ROOT / "docs/device-developers.md").read_text()
    cells = re.findall(r"^\| (?:`[A-Z_]+` |[0-9, ]+)?\| (`.*?) \|", document, re.M)
    documented = set(re.findall("`([a-z_]+)`", " ".join(cells)))
    known = {reason for _, _, reason in catalogue("devices")}
    # A channel's own are what its author writes; this one stands for those that it leaves out.
    assert sorted(known ^ (documented - {"channel_refused"})) == []
    assert known.isdisjoint({reason for _, _, reason in catalogue("administrators")})


def test_every_reason_stands_beside_the_code_that_it_is_answered_with():
    errors = re.search(r"^## Errors$(.*?)^## ", (ROOT / "docs/device-developers.md").read_text(), re.M | re.S)[1]
    code, seen = "", set()
    for line in errors.splitlines():
        if row := re.match(r"\| (?:`([A-Z_]+)` )?\| (.*?) \|", line):
            code = row[1] or code
            seen.update((code, reason) for reason in re.findall("`([a-z_]+)`", row[2]))
    rows = {(code, reason) for _, code, reason in catalogue("devices")}
    reasons = {reason for _, reason in rows}
    assert len(seen) > 50
    assert sorted(row for row in seen - rows if row[1] in reasons) == []


def test_whatever_refuses_names_a_row_of_the_catalogue_and_no_row_is_left_over():
    names = [name for audience in ("devices", "administrators") for name, _, _ in catalogue(audience)]
    rows = [row[1:] for audience in ("devices", "administrators") for row in catalogue(audience)]
    assert len(set(names)) == len(names) and len(set(rows)) == len(rows)
    text = ""
    for path in (ROOT / "Sources").rglob("*.swift"):
        if {"ChannelKit", "ChannelCheck"}.isdisjoint(path.parts) and not path.name.startswith("RefusalKind"):
            source = path.read_text()
            text += source
            strangers = re.findall(r'\bRefusal\(\s*\.\w+,\s*"[a-z_]+",', source)
            assert not strangers, f"{path.name} refuses for a reason that is not in the catalogue: {strangers}"
    kinds = (ROOT / "Sources/PairingCore/RefusalKind+Devices.swift").read_text()
    unused = [name for name in names if not re.search(rf"\.{name}\b", text + kinds)]
    assert unused == []


def metrics_of_the_document() -> set[str]:
    return set(re.findall(r"^\| `(\w+)", (ROOT / "docs/operators.md").read_text(), re.M))


def test_every_metric_is_in_the_operators_table():
    names = set()
    for path in (ROOT / "Sources").rglob("*.swift"):
        for kind, label in re.findall(r'\b(Counter|Gauge|Timer)\(\s*label: "([^"]+)"', path.read_text()):
            name = re.sub(r"\\\(\w+\)", "NAME", label).replace(".", "_")
            names.add(name + {"Counter": "_total", "Gauge": "", "Timer": "_seconds"}[kind])
    assert len(names) > 15
    assert sorted(names - metrics_of_the_document()) == []


def test_every_metric_that_a_process_reports_is_in_the_operators_table(nodes: Deployment):
    # Of the kernel that is asked below, not of the one that nginx picks.
    administrator = nodes.administrator(kernel=0)
    assert administrator.get("/nodes").status == 200
    assert administrator.get("/nowhere").status == 404
    nodes.device().pair(administrator)
    for process in ("gateway/0", "kernel/0"):
        metrics = nodes.status(f"{process}/metrics")[1]
        reported = set(re.findall(r"^# TYPE (\w+)", metrics, re.M))
        own = {name for name in reported if not name.startswith("channel_plugin_")}
        assert len(own) > 8 and sorted(own - metrics_of_the_document()) == []
    for labels in ('{status="2xx"}', '{status="4xx"}'):
        assert int(re.search(rf"^kernel_answers_total{re.escape(labels)} (\d+)", metrics, re.M)[1]) > 0
    assert "kernel_answer_seconds_count" in metrics


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
    for target in re.findall(r"`?make ([a-z-]+)", readme):
        assert re.search(rf"^{target}:", makefile, re.M), f"make {target}"
    for path in re.findall(r"\((docs/[^)]+|LICENSE|CONTRIBUTING.md)\)", readme):
        assert (ROOT / path).exists(), path


def test_every_script_that_the_makefile_names_is_there_and_runs():
    for script in re.findall(r"@?(scripts/[a-z-]+)", (ROOT / "Makefile").read_text()):
        path = ROOT / script
        assert path.exists() and os.access(path, os.X_OK), script


def test_the_five_minute_tour_of_the_readme_does_what_it_says(nodes: Deployment, administrator, tmp_path):
    readme = (ROOT / "README.md").read_text()
    command = re.search(r"\.build/release/nodesctl (device[^`]*)```", readme)[1].replace("\\\n", " ")
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
