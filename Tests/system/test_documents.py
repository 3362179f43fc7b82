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


# Reasons that no socket is answered with.
OF_PAGES_AND_COMMANDS = {
    "account_exists", "invalid_lifetime", "invalid_password", "invalid_token_name", "invalid_username",
    "last_administrator", "not_waiting", "sign_ins_waiting", "too_many_sign_ins", "unknown_account", "unknown_device",
    "unknown_token", "wrong_password",
    # What administrators say of devices.
    "bad_agents", "changed", "not_active", "not_due", "text_hidden", "unknown_agent",
    "too_many_commands", "unknown_command",
    # Programs by /mcp, whose document has them.
    "not_acceptable", "not_json", "too_often",
    # Accounts, invitations and the audit.
    "bad_invitation", "bad_window", "broken_chain", "codes_unreadable", "no_key",
    "no_offer", "password_changed", "passwords_differ", "replayed_code", "scope_of_owner",
    "sign_in_ended", "unknown_invitation", "unknown_session", "wrong_code",
    # Restored databases.
    "gateways_running",
    # Web hooks.
    "address_not_allowed", "bad_address", "bad_events", "bad_push_hook", "push_hook_taken", "too_many_webhooks",
    "unknown_webhook", "webhook_disabled",
    # Readiness, and what the store says more exactly as `already_…`.
    "channel_stuck", "request_ended",
    # What `message.status` and `message.failed` say.
    "channel_crashed",
}  # fmt: skip


def test_every_reason_that_a_socket_is_answered_with_is_in_a_table_of_errors():
    reasons = set()
    for path in (ROOT / "Sources").rglob("*.swift"):
        if {"ChannelKit", "ChannelCheck", "nodesctl"}.isdisjoint(path.parts):
            found = re.findall(r'(?:Refusal|\.frame|\.channelUnavailable)\(\s*(?:\.?\w+,\s*)?"(\w+)"', path.read_text())
            reasons.update(found)
    assert len(reasons) > 50 and OF_PAGES_AND_COMMANDS < reasons
    rows = re.findall(r"^\| (?:`[A-Z_]+` |[0-9, ]+)?\| (`.*?) \|", (ROOT / "docs/device-developers.md").read_text(), re.M)
    listed = set(re.findall(r"`([a-z_]+)`", " ".join(rows)))
    assert sorted(reasons - OF_PAGES_AND_COMMANDS - listed) == []
    states = {"already_approved", "already_denied", "already_expired", "already_revoked"}
    assert sorted(listed - reasons - states - {"channel_refused"}) == []


def test_every_reason_stands_beside_the_code_that_it_is_answered_with():
    codes: dict[str, set[str]] = {}
    for path in (ROOT / "Sources").rglob("*.swift"):
        text = path.read_text()
        for code, reason in re.findall(r'Refusal\(\s*\.(\w+),\s*"(\w+)"', text):
            codes.setdefault(reason, set()).add(re.sub("([A-Z])", r"_\1", code).upper())
        for reason in re.findall(r'\.channelUnavailable\(\s*"(\w+)"', text):
            codes.setdefault(reason, set()).add("UNAVAILABLE")
    code, seen = "", 0
    errors = re.search(r"^## Errors$(.*?)^## ", (ROOT / "docs/device-developers.md").read_text(), re.M | re.S)[1]
    for line in errors.splitlines():
        row = re.match(r"\| (?:`([A-Z_]+)` )?\| (.*?) \|", line)
        if row is None:
            continue
        code = row[1] or code
        for reason in re.findall("`([a-z_]+)`", row[2]):
            if reason in codes:
                seen += 1
                assert code in codes[reason], f"{reason} is answered with {codes[reason]}, not with {code}"
    assert seen > 50


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
