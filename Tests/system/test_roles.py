"""Roles, one's own account and one-time codes, through nginx."""

import base64
import hashlib
import hmac
import json
import re
import time

import pytest
from support.administrator import Administrator
from support.deployment import PASSWORD, Deployment


def made(nodes: Deployment, name: str, role: str) -> Administrator:
    nodes.nodesctl("admins", "add", name, "--role", role, "--password-stdin", stdin=PASSWORD + "\n")
    return Administrator(nodes.origin).sign_in(name, PASSWORD)


def refusals(nodes: Deployment, actor: str) -> list[tuple]:
    return nodes.rows(
        "SELECT details->>'reason', details->>'action' FROM events WHERE event = 'admin.refused' AND actor = %s"
        " ORDER BY position",
        actor,
    )


def what_is(nodes: Deployment) -> list[tuple]:
    """Everything that a role may not change."""
    return nodes.rows(
        "SELECT (SELECT json_agg(r ORDER BY request_id)::text FROM pairing_requests r),"
        " (SELECT json_agg(d ORDER BY request_id)::text FROM paired_devices d),"
        " (SELECT json_agg(json_build_object('n', username, 'h', password_hash, 'r', role, 'd', disabled_at, 't',"
        "   totp_secret) ORDER BY username)::text FROM admins)"
    )


def test_a_viewer_sees_everything_decides_nothing_and_each_attempt_is_audited(nodes: Deployment, administrator):
    viewer = made(nodes, "vera", "viewer")
    waiting, paired = nodes.device(), nodes.device()
    request = waiting.ask()
    paired.pair(administrator)
    page = viewer.get(f"/nodes?q={waiting.sender_id}")
    assert waiting.sender_id in page.text and "Approve" not in page.text and "/accounts" not in page.body
    assert "/revoke" not in viewer.get(f"/nodes/devices/{paired.sender_id}").body
    before = what_is(nodes)
    token = viewer.csrf_token
    attempts = {
        f"/nodes/requests/{request['requestId']}/approve": {"code": request["code"]},
        f"/nodes/requests/{request['requestId']}/deny": {"code": request["code"]},
        f"/nodes/devices/{paired.sender_id}/revoke": {"generation": "1"},
        "/nodes/selection": {"decision": "revoke", f"device.{paired.sender_id}": "1"},
        "/accounts": {"username": "eve", "new_password": PASSWORD, "role": "administrator"},
        "/accounts/vera": {"action": "role", "role": "administrator"},
        "/accounts/admin": {"action": "password", "new_password": PASSWORD},
        "/accounts/admin/remove": {},
    }
    for path, fields in attempts.items():
        answer = viewer.post(path, {"csrf_token": token, **fields})
        assert answer.status == 403 and "viewer" in answer.text, path
    assert viewer.get("/accounts").status == 403
    assert what_is(nodes) == before
    # Looking at /accounts as well is the same within the minute.
    assert [("role", path) for path in attempts] == refusals(nodes, "vera")
    administrator.deny(request["requestId"], request["code"])


def test_an_operator_decides_and_manages_no_account(nodes: Deployment):
    operator = made(nodes, "otto", "operator")
    device = nodes.device()
    request = device.ask()
    assert "Approved" in operator.approve(request["requestId"], request["code"]).text
    assert "Revoked" in operator.revoke(device.sender_id).text
    answer = operator.post("/accounts/otto", {"csrf_token": operator.csrf_token, "action": "role", "role": "administrator"})
    assert answer.status == 403 and "operator" in answer.text
    assert refusals(nodes, "otto") == [("role", "/accounts/otto")]
    assert nodes.rows("SELECT role FROM admins WHERE username = 'otto'") == [("operator",)]


def test_a_token_does_no_more_than_its_owners_role(nodes: Deployment):
    made(nodes, "otto", "operator")
    refused = nodes.nodesctl(
        "token", "create", "x", "--owner", "otto", "--scope", "administer", "--expires", "1d", check=False
    )
    assert refused.returncode == 65 and "operator" in refused.stderr
    token = json.loads(
        nodes.nodesctl(
            "token", "create", "x", "--owner", "otto", "--scope", "decide", "--expires", "1d", "--json"
        ).stdout
    )["secret"]
    device = nodes.device()
    request = device.ask()
    socket = nodes.socket()
    socket.request("connect", {"token": token})
    socket.request("device.pair.approve", {"requestId": request["requestId"], "code": request["code"]})
    nodes.nodesctl("admins", "set-role", "otto", "viewer")
    # The socket ends; the next one may look.
    assert socket.wait_closed()[0] == 1008
    socket = nodes.socket()
    assert socket.request("connect", {"token": token})["scope"] == "read"
    socket.request("device.pair.list", {})
    with pytest.raises(Exception, match="FORBIDDEN"):
        socket.request("device.pair.revoke", {"channel": device.channel, "senderId": device.sender_id})
    assert refusals(nodes, "otto (token x)") == [("scope", "device.pair.revoke")]
    assert nodes.rows("SELECT state FROM paired_devices WHERE sender_id = %s", device.sender_id) == [("active",)]


