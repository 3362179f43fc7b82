"""The pages as HTTP: who gets in, what a form needs, and what every answer carries."""

import json
import re
import urllib.parse

import pytest
from support.administrator import Administrator
from support.deployment import PASSWORD, Deployment
from support.device import Refused

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Type": "text/html; charset=utf-8",
}


@pytest.fixture
def pending(nodes: Deployment):
    """A device that waits for a decision."""
    device = nodes.device()
    device.request = device.ask(displayName="Reception tablet")
    device.path = f"/nodes/requests/{device.request['requestId']}"
    return device


def state_of(nodes: Deployment, device) -> str:
    return nodes.rows(
        "SELECT state FROM pairing_requests WHERE request_id = %s", device.request["requestId"]
    )[0][0]


@pytest.mark.parametrize(
    "path", ["/nodes", "/nodes?q=a%20b", "/nodes/devices/tablet-1", "/nodes/devices/a%3Ab/revoke"]
)
def test_a_visitor_signs_in_first_and_arrives_where_he_wanted_to_go(nodes: Deployment, path: str):
    visitor = nodes.browser_session()
    page = visitor.get(path)
    assert page.status == 303
    assert page.location == "/login?next=" + urllib.parse.quote(path, safe="")
    form = visitor.follow(page).form("/login")
    answer = visitor.submit(form, username="admin", password=PASSWORD)
    assert (answer.status, answer.location) == (303, path)


@pytest.mark.parametrize("next", ["//evil.example", "https://evil.example/", "/\\evil.example", "/logout", "/login"])
def test_signing_in_never_leads_to_another_site(nodes: Deployment, next: str):
    visitor = nodes.browser_session()
    form = visitor.get("/login?next=" + urllib.parse.quote(next, safe="")).form("/login")
    assert "next" not in form.fields
    answer = visitor.submit(form, username="admin", password=PASSWORD, next=next)
    assert (answer.status, answer.location) == (303, "/")


def test_an_unknown_name_and_a_wrong_password_get_the_same_answer(nodes: Deployment):
    pages = []
    for username in ("admin", "nobody-" + "x" * 8):
        visitor = nodes.browser_session(address="127.0.0.31")
        page = visitor.submit(visitor.get("/login").form("/login"), username=username, password="wrong password")
        assert page.status == 403 and visitor.cookie_name("session") not in visitor.cookies
        assert page.form("/login").fields["username"] == username
        pages.append(re.sub(r'(value|server-time" content)="[^"]*"', "", page.body))
    assert pages[0] == pages[1]
    assert "The name or the password is wrong." in pages[0]


def test_too_many_failures_from_one_place_have_to_wait(deploy):
    nodes = deploy(gateways=1, kernels=1)
    at_home = nodes.administrator(address="127.0.0.32")
    name = at_home.cookie_name("browser")
    browser = {name: at_home.cookies[name]}
    stranger = nodes.browser_session(address="127.0.0.33")
    statuses = []
    for _ in range(12):
        page = stranger.submit(stranger.get("/login").form("/login"), username="admin", password="wrong password")
        statuses.append(page.status)
    assert statuses[0] == 403 and statuses[-1] == 429, statuses
    assert int(page.headers["Retry-After"]) > 0
    # Whoever signed in before is never locked out by strangers, wherever that browser is now.
    known = nodes.browser_session(address="127.0.0.33")
    known.cookies = browser
    known.sign_in("admin", PASSWORD)


def test_the_sign_in_form_is_bound_to_the_browser_it_was_made_for(nodes: Deployment):
    victim, attacker = nodes.browser_session(), nodes.browser_session()
    form, foreign = victim.get("/login").form("/login"), attacker.get("/login").form("/login")
    form.fields["csrf_token"] = foreign.fields["csrf_token"]
    page = victim.submit(form, username="admin", password=PASSWORD)
    assert page.status == 403 and victim.cookie_name("session") not in victim.cookies
    victim.cookies.clear()
    assert victim.submit(foreign, username="admin", password=PASSWORD).status == 403
    assert victim.cookie_name("session") not in victim.cookies


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(nodes: Deployment):
    visitor = nodes.browser_session()
    form = visitor.get("/login").form("/login")
    answer = visitor.submit(form, username="admin", password=PASSWORD)
    cookies = answer.headers.get_all("Set-Cookie")
    assert [c.split("=")[0] for c in cookies] == [visitor.cookie_name("session"), visitor.cookie_name("browser")]
    for cookie in cookies:
        assert "; Path=/; " in cookie and "; HttpOnly; SameSite=Lax" in cookie


