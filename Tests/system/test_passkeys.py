"""Passkeys: with Chromium's virtual authenticator, and with one in software that does what Chromium won't."""

import re

import pytest
from support.administrator import Administrator
from support.browser import sign_in
from support.deployment import ADMINISTRATOR, PASSWORD, Deployment
from support.passkeys import Authenticator
from test_roles import half_signed_in, made, refusals, with_codes

PATIENCE = 60_000


@pytest.fixture(autouse=True)
def no_passkeys(nodes: Deployment):
    nodes.rows("DELETE FROM passkeys")
    yield
    nodes.rows("DELETE FROM passkeys")
    nodes.rows("DELETE FROM passkey_challenges")


def since(nodes: Deployment) -> int:
    return nodes.rows("SELECT max(position) FROM events")[0][0]


def events(nodes: Deployment, start: int) -> list[tuple]:
    return nodes.rows(
        "SELECT event, actor, coalesce(details->>'reason', details->>'name', details->>'passkey') FROM events"
        " WHERE position > %s AND event LIKE 'admin.%%' ORDER BY position",
        start,
    )


# In a browser.


@pytest.fixture
def tab(chromium, nodes: Deployment):
    """A browser with a device that knows its owner by the finger. Passkeys are for names, so the origin has one."""
    context = chromium.new_context(base_url=nodes.origin.replace("127.0.0.1", "localhost"))
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    yield page
    context.close()


def add(page, name: str) -> None:
    page.goto("/account")
    keys = page.locator("#passkeys")
    keys.get_by_label("Name such as").fill(name)
    keys.get_by_label("Current password").fill(PASSWORD)
    keys.get_by_role("button", name="Add a passkey").click()
    page.get_by_role("button", name="Make the passkey").click()
    page.get_by_text("Passkey added").wait_for()


def test_a_passkey_is_added_signs_in_is_renamed_and_removed(tab, nodes: Deployment):
    sign_in(tab)
    start = since(nodes)
    add(tab, "My phone")
    tab.get_by_role("button", name="Sign out", exact=True).click()
    tab.goto("/login?next=/channels")
    tab.get_by_role("button", name="Use a passkey").click()
    tab.wait_for_url("**/channels")
    tab.goto("/account")
    keys = tab.locator("#passkeys")
    assert "last used" in keys.inner_text()
    keys.get_by_label("Name of My phone").fill("Work phone")
    keys.get_by_role("button", name="Rename My phone").click()
    keys.get_by_role("button", name="Remove Work phone").click()
    tab.get_by_text("Passkey removed").wait_for()
    tab.get_by_role("button", name="Sign out", exact=True).click()
    tab.goto("/login")
    tab.get_by_role("button", name="Use a passkey").click()
    tab.get_by_text("This passkey signs nobody in here").wait_for()
    tab.goto("/nodes")
    assert "/login" in tab.url
    assert events(nodes, start) == [
        ("admin.passkey_added", ADMINISTRATOR, "My phone"),
        ("admin.signed_out", ADMINISTRATOR, None),
        ("admin.signed_in", ADMINISTRATOR, "My phone"),
        ("admin.passkey_renamed", ADMINISTRATOR, "Work phone"),
        ("admin.passkey_removed", ADMINISTRATOR, "Work phone"),
        ("admin.signed_out", ADMINISTRATOR, None),
        ("admin.sign_in_failed", "system", "unknown_passkey"),
    ]


def test_what_a_browser_signed_once_signs_in_once(tab, nodes: Deployment):
    sign_in(tab)
    add(tab, "My phone")
    tab.get_by_role("button", name="Sign out", exact=True).click()
    tab.goto("/login")
    seen = []
    tab.on("request", lambda request: seen.append(request.post_data) if request.post_data else None)
    tab.get_by_role("button", name="Use a passkey").click()
    tab.wait_for_url("**/nodes")
    stolen = [body for body in seen if "authenticator_data=" in body]
    assert len(stolen) == 1
    fields = dict(re.findall(r"(credential|client_data|authenticator_data|signature|user_handle)=([^&]+)", stolen[0]))
    # Whoever read it on the way tries it with a sign-in of their own, begun and not begun.
    thief = Administrator(nodes.origin.replace("127.0.0.1", "localhost"), address="127.0.0.66")
    start = since(nodes)
    token = thief.get("/login").form("/login").fields["csrf_token"]
    assert thief.post("/login", {"csrf_token": token, **fields}).status == 401
    begin(thief)
    assert thief.post("/login", {"csrf_token": token, **fields}).status == 401
    assert thief.get("/nodes").status == 303
    assert [row[2] for row in events(nodes, start)] == ["passkey_challenge", "passkey_unreadable"]


def test_a_browser_without_scripts_is_told_and_signs_in_with_the_password(chromium, nodes: Deployment):
    context = chromium.new_context(base_url=nodes.origin, java_script_enabled=False)
    page = context.new_page()
    page.goto("/login")
    assert page.get_by_role("button", name="Use a passkey").count() == 0
    sign_in(page)
    page.goto("/account")
    keys = page.locator("#passkeys")
    assert keys.get_by_role("button").count() == 0
    assert "takes a browser that knows passkeys and runs scripts" in keys.inner_text()
    context.close()


