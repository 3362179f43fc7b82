"""`nodesctl` from a shell: the operator's commands and the device, against a whole deployment."""

import importlib.util
import json
import os
import pty
import secrets
import stat
import subprocess
import sys
import time

import psycopg2.extensions
import pytest

from support.deployment import ROOT, Deployment, eventually
from support.program import Program

USAGE, REFUSED, NOT_FOUND, UNAVAILABLE, CONFIGURATION = 64, 65, 66, 69, 78


@pytest.fixture
def programs():
    """Starts programs and ends what is left of them."""
    started: list[Program] = []

    def start(command: list[str], environment: dict[str, str] | None = None) -> Program:
        started.append(Program(command, environment))
        return started[-1]

    yield start
    for program in started:
        program.close()


@pytest.fixture
def device(nodes: Deployment, programs, tmp_path):
    """Starts `nodesctl device`; the same name means the same state file."""

    def start(sender: str, *options: str, name: str = "device", gateway: int | None = None) -> Program:
        port = nodes.port if gateway is None else nodes.direct_ports[gateway]
        return programs(
            [
                str(nodes.binaries / "nodesctl"), "device", "--json", "--sender", sender,
                "--url", f"ws://127.0.0.1:{port}/ws", "--origin", nodes.origin,
                "--state", str(tmp_path / f"{name}.json"), *options,
            ]
        )  # fmt: skip

    return start


def fresh_sender() -> str:
    return f"ctl-{secrets.token_hex(6)}"


def called(nodes: Deployment, *arguments: str, stdin: str = ""):
    """The JSON that a command prints."""
    return json.loads(nodes.nodesctl(*arguments, "--json", stdin=stdin).stdout)


def failed(nodes: Deployment, *arguments: str, stdin: str = "") -> tuple[int, str]:
    """The exit status and the sentence of a command that does not do what it was asked."""
    done = nodes.nodesctl(*arguments, stdin=stdin, check=False)
    assert done.returncode != 0, done.stdout
    return done.returncode, done.stderr


def approve(nodes: Deployment, waiting: dict) -> dict:
    return called(nodes, "approve", waiting["requestId"], "--code", waiting["code"])


# The device.


@pytest.mark.parametrize("credential", ["--key", "--token"])
def test_a_device_is_paired_from_a_shell_and_comes_back_by_itself(nodes: Deployment, device, tmp_path, credential):
    sender = fresh_sender()
    program = device(sender, credential, "--name", "Reception", "--send", "hello")
    waiting = program.expect("waiting")
    mode = stat.S_IMODE((tmp_path / "device.json").stat().st_mode)
    assert mode == 0o600
    [request] = called(nodes, "requests", "list", "--filter", sender)
    assert request["requestId"] == waiting["requestId"]
    assert request["code"] == waiting["code"]
    assert request["displayName"] == "Reception"
    assert request["credential"] == credential.removeprefix("--")
    paired = approve(nodes, waiting)
    assert (paired["senderId"], paired["channel"], paired["state"]) == (sender, "web", "active")
    assert program.expect("resolved")["decision"] == "approved"
    program.expect("connected")
    assert program.expect("accepted")["messageSeq"] == 1
    assert program.expect("message")["message"] == {"text": "hello"}
    [shown] = called(nodes, "devices", "show", sender)
    assert shown["connected"] is True
    assert shown["pairedBy"].endswith("(command line)")
    assert program.stop() == 0

    again = device(sender, "--interactive", gateway=1)
    assert again.next()["event"] == "connected"
    again.type('{"text": "from the keyboard"}')
    message = again.expect("message")
    assert message["message"] == {"text": "from the keyboard"}
    assert message["messageSeq"] == 2
    assert again.stop() == 0


def test_once_ends_the_device_when_everything_was_answered(nodes: Deployment, device):
    sender = fresh_sender()
    program = device(sender, "--once", "--send", "one", "--send", "two")
    approve(nodes, program.expect("waiting"))
    assert program.wait() == 0
    assert device(sender, "--once").wait() == 0