def test_every_answer_carries_the_headers_that_keep_others_out(nodes: Deployment, administrator):
    answers = {
        200: administrator.get("/nodes"),
        303: administrator.get("/"),
        404: administrator.get("/nodes/nowhere"),
        405: administrator.send("DELETE", "/nodes"),
        403: administrator.post("/logout", {}),
    }
    for status, page in answers.items():
        assert page.status == status
        for name, value in HEADERS.items():
            assert page.headers.get_all(name) == [value], (status, name)
        if status != 303:
            assert 'href="/nodes" aria-current="page"' in page.body or status in (403, 404)
            assert ">Sign out<" in page.body
    assert answers[405].headers["Allow"] == "GET, HEAD"


def test_a_head_request_has_the_headers_of_the_page_and_no_body(administrator):
    page = administrator.send("HEAD", "/nodes")
    assert page.status == 200 and page.body == ""
    assert page.headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("headers", "changes", "status"),
    [
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, {}, 403),
        ({"Origin": "null"}, {}, 403),
        ({"Origin": None, "Sec-Fetch-Site": "cross-site"}, {}, 403),
        ({"Origin": None, "Sec-Fetch-Site": "same-site"}, {}, 403),
        ({"Content-Type": "application/json"}, {}, 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, {}, 415),
        ({"Content-Type": "text/plain"}, {}, 415),
        ({"Content-Type": None}, {}, 415),
        ({"Host": "evil.example"}, {}, 421),
        ({}, {"csrf_token": ""}, 403),
        ({}, {"csrf_token": "A" * 43}, 403),
        ({}, {"csrf_token": None}, 403),
        ({}, {"code": "WRONG"}, 400),
        ({}, {"code": "ABCDEFGH"}, 409),
    ],
)
def test_a_form_that_is_not_our_own_changes_nothing(
    nodes: Deployment, administrator, pending, headers: dict, changes: dict, status: int
):
    form = administrator.get(pending.path + "/approve").form("/approve")
    fields = {k: v for k, v in {**form.fields, **changes}.items() if v is not None}
    page = administrator.post(form.action, fields, headers)
    assert page.status == status, page.text
    assert state_of(nodes, pending) == "pending"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("{0}&code=ABCDEFGH", 400),
        ("{0}&%63ode=ABCDEFGH", 400),
        ("{0}&x=%", 400),
        ("{0}&x=%zz", 400),
        ("{0}&x=%ff", 400),
        ("{0}&x=%00", 400),
        ("{0}&" + "&".join(f"x{i}=1" for i in range(20)), 413),
        ("{0}&x=" + "y" * 17_000, 413),
    ],
)
def test_an_ill_formed_form_changes_nothing(nodes: Deployment, administrator, pending, body: str, status: int):
    form = administrator.get(pending.path + "/deny").form("/deny")
    page = administrator.send(
        "POST", form.action, body.format(urllib.parse.urlencode(form.fields)).encode(),
        {"Origin": nodes.origin, "Content-Type": "application/x-www-form-urlencoded"},
    )  # fmt: skip
    assert page.status == status
    assert state_of(nodes, pending) == "pending"


def test_the_token_of_another_session_opens_nothing(nodes: Deployment, administrator, pending):
    other = nodes.administrator()
    fields = other.get(pending.path + "/approve").form("/approve").fields
    assert administrator.post(pending.path + "/approve", fields).status == 403
    assert state_of(nodes, pending) == "pending"


def test_a_get_never_changes_anything(nodes: Deployment, administrator, pending):
    form = administrator.get(pending.path + "/approve").form("/approve")
    for verb in ("approve", "deny"):
        for method in ("GET", "HEAD"):
            query = urllib.parse.urlencode(form.fields)
            assert administrator.send(method, f"{pending.path}/{verb}?{query}").status == 200
    assert administrator.get("/logout").status == 200
    assert state_of(nodes, pending) == "pending"
    assert administrator.get("/nodes").status == 200


def test_a_cookie_that_arrives_twice_is_refused(nodes: Deployment, administrator):
    name = administrator.cookie_name("session")
    secret = administrator.cookies[name]
    for cookies in (f"{name}={secret}; {name}={secret}", f"{name}=x; {name}={secret}"):
        assert nodes.browser_session().get("/nodes", Cookie=cookies).status == 400
    assert nodes.browser_session().get("/nodes", Cookie=f"a=1; a=2; {name}={secret}").status == 200


def test_installations_on_two_ports_of_one_host_keep_both_signed_in(nodes: Deployment, deploy):
    other = deploy(gateways=1, kernels=1)
    here, there = nodes.browser_session(), other.browser_session()
    # One browser: cookies know no ports.
    there.cookies = here.cookies
    here.sign_in("admin", PASSWORD)
    there.sign_in("admin", PASSWORD)
    assert here.get("/nodes").status == there.get("/nodes").status == 200
    assert there.sign_out().status == 303
    assert here.get("/nodes").status == 200 and there.get("/nodes").status == 303