def test_a_stolen_token_and_a_session_that_ended_change_nothing_and_are_audited(nodes: Deployment, administrator):
    victim = administrator.csrf_token
    thief = made(nodes, "theo", "operator")
    device = nodes.device()
    request = device.ask()
    path = f"/nodes/requests/{request['requestId']}/approve"
    assert thief.post(path, {"csrf_token": victim, "code": request["code"]}).status == 403
    token = thief.csrf_token
    crossed = thief.post(
        path, {"csrf_token": token, "code": request["code"]}, {"Origin": "https://evil.example"}
    )
    assert crossed.status == 403
    assert refusals(nodes, "theo") == [("csrf", path), ("cross_site", path)]
    nodes.nodesctl("admins", "end-sessions", "theo")
    answer = thief.post(path, {"csrf_token": token, "code": request["code"]})
    assert answer.status == 303 and answer.location.startswith("/login")
    assert ("no_session", path) in refusals(nodes, "system")
    assert nodes.rows("SELECT state FROM pairing_requests WHERE request_id = %s", request["requestId"]) == [("pending",)]
    administrator.deny(request["requestId"], request["code"])


def test_who_is_not_signed_in_changes_nothing_whatever_they_say_they_are_and_is_audited(nodes: Deployment, administrator):
    device = nodes.device()
    request = device.ask()
    path = f"/nodes/requests/{request['requestId']}/approve"
    before = what_is(nodes)
    token = administrator.csrf_token
    forged = {
        "X-Forwarded-User": "admin", "X-Remote-User": "admin", "Authorization": "Basic YWRtaW46YWRtaW4=",
        "X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "X-Forwarded-Host": administrator.host,
        "X-Original-URL": "/login", "Proxy": "http://127.0.0.1",
    }  # fmt: skip
    for number, headers in enumerate([{}, forged]):
        # One event a minute for each address.
        address = f"127.0.0.{90 + number}"
        stranger = Administrator(nodes.origin, address=address)
        answer = stranger.post(path, {"csrf_token": token, "code": request["code"]}, headers)
        assert answer.status == 303 and answer.location.startswith("/login")
        noted = "SELECT details->>'reason' FROM events WHERE event = 'admin.refused' AND address = %s"
        assert nodes.rows(noted, address) == [("no_session",)]
    assert what_is(nodes) == before
    administrator.deny(request["requestId"], request["code"])


def test_the_last_administrator_stays_one(nodes: Deployment, administrator):
    made(nodes, "otto", "operator")
    token = administrator.csrf_token
    for path, fields in {
        "/accounts/admin": {"action": "role", "role": "viewer"},
        "/accounts/admin ": {"action": "disable"},
        "/accounts/admin/remove": {},
    }.items():
        answer = administrator.post(path.strip(), {"csrf_token": token, **fields})
        assert answer.status == 409 and "last administrator" in answer.text, path
    assert nodes.nodesctl("admin", "set-role", "admin", "viewer", check=False).returncode == 65
    assert nodes.nodesctl("admin", "disable", "admin", check=False).returncode == 65


def test_a_disabled_account_is_out_until_it_is_enabled(nodes: Deployment, administrator):
    operator = made(nodes, "otto", "operator")
    token = administrator.csrf_token
    assert administrator.post("/accounts/otto", {"csrf_token": token, "action": "disable"}).status == 303
    assert operator.get("/nodes").status == 303
    fresh = Administrator(nodes.origin)
    form = fresh.get("/login").form("/login")
    assert fresh.submit(form, username="otto", password=PASSWORD).status == 403
    assert administrator.post("/accounts/otto", {"csrf_token": token, "action": "enable"}).status == 303
    fresh.sign_in("otto", PASSWORD)


def test_a_changed_password_ends_the_other_sessions_and_not_this_one(nodes: Deployment):
    here = made(nodes, "otto", "operator")
    there = Administrator(nodes.origin).sign_in("otto", PASSWORD)
    fields = {"action": "password", "password": "wrong password", "new_password": "another long one",
              "repeated_password": "another long one"}
    answer = here.post("/account", {"csrf_token": here.csrf_token, **fields})
    assert answer.status == 403 and "current password is wrong" in answer.text
    fields["password"] = PASSWORD
    answer = here.post("/account", {"csrf_token": here.csrf_token, **fields})
    assert answer.status == 303 and "Password changed" in here.follow(answer).text
    assert here.get("/nodes").status == 200 and there.get("/nodes").status == 303
    Administrator(nodes.origin).sign_in("otto", "another long one")
    names = nodes.rows(
        "SELECT event, actor FROM events WHERE event = 'admin.password_changed' AND details->>'username' = 'otto'"
    )
    assert names == [("admin.password_changed", "otto")]