def test_a_revoked_device_says_so_and_pairs_again_only_when_told(nodes: Deployment, device, tmp_path):
    sender = fresh_sender()
    program = device(sender, "--token")
    approve(nodes, program.expect("waiting"))
    program.expect("connected")
    revoked = called(nodes, "revoke", sender)
    assert revoked["state"] == "revoked"
    assert program.expect("stopped")["outcome"] == "revoked"
    assert program.wait() == REFUSED

    again = device(sender)
    assert again.expect("stopped")["outcome"] == "revoked"
    assert again.wait() == REFUSED

    before = json.loads((tmp_path / "device.json").read_text())["token"]
    repaired = device(sender, "--repair")
    repaired.expect("repairing")
    waiting = repaired.expect("waiting")
    assert json.loads((tmp_path / "device.json").read_text())["token"] != before
    assert approve(nodes, waiting)["generation"] > revoked["generation"]
    repaired.expect("connected")


def test_a_denied_device_stops_and_then_waits_until_it_may_ask_again(nodes: Deployment, device):
    sender = fresh_sender()
    program = device(sender)
    waiting = program.expect("waiting")
    denied = called(nodes, "deny", waiting["requestId"], "--code", waiting["code"])
    assert denied["state"] == "denied"
    assert program.expect("stopped")["outcome"] == "denied"
    assert program.wait() == REFUSED
    other = device(sender, name="other")
    assert other.expect("refused")["error"]["reason"] == "denied_recently"
    assert other.expect("disconnected")["retryInMs"] > 60_000
    other.stop()
    nodes.nodesctl("requests", "clear-cooldown", sender)
    device(sender, name="other").expect("waiting")
    assert failed(nodes, "requests", "clear-cooldown", fresh_sender())[0] == NOT_FOUND


def test_a_denied_device_asks_again_only_when_told(nodes: Deployment, device):
    sender = fresh_sender()
    program = device(sender)
    waiting = program.expect("waiting")
    called(nodes, "deny", waiting["requestId"], "--code", waiting["code"])
    assert program.wait() == REFUSED
    nodes.nodesctl("requests", "clear-cooldown", sender)
    again = device(sender)
    assert again.expect("stopped")["outcome"] == "denied"

    repaired = device(sender, "--repair")
    repaired.expect("repairing")
    waiting = repaired.expect("waiting")
    # Whoever denies it again is not asked a third time.
    called(nodes, "deny", waiting["requestId"], "--code", waiting["code"])
    assert repaired.expect("stopped")["outcome"] == "denied"
    assert repaired.wait() == REFUSED


def test_a_second_program_with_the_same_credential_replaces_the_first(nodes: Deployment, device):
    sender = fresh_sender()
    first = device(sender, gateway=0)
    approve(nodes, first.expect("waiting"))
    first.expect("connected")
    second = device(sender, gateway=1)
    second.expect("connected")
    assert first.expect("stopped")["outcome"] == "replaced"
    assert first.wait() == REFUSED


def test_a_device_survives_the_death_of_its_gateway(deploy, programs, tmp_path):
    nodes = deploy(gateways=2, kernels=1)
    program = programs(
        [
            str(nodes.binaries / "nodesctl"), "device", "--json", "--interactive", "--sender", fresh_sender(),
            "--url", nodes.origin.replace("http", "ws") + "/ws", "--state", str(tmp_path / "device.json"),
        ]
    )  # fmt: skip
    approve(nodes, program.expect("waiting"))
    instance = program.expect("connected")["instanceId"]
    [(name,)] = nodes.rows("SELECT name FROM instances WHERE instance_id = %s", instance)
    [gateway] = [process for process in nodes.gateways if process.name == name]
    nodes.kill(gateway)
    program.expect("disconnected")
    assert program.expect("connected")["instanceId"] != instance
    program.type("still here")
    assert program.expect("message")["message"] == {"text": "still here"}
    nodes.restart(gateway)


def test_a_state_file_is_kept_from_others_and_from_other_devices(nodes: Deployment, device, tmp_path):
    sender = fresh_sender()
    program = device(sender)
    program.expect("waiting")
    program.stop()
    other = device(fresh_sender())
    assert other.wait() == REFUSED
    (tmp_path / "device.json").chmod(0o644)
    readable = device(sender)
    assert readable.wait() == REFUSED
    readable.close()
    assert "chmod 600" in "".join(readable.errors)