def test_after_signing_out_the_cookie_opens_nothing(nodes: Deployment):
    administrator = nodes.administrator()
    cookies = dict(administrator.cookies)
    page = administrator.sign_out()
    assert (page.status, page.location) == (303, "/login")
    assert administrator.cookie_name("session") not in administrator.cookies
    assert "Signed out." in administrator.follow(page).text
    thief = nodes.browser_session()
    thief.cookies = cookies
    assert thief.get("/nodes").status == 303


def test_a_list_shows_what_a_decision_needs(nodes: Deployment, administrator, pending):
    page = administrator.get("/nodes")
    for shown in (pending.sender_id, pending.request["code"], "Reception tablet", "127.0.0.1"):
        assert shown in page.text, shown
    dialog = administrator.get(pending.path + "/approve")
    for shown in ("web", pending.sender_id, pending.request["code"], "Name claimed by the device", "SHA256:"):
        assert shown in dialog.text, shown


def test_what_came_of_a_form_is_said_once(administrator, pending):
    page = administrator.approve(pending.request["requestId"], pending.request["code"])
    assert f"Approved. {pending.sender_id} is paired." in page.text
    assert "Approved." not in administrator.get("/nodes").text
    page = administrator.revoke(pending.sender_id)
    assert f"Revoked. {pending.sender_id} is no longer paired." in page.text


def test_a_link_can_not_make_a_page_claim_anything(administrator):
    page = administrator.get("/nodes?notice=approved/tablet-1&done=approved", Cookie=None)
    assert "Approved." not in page.text


def test_a_decision_that_came_too_late_says_who_decided(nodes: Deployment, administrator, pending):
    late = administrator.get(pending.path + "/deny").form("/deny")
    administrator.approve(pending.request["requestId"], pending.request["code"])
    page = administrator.submit(late)
    assert page.status == 409
    assert "This request was approved" in page.text and "Decided by admin" in page.text
    assert state_of(nodes, pending) == "approved"
    assert "This request was approved" in administrator.get(pending.path + "/approve").text


def test_a_device_has_a_page_with_its_history(administrator, pending):
    administrator.approve(pending.request["requestId"], pending.request["code"])
    path = f"/nodes/devices/{pending.sender_id}"
    assert "Active web" in administrator.get(path).text
    administrator.revoke(pending.sender_id)
    page = administrator.get(path)
    assert page.status == 200 and "Revoked web" in page.text
    assert administrator.get(path + "/revoke").status == 200
    assert "This device is revoked" in administrator.get(path + "/revoke").text
    assert administrator.get("/nodes/devices/never-seen").status == 404


@pytest.mark.parametrize(
    ("path", "meant"), [("/nodes/", "/nodes"), ("/channels/", "/channels"), ("/nodes/?q=a%20b", "/nodes?q=a%20b")]
)
def test_a_slash_at_the_end_does_no_harm(administrator, path: str, meant: str):
    page = administrator.get(path)
    assert (page.status, page.location) == (303, meant)
    assert administrator.get("//evil.example/").status == 404


@pytest.mark.parametrize("path", ["/nodes/requests/1/approve", "/nodes?requests=1", "/nodes?q=1&q=2"])
def test_an_address_that_leads_nowhere_says_so(administrator, path: str):
    page = administrator.get(path)
    assert page.status in (400, 404)
    assert "Go to Nodes" in page.text


def test_hostile_text_stays_text(nodes: Deployment, administrator):
    hostile = "\"'><script>alert(1)</script>\u202e\u200b\"\u0301 onload=x"
    device = nodes.device()
    request = device.ask(displayName=hostile, metadata={hostile: hostile, "userAgent": hostile})
    for path in ("/nodes", f"/nodes/requests/{request['requestId']}/approve", f"/nodes?q={urllib.parse.quote('<script>')}"):
        body = administrator.get(path).body
        assert "<script>alert" not in body and "\u202e" not in body and "\u200b" not in body
        assert '"\u0301' not in body