def test_one_lists_and_ends_ones_sessions(nodes: Deployment):
    here = made(nodes, "otto", "operator")
    others = [Administrator(nodes.origin).sign_in("otto", PASSWORD) for _ in range(3)]
    page = here.get("/account")
    ids = re.findall(r'name="session" value="([^"]+)"', page.body)
    assert len(ids) == 3 and "this one" in page.text and "127.0.0.1" in page.text
    assert here.post("/account", {"csrf_token": here.csrf_token, "action": "end-session", "session": ids[0]}).status == 303
    assert [other.get("/nodes").status for other in others].count(303) == 1
    assert here.post("/account", {"csrf_token": here.csrf_token, "action": "end-others"}).status == 303
    assert {other.get("/nodes").status for other in others} == {303} and here.get("/nodes").status == 200


def totp(secret: str, at: float | None = None) -> str:
    """RFC 6238, by the book."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    counter = int((time.time() if at is None else at) // 30)
    digest = hmac.new(key, counter.to_bytes(8, "big"), hashlib.sha1).digest()
    offset = digest[-1] & 15
    return f"{(int.from_bytes(digest[offset:offset + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06d}"


def await_a_fresh_step() -> None:
    """Waits out the end of a code's half minute: what a test does with a code is to happen within one."""
    left = 30 - time.time() % 30
    if left < 15:
        time.sleep(left)


def with_codes(nodes: Deployment, name: str) -> tuple[Administrator, str, list[str]]:
    """An account that takes one-time codes: signed in, its secret, its recovery codes."""
    await_a_fresh_step()
    person = made(nodes, name, "operator")
    offered = person.post(
        "/account", {"csrf_token": person.csrf_token, "action": "offer-codes", "password": PASSWORD}
    )
    assert offered.status == 303, offered.text
    page = person.get("/account")
    secret = re.search(r'Key</span> <span class="id[^>]*>([A-Z2-7 ]+)<', page.body)[1].replace(" ", "")
    assert '<svg class="qr"' in page.body
    wrong = person.post("/account", {"csrf_token": person.csrf_token, "action": "start-codes", "code": "000000"})
    assert wrong.status == 409
    started = person.post(
        # The code before: the present one is then still to be used.
        "/account", {"csrf_token": person.csrf_token, "action": "start-codes", "code": totp(secret, time.time() - 30)}
    )
    assert started.status == 303, started.text
    page = person.follow(started)
    assert "One-time codes are on" in page.text
    codes = re.findall(r"<li>([A-Z2-7]{4}(?:-[A-Z2-7]{4}){3})</li>", page.body)
    assert len(codes) == 10
    return person, secret, codes


def half_signed_in(nodes: Deployment, name: str) -> Administrator:
    person = Administrator(nodes.origin)
    page = person.submit(person.get("/login?next=/channels").form("/login"), username=name, password=PASSWORD)
    assert page.status == 303 and "step=code" in page.location
    assert person.get("/nodes").status == 303, "the password alone signed in"
    return person


def test_signing_in_takes_a_one_time_code_once(nodes: Deployment):
    _, secret, recovery = with_codes(nodes, "tina")
    stored = nodes.rows("SELECT totp_secret FROM admins WHERE username = 'tina'")[0][0].tobytes()
    assert base64.b32decode(secret) not in stored
    first, second = half_signed_in(nodes, "tina"), half_signed_in(nodes, "tina")
    form = first.get("/login?step=code&next=/channels").form("/login")
    assert first.submit(form, code="123456").status == 403
    code = totp(secret)
    page = first.submit(form, code=f" {code[:3]} {code[3:]} ")
    assert page.status == 303 and page.location == "/channels", page.text
    assert first.get("/nodes").status == 200
    # Seen over somebody's shoulder.
    form = second.get("/login?step=code").form("/login")
    page = second.submit(form, code=code)
    assert page.status == 403 and "used before" in page.text
    assert second.get("/nodes").status == 303
    events = nodes.rows(
        "SELECT details->>'reason' FROM events WHERE event = 'admin.sign_in_failed' AND details->>'username' = 'tina'"
        " ORDER BY position"
    )
    assert events == [("wrong_code",), ("replayed_code",)]
    # A recovery code, once.
    assert second.submit(form, code=recovery[3].lower()).status == 303
    assert second.get("/nodes").status == 200
    third = half_signed_in(nodes, "tina")
    assert third.submit(third.get("/login?step=code").form("/login"), code=recovery[3]).status == 403
    nodes.nodesctl("admin", "reset-totp", "tina")
    Administrator(nodes.origin).sign_in("tina", PASSWORD)


def test_guesses_of_codes_are_limited_like_passwords(nodes: Deployment):
    _, secret, _ = with_codes(nodes, "tina")
    person = half_signed_in(nodes, "tina")
    form = person.get("/login?step=code").form("/login")
    answers = [person.submit(form, code="000000").status for _ in range(12)]
    assert answers[0] == 403 and answers[-1] == 429
    assert person.submit(form, code=totp(secret)).status == 429
    nodes.nodesctl("admin", "unlock", "tina")
    nodes.rows("DELETE FROM sign_in_failures")