def test_a_device_tells_what_is_wrong_with_its_address(nodes: Deployment, programs, tmp_path):
    def start(*options: str) -> Program:
        return programs(
            [
                str(nodes.binaries / "nodesctl"), "device", "--json", "--sender", "t1",
                "--state", str(tmp_path / "device.json"), *options,
            ]
        )  # fmt: skip

    tls = start("--url", "wss://nodes.example.org/ws")
    assert tls.wait() == USAGE
    tls.close()
    assert "tunnel" in "".join(tls.errors)
    elsewhere = start("--url", f"ws://127.0.0.1:{nodes.port}/elsewhere")
    assert "404" in elsewhere.expect("disconnected")["reason"]
    stranger = start("--url", f"ws://127.0.0.1:{nodes.port}/ws", "--origin", "https://other.example.org")
    assert "421" in stranger.expect("disconnected")["reason"]


# Decisions.


def test_a_decision_needs_the_request_and_the_code_of_the_device(nodes: Deployment, device):
    waiting = device(fresh_sender()).expect("waiting")
    wrong = "ABCDEFGH" if waiting["code"] != "ABCD-EFGH" else "HGFEDCBA"
    status, sentence = failed(nodes, "approve", waiting["requestId"], "--code", wrong)
    assert status == REFUSED and "code" in sentence
    assert failed(nodes, "approve", waiting["requestId"])[0] == USAGE
    assert failed(nodes, "approve", "latest", "--code", waiting["code"])[0] == USAGE
    unknown = "00000000-0000-4000-8000-000000000000"
    assert failed(nodes, "deny", unknown, "--code", waiting["code"])[0] == NOT_FOUND
    approve(nodes, waiting)
    status, sentence = failed(nodes, "deny", waiting["requestId"], "--code", waiting["code"], "--json")
    error = json.loads(sentence)["error"]
    assert status == REFUSED and error["details"]["state"] == "approved"


def test_without_a_code_the_request_is_shown_and_the_code_is_asked_for(nodes: Deployment, device):
    sender = fresh_sender()
    waiting = device(sender, "--name", "Reception").expect("waiting")
    status, shown = on_a_terminal(nodes, ["approve", waiting["requestId"]], waiting["code"].lower())
    assert status == 0, shown
    assert sender in shown and "Reception" in shown and waiting["code"] not in shown
    [paired] = called(nodes, "devices", "show", sender)
    assert paired["state"] == "active"


def test_a_revocation_of_a_generation_that_is_over_is_refused(nodes: Deployment, device):
    sender = fresh_sender()
    program = device(sender)
    generation = approve(nodes, program.expect("waiting"))["generation"]
    status, _ = failed(nodes, "revoke", sender, "--generation", str(generation + 7))
    assert status == REFUSED
    assert failed(nodes, "revoke", sender, "--channel", "iot")[0] == NOT_FOUND
    assert called(nodes, "revoke", sender, "--channel", "web", "--generation", str(generation))["state"] == "revoked"
    # By the one who did it.
    assert called(nodes, "revoke", sender)["state"] == "revoked"
    assert failed(nodes, "revoke", fresh_sender())[0] == NOT_FOUND


def test_everything_paired_since_a_time_is_revoked_after_a_confirmation(deploy):
    nodes = deploy(gateways=1, kernels=1)
    administrator = nodes.administrator()
    [nodes.device().pair(administrator) for _ in range(2)]
    [(time_between,)] = nodes.rows("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint + 1")
    eventually(
        lambda: nodes.rows("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint > %s", time_between + 2)[0][0],
        "the database's clock goes on",
    )
    late = nodes.device()
    late.pair(administrator)
    assert failed(nodes, "revoke", "--all-since", str(time_between))[0] == USAGE
    status, shown = on_a_terminal(nodes, ["revoke", "--all-since", str(time_between)], "3")
    assert status == REFUSED and late.sender_id in shown
    assert len(called(nodes, "devices", "list")) == 3
    status, _ = on_a_terminal(nodes, ["revoke", "--all-since", str(time_between)], "1")
    assert status == 0
    assert late.socket.wait_closed()[0] == 4001
    assert len(called(nodes, "devices", "list")) == 2
    assert len(called(nodes, "revoke", "--all-since", "1970-01-01T00:00:00Z", "--yes")) == 2
    assert called(nodes, "devices", "list") == []


