"""What is like the rows of test_field.py: the same kinds with other inputs, on other pages, in other programs."""

import contextlib
import json
import os
import pathlib
import re
import secrets
import subprocess
import threading

import pytest
from playwright.sync_api import Page
from support.browser import sign_in
from support.channels import check, compile_c
from support.deployment import ROOT, Deployment, eventually
from support.device import Refused, TokenCredential
from websockets.exceptions import ConnectionClosed


def program(nodes: Deployment, name: str):
    """The socket of a program that may do everything."""
    made = nodes.nodesctl(
        "token", "create", name, "--owner", "admin", "--scope", "administer", "--expires", "1d", "--json"
    )
    socket = nodes.socket()
    socket.request("connect", {"token": json.loads(made.stdout)["secret"]})
    return socket


def await_waiting_commits(nodes: Deployment) -> None:
    """Waits until commits wait for the standby: the checkpointer reads the setting some time after it was changed."""
    database = nodes.db()

    def commit() -> None:
        with database.cursor() as cursor:
            cursor.execute("SELECT pg_logical_emit_message(true, 'test', 'a commit')")

    def is_held() -> bool:
        commits = threading.Thread(target=commit)
        commits.start()
        seen = "SELECT wait_event FROM pg_stat_activity WHERE pid = %s"
        while commits.is_alive():
            if nodes.rows(seen, database.info.backend_pid) == [("SyncRep",)]:
                # Ended at once, so that no server takes this for a commit of its own that waits.
                nodes.rows("SELECT pg_cancel_backend(%s)", database.info.backend_pid)
                commits.join()
                return True
        return False

    eventually(is_held, "commits wait for the standby")