def test_lists_are_filtered_and_paged(deploy):
    nodes = deploy(gateways=1, kernels=1)
    administrator = nodes.administrator()
    device = nodes.device(sender_id="tablet-original")
    device.pair(administrator)
    nodes.rows(
        """
        INSERT INTO paired_devices SELECT (jsonb_populate_record(d, jsonb_build_object(
            'request_id', gen_random_uuid(), 'sender_key', 'sensor-' || n, 'sender_id', 'Sensor-' || n,
            'paired_at', d.paired_at - n * interval '1 second'))).*
        FROM paired_devices d, generate_series(1, 119) AS n
        """
    )
    seen, path = [], "/nodes"
    while path:
        page = administrator.get(path)
        seen += re.findall(r'href=/nodes/devices/([^\s/>]+)>', page.body)
        found = re.search(r'href="(/nodes\?[^"]*)" rel="next"', page.body)
        path = found and found[1].replace("&amp;", "&")
    assert seen == ["tablet-original"] + [f"Sensor-{n}" for n in range(1, 120)]
    page = administrator.get("/nodes?q=SENSOR-11")
    assert re.findall(r'href=/nodes/devices/([^\s/>]+)>', page.body) == ["Sensor-11"] + [
        f"Sensor-{n}" for n in range(110, 120)
    ]
    assert "No paired device matches." in administrator.get("/nodes?q=nothing-like-it").text
    assert "No paired device matches." in administrator.get("/nodes?q=%25").text


def test_the_code_can_be_required_to_be_typed(deploy):
    nodes = deploy(gateways=1, kernels=1, settings={"approve": {"require_typed_code": True}})
    administrator = nodes.administrator()
    device = nodes.device()
    request = device.ask()
    path = f"/nodes/requests/{request['requestId']}/approve"
    denial = f"/nodes/requests/{request['requestId']}/deny"
    for page in (administrator.get("/nodes"), administrator.get(path), administrator.get(denial)):
        assert request["code"] not in page.body and request["code"].replace("-", "") not in page.body
    # Nor can it be guessed part by part.
    for part in (request["code"][:4], request["code"]):
        assert "No request matches." in administrator.get(f"/nodes?q={part}").text
    assert "channel, code" not in administrator.get("/nodes").body
    token = json.loads(
        nodes.nodesctl(
            "token", "create", "program", "--scope", "administer", "--expires", "1d", "--owner", "admin", "--json"
        ).stdout
    )
    program = nodes.socket()
    program.request("connect", {"token": token["secret"]})
    listed = program.request("device.pair.list")
    assert [row["code"] for row in listed["pending"]] == [None]
    assert program.request("device.pair.list", {"filter": request["code"][:4]})["pending"] == []
    with pytest.raises(Refused) as refusal:
        program.request("device.pair.approve", {"requestId": request["requestId"]})
    assert refusal.value.error["details"]["parameter"] == "code"
    # Who denies cannot look at the device, so denying needs no code.
    for deny in (
        lambda id: administrator.submit(administrator.get(f"/nodes/requests/{id}/deny").form("/deny")),
        lambda id: program.request("device.pair.deny", {"requestId": id}),
        lambda id: nodes.nodesctl("deny", id),
    ):
        unwanted = nodes.device()
        deny(unwanted.ask()["requestId"])
        assert unwanted.socket.event("device.pair.resolved")["decision"] == "denied"
    form = administrator.get(path).form("/approve")
    assert form.fields["code"] == ""
    # As a Japanese keyboard types it.
    typed = "".join(chr(ord(character) + 0xFEE0) for character in request["code"].lower()) + "\u3000"
    for wrong, status in (("", 400), ("nonsense", 400), ("ABCD-EFGH", 409)):
        assert administrator.submit(form, code=wrong).status == status
    assert administrator.submit(form, code=typed).status == 303
    assert device.socket.event("device.pair.resolved")["decision"] == "approved"


def test_the_lite_edition_has_no_nodes(deploy):
    nodes = deploy(gateways=1, kernels=1, settings={"edition": "lite"})
    administrator = nodes.browser_session()
    page = administrator.submit(administrator.get("/login").form("/login"), username="admin", password=PASSWORD)
    home = administrator.follow(page)
    assert home.status == 200 and "lite edition" in home.text
    page = administrator.get("/nodes")
    assert page.status == 404 and "standard edition" in page.text
    assert 'href="/nodes"' not in home.body + page.body and "Connections" not in home.text + page.text


def test_behind_tls_cookies_are_bound_to_the_host(deploy):
    origin = "https://nodes.example.org"
    nodes = deploy(gateways=1, kernels=1, settings={"gateway": {"public_origins": [origin]}})
    visitor = Administrator(origin, port=nodes.port)
    page = visitor.get("/login")
    assert re.fullmatch(
        r"__Host-nodes_browser=[\w-]{43}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax; Secure",
        page.headers["Set-Cookie"],
    )
    visitor.sign_in("admin", PASSWORD)
    assert set(visitor.cookies) == {"__Host-nodes_browser", "__Host-nodes_session"}
    assert visitor.get("/nodes").status == 200