def test_devices_are_found_as_on_the_page_and_what_is_said_of_them_is_changed(nodes: Deployment):
    administrator = nodes.administrator()
    mark = fresh_sender()
    near, far = nodes.device("web", f"{mark}-near"), nodes.device("mobile", f"{mark}-far")
    for device in (near, far):
        device.pair(administrator)
    far.close()

    def found(*options: str) -> list[str]:
        return [row["senderId"] for row in called(nodes, "devices", "list", "--filter", mark, *options)]

    eventually(lambda: found("--connected") == [near.sender_id], "the session's end is known")
    assert found("--away") == [far.sender_id]
    assert sorted(found("--sort", "name")) == sorted([far.sender_id, near.sender_id])
    assert found("--channel", "mobile") == [far.sender_id]
    assert found("--paired-within", "1h", "--paired-by", "admin", "--limit", "1") == found()[:1]
    assert found("--paired-before", "1h") == found("--paired-by", "nobody") == found("--channel", "iot") == []
    assert set(found("--agent", "echo")) == {near.sender_id, far.sender_id}
    assert "No paired device is like that." in nodes.nodesctl("devices", "list", "--filter", fresh_sender()).stdout
    for wrong in (["--connected", "--away"], ["--paired-within", "soon"], ["--sort", "size"], ["--limit", "0"]):
        assert failed(nodes, "devices", "list", *wrong)[0] == USAGE

    assert called(nodes, "devices", "rename", far.sender_id, "Field \u202ephone")["label"] == "Field phone"
    assert called(nodes, "devices", "note", far.sender_id, "belongs to Ada")["note"] == "belongs to Ada"
    ends = called(nodes, "devices", "expire", far.sender_id, "--in", "30d")["expiresAt"]
    assert abs(ends / 1000 - time.time() - 30 * 86400) < 300
    sheet = nodes.nodesctl("devices", "show", far.sender_id).stdout
    assert "Field phone" in sheet and "belongs to Ada" in sheet and "Ends" in sheet
    assert [row["senderId"] for row in called(nodes, "devices", "list", "--filter", "Field phone")] == [far.sender_id]
    assert "Field phone" in nodes.nodesctl("devices", "list", "--filter", far.sender_id).stdout
    for change in (["rename", far.sender_id], ["note", far.sender_id], ["expire", far.sender_id, "--never"]):
        called(nodes, "devices", *change)
    [row] = called(nodes, "devices", "show", far.sender_id)
    assert row["label"] is row["note"] is row["expiresAt"] is None
    changes = nodes.rows(
        "SELECT actor_kind FROM events WHERE event = 'device.changed' AND sender_id = %s", far.sender_id)
    assert changes == [("operating_system",)] * 6
    assert failed(nodes, "devices", "rename", fresh_sender(), "x")[0] == NOT_FOUND
    assert failed(nodes, "devices", "expire", far.sender_id)[0] == USAGE


# Accounts, tokens, the rest.


def test_accounts_are_made_changed_and_removed(nodes: Deployment):
    name = f"op-{secrets.token_hex(4)}"
    made = called(nodes, "admin", "create", name, "--generate")
    nodes.browser_session().sign_in(name, made["password"])
    assert failed(nodes, "admin", "create", name, "--generate")[0] == REFUSED
    assert failed(nodes, "admin", "passwd", name, "--password-stdin", stdin="short\n")[0] == USAGE
    nodes.nodesctl("admin", "passwd", name, "--password-stdin", stdin="another long password\n")
    nodes.browser_session().sign_in(name, "another long password")
    assert name in [account["username"] for account in called(nodes, "admin", "list")]
    assert failed(nodes, "admin", "remove", name)[0] == USAGE
    status, _ = on_a_terminal(nodes, ["admin", "remove", name], name)
    assert status == 0
    assert failed(nodes, "admin", "remove", name, "--yes")[0] == NOT_FOUND
    assert [account["username"] for account in called(nodes, "admin", "list")] == ["admin"]
    assert failed(nodes, "admin", "remove", "admin", "--yes")[0] == REFUSED