def test_2_a_lost_synchronous_standby_is_retryable_and_ends_what_it_ended(deploy):
    times = {"acquire_timeout": "2s", "lock_timeout": "1s", "statement_timeout": "3s"}
    nodes = deploy(gateways=1, kernels=1, settings={"database": {"pool_size": 4, **times}})
    administrator = nodes.administrator()
    devices = [nodes.device(credential=TokenCredential()) for _ in range(6)]
    for device in devices:
        device.pair(administrator)
    forms = [administrator.get(f"/nodes/devices/{device.sender_id}/revoke").form("/revoke") for device in devices[:3]]
    nodes.rows("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    nodes.rows("SELECT pg_reload_conf()")
    await_waiting_commits(nodes)
    answers: list = []

    def send(device) -> None:
        try:
            answers.append(device.socket.request("message.send", {"messageId": "m", "message": 1}))
        except Refused as refusal:
            answers.append(refusal)

    pages: dict = {}

    def revoke(device, form) -> None:
        pages[device.sender_id] = administrator.submit(form)

    work = [threading.Thread(target=send, args=[device]) for device in devices[3:]]
    work += [threading.Thread(target=revoke, args=[device, form]) for device, form in zip(devices, forms)]
    for thread in work:
        thread.start()
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    most = 0
    for thread in work:
        while thread.is_alive():
            most = max(most, nodes.rows(waiting)[0][0])
            thread.join(0.2)
    # A pool each of the gateway and the kernel, and the listeners' own connections.
    assert 0 < most <= 10
    assert [answer for answer in answers if not isinstance(answer, Refused)] == []
    assert all(answer.code == "UNAVAILABLE" and answer.error["retryable"] for answer in answers), answers
    nodes.rows("ALTER SYSTEM RESET synchronous_standby_names")
    nodes.rows("SELECT pg_reload_conf()")
    for sender_id, page in pages.items():
        assert page.status in (303, 503), page.text
        said = page.text if page.status == 503 else "may have been carried out"
        if "may have been carried out" not in said:
            # A decision that is said not to have been made was not.
            assert "Nothing was changed" in said, said
            state = nodes.rows("SELECT state FROM paired_devices WHERE sender_id = %s", sender_id)
            assert state == [("active",)]
    # Every message is accepted once, and every decision is done once, whichever of its attempts did it.
    for device in devices[3:]:
        receipt = eventually(lambda device=device: accepted(device), "the repeat is accepted", timeout=60)
        assert receipt["messageSeq"] == 1
    for form in forms:
        eventually(lambda form=form: administrator.submit(form).status == 303, "the repeat is done", timeout=60)
    revoked = "SELECT count(*) FROM events WHERE event = 'pairing.revoked' AND sender_id = ANY(%s)"
    assert nodes.rows(revoked, [device.sender_id for device in devices])[0][0] == 3


def accepted(device):
    try:
        return device.socket.request("message.send", {"messageId": "m", "message": 1})
    except Refused as refusal:
        assert refusal.error.get("retryable"), refusal
    except ConnectionClosed:
        # The outage was long enough for the gateway to give its sessions up.
        device.reconnect()


def test_5_no_program_starts_on_a_database_that_is_not_utf8(nodes: Deployment, tmp_path: pathlib.Path):
    nodes.rows("CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    try:
        for program in ("gateway", "kernel"):
            settings = json.loads((nodes.config / f"{program}-0.json").read_text())
            settings["database"]["url"] = nodes.database_url.replace("/nodes?", "/latin?")
            settings.setdefault(program, {})["socket"] = str(tmp_path / f"{program}.sock")
            file = tmp_path / "latin.json"
            file.write_text(json.dumps(settings))
            command = [nodes.binaries / f"nodes-{program}", "--config", file]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120)
            said = done.stderr.split("Error: ")[-1]
            assert done.returncode != 0 and "LATIN1" in said and "CREATE DATABASE" in said, done.stderr
        for command in (["migrate"], ["requests", "list"], ["doctor"]):
            done = nodes.nodesctl("--config", str(file), *command, check=False)
            assert done.returncode != 0 and "LATIN1" in done.stdout + done.stderr, (command, done)
    finally:
        nodes.rows("DROP DATABASE latin WITH (FORCE)")


def test_6_every_whole_number_is_read_as_a_double_writes_it(nodes: Deployment, administrator):
    device = nodes.device()
    device.dial()
    proof = device.credential.proof("pair", nodes.origin, "web", device.sender_id, device.socket.challenge())
    spelt = re.sub(r'"signedAt": \d+', f'"signedAt": {proof["signedAt"]:.12E}', json.dumps(proof))
    assert spelt != json.dumps(proof) and json.loads(spelt)["signedAt"] == proof["signedAt"]
    device.socket.send_raw(
        '{"type":"req","id":"a","method":"device.pair.request","params":{"channel":"web","senderId":"%s","publicKey":"%s",'
        '"proof":%s}}' % (device.sender_id, device.credential.public_key, spelt)
    )
    request = device.socket.answer("a")
    administrator.approve(request["requestId"], request["code"])
    socket = program(nodes, "numbers")
    for text in (
        '{"id":"l","method":"device.pair.list","params":{"limit":2e1}}',
        '{"id":"p","method":"message.push","params":{"senderId":"%s","pushId":"p","message":1,"expiresInMs":6.0E+4}}',
        '{"id":"r","method":"device.pair.revoke","params":{"channel":"web","senderId":"%s","generation":1.0}}',
    ):
        socket.send_raw('{"type":"req",' + text.replace("%s", device.sender_id)[1:])
        frame = socket.receive()
        assert frame["ok"], frame


@pytest.fixture
def paired(nodes: Deployment, administrator):
    device = nodes.device()
    device.pair(administrator)
    return device


def test_12_what_is_compared_is_marked_on_every_page(page: Page, nodes: Deployment, paired):
    waiting = nodes.device()
    request = waiting.ask()
    # An alert names it as well.
    for turn in range(12):
        with contextlib.suppress(Refused):
            paired.reconnect(gateway=turn % 2)
    sign_in(page)
    unmarked = """
        (texts) => {
          const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
          const found = [];
          for (let node = walker.nextNode(); node; node = walker.nextNode()) {
            const holds = texts.some((text) => node.data.includes(text));
            if (holds && node.parentElement.translate) found.push(node.parentElement.outerHTML);
          }
          return found;
        }
    """
    for path in (
        "/nodes", f"/nodes?q={waiting.sender_id}", f"/nodes?q={paired.sender_id}", f"/nodes/devices/{paired.sender_id}",
        f"/nodes/devices/{paired.sender_id}/revoke", f"/nodes/requests/{request['requestId']}/approve",
        f"/nodes/requests/{request['requestId']}/deny",
    ):  # fmt: skip
        page.goto(path)
        if path == f"/nodes/devices/{paired.sender_id}":
            assert "Two programs use" in page.locator("main").inner_text()
        texts = [waiting.sender_id, paired.sender_id, request["code"]]
        assert any(text in page.locator("main").inner_text() for text in texts), path
        assert page.evaluate(unmarked, texts) == [], path


def test_15_the_limits_of_json_are_in_the_document():
    document = (ROOT / "docs/device-developers.md").read_text()
    source = (ROOT / "Sources/PairingCore/JSONReader.swift").read_text()
    depth, values = (
        int(re.search(rf"{name}: Int = ([\d_]+)", source)[1].replace("_", "")) for name in ("depth", "values")
    )
    assert f"{depth} levels, {values:,} values" in document


SPELLINGS = {
    "full width": lambda code: "".join(chr(ord(c) + 0xFEE0) if c != "-" else c for c in code),
    "a hyphen that does not break": lambda code: code.replace("-", "\u2011"),
    "a dash": lambda code: code.replace("-", "\u2013"),
    "a minus": lambda code: code.replace("-", "\u2212"),
    "blanks that do not break": lambda code: "\u00a0" + code.replace("-", "\u00a0"),
    "a tab behind it": lambda code: code.lower() + "\t",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_16_a_code_typed_by_hand_is_read_wherever_it_is_typed(nodes: Deployment, administrator, spelling: str):
    spelt = SPELLINGS[spelling]
    first, second, third = (nodes.device(credential=TokenCredential()) for _ in range(3))
    request = first.ask()
    path = f"/nodes/requests/{request['requestId']}/approve"
    form = administrator.get(path).form(path)
    form.fields["code"] = spelt(request["code"])
    assert administrator.submit(form).status == 303
    request = second.ask()
    nodes.nodesctl("approve", request["requestId"], "--code", spelt(request["code"]))
    # And where the device chooses its own.
    letters = "".join(secrets.choice("ABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in range(8))
    chosen = f"{letters[:4]}-{letters[4:]}"
    assert third.ask(code=spelt(chosen))["code"] == chosen


def test_c3_text_that_is_copied_unescaped_fails_with_every_kind_of_text(built, tmp_path: pathlib.Path):
    library = compile_c(ROOT / "Tests/PluginZoo/unescaped.c", tmp_path / "unescaped.so")
    status, report = check(built, library)
    failed = [name for name, found in report["checks"].items() if found["outcome"] == "failed"]
    assert status == 1 and failed, report


def test_c9_a_new_project_has_its_sanitizer_and_its_device_in_make(built, tmp_path: pathlib.Path):
    environment = {**os.environ, "PATH": f"{built}:{os.environ['PATH']}"}

    def run(command: str, folder: pathlib.Path) -> subprocess.CompletedProcess:
        return subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True)

    assert run("nodesctl channel new bell --language c", tmp_path).returncode == 0
    project = tmp_path / "bell"
    done = run("""make check CHECK_ARGS="--sender bell-7 --metadata '{\\"model\\": 1}'" """, project)
    assert done.returncode == 0 and "The administrator sees Credential, Model." in done.stdout, done.stdout + done.stderr
    done = run("make check CHECK_ARGS='--sender other'", project)
    assert done.returncode != 0 and "invalid_sender_id" in done.stdout
    done = run("make check-asan", project)
    assert done.returncode == 0 and " 0 failed" in done.stdout, done.stdout + done.stderr
    source = project / "bell.c"
    marked = "    forwarded.body = message->body;"
    text = source.read_text()
    assert marked in text
    source.write_text(text.replace(marked, marked + "\n    ((volatile char *)malloc(8))[forwarded.body.len] = 1;"))
    done = run("make check-asan", project)
    line = next(number for number, line in enumerate(source.read_text().splitlines(), 1) if "malloc(8)" in line)
    assert done.returncode != 0 and f"bell.c:{line}" in done.stdout, done.stdout


def test_c10_without_nodes_the_package_says_one_sentence(built, tmp_path: pathlib.Path):
    subprocess.run([built / "nodesctl", "channel", "new", "bell", "--language", "swift"], cwd=tmp_path, check=True)
    environment = {name: value for name, value in os.environ.items() if name != "NODES"}
    done = subprocess.run(["swift", "build"], cwd=tmp_path / "bell", env=environment, capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.returncode != 0 and "Set NODES to the folder of the repository" in said, said
    assert len(said.splitlines()) < 12, said


def test_a5_wrong_codes_are_limited_over_the_socket_and_recorded(nodes: Deployment):
    socket = program(nodes, "codes")
    device = nodes.device(credential=TokenCredential())
    request = device.ask()
    wrong = "AAAA-AAAA" if request["code"] != "AAAA-AAAA" else "BBBB-BBBB"
    reasons = []
    for method in ["device.pair.approve"] * 9:
        with pytest.raises(Refused) as refusal:
            socket.request(method, {"requestId": request["requestId"], "code": wrong})
        reasons.append(refusal.value.reason)
    assert reasons[:5] == ["code_mismatch"] * 5 and set(reasons[5:]) == {"too_many_wrong_codes"}, reasons
    recorded = nodes.rows(
        "SELECT count(*) FROM events WHERE event = 'pairing.code_refused' AND sender_id = %s", device.sender_id
    )
    assert recorded[0][0] >= 1


def test_requests_are_listed_with_what_their_channel_says_of_them(nodes: Deployment):
    device = nodes.device(credential=TokenCredential())
    request = device.ask(metadata={"browser": "Firefox 130", "platform": "Linux"})
    listed = json.loads(nodes.nodesctl("requests", "list", "--json").stdout)
    [row] = [row for row in listed if row["requestId"] == request["requestId"]]
    assert {"label": "Browser", "value": "Firefox 130"} in row["details"], row