# With an authenticator that says whatever it is told to.


def begin(person: Administrator) -> str:
    """Begins a sign-in with a passkey; what is to be signed."""
    form = person.get("/login").form("/login")
    page = person.post("/login", {"csrf_token": form.fields["csrf_token"], "action": "passkey"})
    assert page.status == 303 and "step=passkey" in page.location, page.text
    return re.search(r'data-challenge="([^"]+)"', person.follow(page).body)[1]


def offered(person: Administrator, password: str = PASSWORD) -> tuple[str, str]:
    page = person.post(
        "/account",
        {"csrf_token": person.csrf_token, "action": "offer-passkey", "name": "Key", "password": password},
    )
    assert page.status == 303, page.text
    assert page.location == "/account#passkeys"
    body = person.get("/account").body
    return re.search(r'data-challenge="([^"]+)"', body)[1], re.search(r'data-user="([^"]+)"', body)[1]


def enrolled(nodes: Deployment, person: Administrator, algorithm: int = -7) -> Authenticator:
    key = Authenticator(nodes.origin, algorithm)
    fields = key.make(*offered(person))
    page = person.post("/account", {"csrf_token": person.csrf_token, "action": "add-passkey", **fields})
    assert page.status == 303 and "Passkey added" in person.follow(page).text, page.text
    return key


def attempt(person: Administrator, fields: dict):
    return person.post("/login", {"csrf_token": person.get("/login").form("/login").fields["csrf_token"], **fields})


@pytest.mark.parametrize("algorithm", [-7, -8, -257])
def test_keys_of_each_kind_sign_in_with_their_owners_role(nodes: Deployment, algorithm: int):
    key = enrolled(nodes, made(nodes, "olga", "viewer"), algorithm)
    person = Administrator(nodes.origin)
    page = attempt(person, key.sign(begin(person)))
    assert page.status == 303 and page.location == "/", page.text
    page = person.get("/account")
    assert "viewer" in page.text.lower() and "olga" in page.text
    # Not under the name of a disabled account.
    nodes.nodesctl("admin", "disable", "olga")
    assert person.get("/nodes").status == 303
    assert attempt(person, key.sign(begin(person))).status == 401


HOSTILE = {
    "a page elsewhere": ({"origin": "https://evil.example"}, "passkey_origin"),
    "a site elsewhere": ({"host": "evil.example"}, "passkey_origin"),
    "another port": ({"origin": "http://127.0.0.1:1"}, "passkey_origin"),
    "nobody there": ({"flags": 0x04}, "passkey_unverified"),
    "anybody there": ({"flags": 0x01}, "passkey_unverified"),
    "a registration's words": ({"type": "webauthn.create"}, "passkey_unreadable"),
    "within another site's page": ({"crossOrigin": True}, "passkey_unreadable"),
    "another challenge": ({"challenge": "A" * 43}, "passkey_unreadable"),
    "another signature": ({"changes": {"signature": "AAAA"}}, "passkey_signature"),
    "no signature": ({"changes": {"signature": ""}}, "passkey_unreadable"),
    "nobody's name": ({"changes": {"user_handle": ""}}, "passkey_of_another_account"),
    "somebody else's name": ({"changes": {"user_handle": "A" * 22}}, "passkey_of_another_account"),
    "an unknown passkey": ({"changes": {"credential": "A" * 43}}, "unknown_passkey"),
    "no passkey": ({"changes": {"credential": ""}}, "unknown_passkey"),
    "bytes that are no data": ({"changes": {"authenticator_data": "oA"}}, "passkey_unreadable"),
    "words that are none": ({"changes": {"client_data": "e30"}}, "passkey_unreadable"),
    "text that is no base64url": ({"changes": {"client_data": "<script>"}}, "passkey_unreadable"),
    "endless text": ({"changes": {"client_data": "A" * 12_000}}, "passkey_unreadable"),
}


def test_what_was_not_asked_for_signs_nobody_in_and_is_audited(nodes: Deployment):
    key = enrolled(nodes, made(nodes, "olga", "operator"))
    for index, (case, (told, reason)) in enumerate(HOSTILE.items()):
        # One event a minute for each address: every attempt has one of its own.
        person = Administrator(nodes.origin, address=f"127.0.1.{index + 1}")
        start, challenge = since(nodes), begin(person)
        told = dict(told)
        fields = key.sign(challenge, **told) if "challenge" not in told else key.sign(told["challenge"])
        page = attempt(person, fields)
        assert page.status == 401, (case, page.status, page.text)
        assert person.get("/nodes").status == 303, case
        assert [row[:1] + row[2:] for row in events(nodes, start)] == [("admin.sign_in_failed", reason)], case
        # What was asked for was spent by that.
        start = since(nodes)
        assert attempt(person, key.sign(challenge)).status == 401, case
        assert [row[2] for row in events(nodes, start)] == ["passkey_challenge"], case
    person = Administrator(nodes.origin)
    assert attempt(person, key.sign(begin(person))).status == 303