def test_an_api_token_is_shown_once_and_ends_when_it_is_revoked(nodes: Deployment):
    token = called(nodes, "token", "create", "ci", "--scope", "read", "--expires", "30d", "--owner", "admin")
    socket = nodes.socket()
    assert socket.request("connect", {"token": token["secret"]})["role"] == "administrator"
    [listed] = [other for other in called(nodes, "token", "list") if other["id"] == token["id"]]
    assert "secret" not in listed and listed["revokedAt"] is None
    nodes.nodesctl("token", "revoke", str(token["id"]))
    assert socket.wait_closed()[0] == 1008
    assert failed(nodes, "token", "revoke", str(token["id"]))[0] == NOT_FOUND
    assert failed(nodes, "token", "create", "x", "--scope", "all", "--expires", "30d", "--owner", "admin")[0] == USAGE


def test_channels_settings_and_the_schema_are_listed(nodes: Deployment):
    channels = called(nodes, "channels")
    assert [channel["id"] for channel in channels["channels"]] == ["iot", "mobile", "openclaw", "web"]
    assert channels["refused"] == []
    settings = called(nodes, "config")
    assert {"key", "environment", "form", "default", "summary"} == set(settings[0])
    assert nodes.nodesctl("config").stdout in (ROOT / "docs/configuration.md").read_text()
    status = called(nodes, "migrate", "--status")
    assert status["pending"] == [] and status["applied"]
    assert called(nodes, "migrate") == {"applied": [], "grantedTo": None}


def test_a_wrong_configuration_names_the_key_and_an_old_schema_what_to_do(nodes: Deployment, tmp_path):
    program = str(nodes.binaries / "nodesctl")
    file = tmp_path / "nodes.json"
    file.write_text(json.dumps({"database": {"url": nodes.database_url}, "gateway": {"pairing_code_tll": "1m"}}))
    done = subprocess.run([program, "admin", "list", "--config", file], capture_output=True, text=True)
    assert done.returncode == CONFIGURATION and "gateway.pairing_code_tll" in done.stderr
    nodes.rows("CREATE DATABASE nodesctl_empty")
    try:
        environment = {**os.environ, "DATABASE_URL": replaced_database(nodes, "nodesctl_empty")}
        done = subprocess.run([program, "admin", "list"], capture_output=True, text=True, env=environment)
        assert done.returncode == REFUSED and "nodesctl migrate" in done.stderr
    finally:
        nodes.rows("DROP DATABASE nodesctl_empty WITH (FORCE)")


def replaced_database(nodes: Deployment, name: str) -> str:
    """The connection string of another database of the same server."""
    facts = {**psycopg2.extensions.parse_dsn(nodes.database_url), "dbname": name}
    return " ".join(f"{key}='{value}'" for key, value in facts.items())


def test_events_are_printed_once_each_even_while_the_database_restarts(deploy, programs):
    nodes = deploy(gateways=1, kernels=1)
    command = [
        str(nodes.binaries / "nodesctl"), "--config", str(nodes.config / "nodesctl.json"), "events", "follow", "--json",
    ]  # fmt: skip
    follower = programs([*command, "--from", "0"])
    assert follower.next()["event"] == "admin.created"
    nodes.nodesctl("admin", "create", "second", "--generate")
    assert follower.expect("admin.created")["details"]["username"] == "second"
    with nodes.database_stopped():
        status, sentence = failed(nodes, "admin", "list")
        assert status == UNAVAILABLE and "PostgreSQL" in sentence
    nodes.nodesctl("admin", "remove", "second", "--yes")
    last = follower.expect("admin.removed", timeout=60)
    assert follower.stop() == 0
    assert f"--from {last['position']}" in "".join(follower.errors)
    positions = [line["position"] for line in follower.lines]
    assert positions == sorted(set(positions))
    again = programs([*command, "--from", str(positions[0])])
    assert [again.next()["position"] for _ in positions[1:]] == positions[1:]
    assert again.stop() == 0