def test_a_challenge_is_its_browsers_alone_and_a_copy_is_found_out(nodes: Deployment):
    key = enrolled(nodes, made(nodes, "olga", "operator"))
    first, second = Administrator(nodes.origin), Administrator(nodes.origin)
    challenge = begin(first)
    begin(second)
    assert attempt(second, key.sign(challenge)).status == 401
    assert attempt(first, key.sign(challenge)).status == 303
    key.count -= 2
    start = since(nodes)
    page = attempt(second, key.sign(begin(second)))
    assert page.status == 401 and "there may be a copy" in page.text
    assert [row[2] for row in events(nodes, start)] == ["passkey_copied"]


def test_a_passkey_of_another_account_is_no_second_proof(nodes: Deployment):
    with_codes(nodes, "petra")
    key = enrolled(nodes, made(nodes, "olga", "administrator"))
    person = half_signed_in(nodes, "petra")
    form = person.get("/login?step=code").form("/login")
    start = since(nodes)

    def challenge() -> str:
        page = person.post(
            "/login", {"csrf_token": form.fields["csrf_token"], "action": "passkey", "step": "code"}
        )
        return re.search(r'data-challenge="([^"]+)"', person.follow(page).body)[1]

    assert attempt(person, key.sign(challenge())).status == 401
    assert person.get("/nodes").status == 303
    assert [row[2] for row in events(nodes, start)] == ["passkey_of_another_account"]
    # Nor does it add to an account what another has.
    handle = nodes.rows("SELECT user_handle FROM admins WHERE username = 'olga'")[0][0]
    other = made(nodes, "paul", "viewer")
    token = other.csrf_token
    fields = key.make(*offered(other))
    page = other.post("/account", {"csrf_token": token, "action": "add-passkey", **fields})
    assert page.status == 409 and "in use already" in page.text
    mine = nodes.rows("SELECT passkey_id::text FROM passkeys")[0][0]
    for fields in ({"action": "remove-passkey"}, {"action": "rename-passkey", "name": "Mine"}):
        assert other.post("/account", {"csrf_token": token, "passkey": mine, **fields}).status == 409
    assert nodes.rows("SELECT username, name FROM passkeys") == [("olga", "Key")]
    assert nodes.rows("SELECT user_handle FROM admins WHERE username = 'olga'")[0][0] == handle
    assert [row[0] for row in refusals(nodes, "paul")] == ["passkey_taken", "unknown_passkey"]


REGISTRATIONS = {
    "a page elsewhere": ({"origin": "https://evil.example"}, "passkey_origin"),
    "nobody verified": ({"flags": 0x41}, "passkey_unverified"),
    "a signature's words": ({"type": "webauthn.get"}, "passkey_unreadable"),
    "no passkey made": ({"flags": 0x05}, "passkey_unreadable"),
}


def test_what_was_not_asked_for_is_not_added(nodes: Deployment):
    person = made(nodes, "olga", "operator")
    page = person.post(
        "/account",
        {"csrf_token": person.csrf_token, "action": "offer-passkey", "name": "Key", "password": "wrong password"},
    )
    assert page.status == 403 and "current password is wrong" in page.text
    for case, (told, _) in REGISTRATIONS.items():
        fields = {"csrf_token": person.csrf_token, "action": "add-passkey"}
        key = Authenticator(nodes.origin)
        challenge = offered(person)
        assert person.post("/account", {**fields, **key.make(*challenge, **told)}).status == 409, case
        # It was spent by that.
        assert person.post("/account", {**fields, **key.make(*challenge)}).status == 409, case
    assert nodes.rows("SELECT 1 FROM passkeys") == []
    # One a minute for each reason.
    reasons = {reason for _, reason in REGISTRATIONS.values()} | {"passkey_challenge"}
    assert {row[0] for row in refusals(nodes, "olga")} == reasons


def test_an_operator_of_the_machine_and_an_administrator_remove_anybodys(nodes: Deployment, administrator):
    person = made(nodes, "olga", "operator")
    key = enrolled(nodes, person)
    assert "Removed 1 passkey" in nodes.nodesctl("admin", "reset-passkeys", "olga").stdout
    assert attempt(Administrator(nodes.origin), key.sign("A" * 43)).status == 401
    enrolled(nodes, person)
    assert person.post("/accounts/admin", {"csrf_token": person.csrf_token, "action": "remove-passkeys"}).status == 403
    token = administrator.csrf_token
    page = administrator.post("/accounts/olga", {"csrf_token": token, "action": "remove-passkeys"})
    assert page.status == 303 and "Passkeys removed" in administrator.follow(page).text
    assert nodes.rows("SELECT 1 FROM passkeys") == []
    removed = nodes.rows(
        "SELECT actor FROM events WHERE event = 'admin.passkey_removed' AND details->>'username' = 'olga'"
        " ORDER BY position DESC LIMIT 2"
    )
    assert removed[0] == (ADMINISTRATOR,) and "(command line)" in removed[1][0]