# What the documents show.


def test_the_examples_for_device_developers_run(nodes: Deployment, programs, tmp_path):
    examples = ROOT / "docs/examples"
    subprocess.run([sys.executable, examples / "prove.py"], check=True, capture_output=True)
    for credential in ([], ["--token"]):
        sender = fresh_sender()
        state = tmp_path / f"{sender}.json"
        command = [
            sys.executable, str(examples / "device.py"), nodes.origin.replace("http", "ws") + "/ws", "web", sender,
            str(state), *credential, "hello",
        ]  # fmt: skip
        program = programs(command)
        approve(nodes, program.expect("waiting"))
        program.expect("connected")
        assert program.expect("message")["message"] == {"text": "hello"}
        eventually(lambda: json.loads(state.read_text())["received"] == 1, "the message is remembered")
        program.close()
        again = programs(command)
        assert again.next()["event"] == "connected"
        assert again.expect("message")["messageSeq"] == 2
        if credential:
            asked = subprocess.run(
                [sys.executable, str(examples / "ask.py"), nodes.origin, str(state), "Is", "it", "shut?"],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
            assert asked.stdout == "Is it shut?\n"
        nodes.nodesctl("revoke", sender)
        assert again.expect("stopped")["outcome"] == "revoked"
        assert again.wait() == 1


def test_the_example_acknowledges_whatever_event_has_a_number(tmp_path):
    specification = importlib.util.spec_from_file_location("device_example", ROOT / "docs/examples/device.py")
    example = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(example)
    sent = []

    class Socket:
        def send(self, text: str) -> None:
            sent.append(json.loads(text))

    state = example.State(tmp_path / "state.json", uses_token=True)
    device = example.Device("ws://127.0.0.1/ws", "web", "tablet-1", state, [], repairs=False)
    device.socket = Socket()
    for event, payload in (
        ("typing", {"messageSeq": 1, "agent": "echo", "event": "not a name"}),
        ("message.part", {"messageSeq": 2, "part": 0, "last": False}),
        ("receipt", {"messageId": "m"}),
        ("message.part", {"messageSeq": 2, "part": 1, "last": True}),
        ("command", {"messageSeq": 1}),
    ):
        device.happened(event, payload)
    assert [(frame["method"], frame["params"]["messageSeq"]) for frame in sent] == [
        ("message.ack", 1), ("message.ack", 2), ("message.ack", 1)
    ]  # fmt: skip
    assert state.values["received"] == 2


def test_the_example_gives_up_what_is_refused_for_good_and_goes_on(nodes: Deployment, programs, tmp_path):
    state = tmp_path / "state.json"
    command = [
        sys.executable, str(ROOT / "docs/examples/device.py"), nodes.origin.replace("http", "ws") + "/ws", "web",
        fresh_sender(), str(state), os.fsdecode(b"half \xff"), "hello",
    ]  # fmt: skip
    program = programs(command)
    approve(nodes, program.expect("waiting"))
    given_up = program.expect("given up")
    assert given_up["error"]["details"]["reason"] == "not_json"
    assert "half of a surrogate pair at byte" in given_up["error"]["message"]
    assert program.expect("accepted")["messageSeq"] == 1
    assert program.expect("message")["message"] == {"text": "hello"}


def on_a_terminal(nodes: Deployment, arguments: list[str], answer: str) -> tuple[int, str]:
    """Runs a command on a terminal of its own and types one answer; the status and what was shown."""
    command = [str(nodes.binaries / "nodesctl"), "--config", str(nodes.config / "nodesctl.json"), *arguments]
    main, terminal = pty.openpty()
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, close_fds=True)
    os.close(terminal)
    shown = b""
    deadline = time.monotonic() + 60
    try:
        while not shown.rstrip().endswith(b":"):
            assert time.monotonic() < deadline, shown
            shown += os.read(main, 4096)
        os.write(main, answer.encode() + b"\n")
        while True:
            try:
                shown += os.read(main, 4096)
            except OSError:
                # The terminal's other end is closed.
                break
        return process.wait(timeout=60), shown.decode(errors="replace")
    finally:
        process.kill()
        process.wait()
        os.close(main)
