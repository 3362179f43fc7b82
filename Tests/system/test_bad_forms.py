"""Hostile and mistaken forms, cookies and addresses of pages: refused for a reason, and nothing changes (I6, I8)."""

import pytest
from support.deployment import Deployment
from support.device import TokenCredential


@pytest.fixture
def pending(nodes: Deployment):
    device = nodes.device(credential=TokenCredential())
    request = device.ask()
    yield request
    state = nodes.rows("SELECT state FROM pairing_requests WHERE request_id = %s", request["requestId"])
    assert state == [("pending",)], "a bad form decided something"


def good_form(administrator, request):
    path = f"/nodes/requests/{request['requestId']}/approve"
    form = administrator.get(path).form(path)
    form.fields["code"] = request["code"]
    return form


FORMS = {
    "no CSRF token": (lambda f: f.pop("csrf_token"), {}, 403),
    "wrong CSRF token": (lambda f: f.update(csrf_token="x"), {}, 403),
    "no code": (lambda f: f.pop("code"), {}, 400),
    "another request's code": (lambda f: f.update(code="AAAA-AAAA"), {}, 409),
    "a code out of grammar": (lambda f: f.update(code="0000"), {}, 400),
    "a foreign origin": (lambda f: None, {"Origin": "https://evil.example"}, 403),
    "origin null": (lambda f: None, {"Origin": "null"}, 403),
    "a cross-site fetch": (lambda f: None, {"Sec-Fetch-Site": "cross-site"}, 403),
    "another content type": (lambda f: None, {"Content-Type": "application/json"}, 415),
    "another host": (lambda f: None, {"Host": "evil.example"}, 421),
    "an unknown cookie": (lambda f: None, {"Cookie": "SESSION=" + "A" * 43}, 303),
    "no cookie": (lambda f: None, {"Cookie": ""}, 303),
    "a huge cookie": (lambda f: None, {"Cookie": "a=" + "x" * 40_000}, 431),
}


@pytest.mark.parametrize("case", FORMS)
def test_a_bad_form_changes_nothing(nodes: Deployment, administrator, pending, case: str):
    change, headers, status = FORMS[case]
    form = good_form(administrator, pending)
    change(form.fields)
    cookies = dict(administrator.cookies)
    name = administrator.cookie_name("session")
    page = administrator.post(form.action, form.fields, {k: v.replace("SESSION", name) for k, v in headers.items()})
    administrator.cookies = cookies
    assert page.status == status, page.text
    if status == 303:
        assert page.location.startswith("/login"), page.location


def test_a_csrf_token_of_another_session_is_refused(nodes: Deployment, administrator, pending):
    other = nodes.administrator()
    form = good_form(other, pending)
    assert administrator.submit(form).status == 403


BODIES = {
    "a field twice": (b"csrf_token=a&csrf_token=b&code=AAAAAAAA", 400),
    "a broken escape": (b"csrf_token=%zz", 400),
    "broken UTF-8": (b"csrf_token=%c3%28", 400),
    "NUL": (b"csrf_token=a%00b", 400),
    "too large": (b"csrf_token=" + b"a" * 100_000, 413),
    "a thousand fields": (b"&".join(b"f%d=1" % n for n in range(1000)), 413),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_bad_body_is_refused(nodes: Deployment, administrator, pending, case: str):
    body, status = BODIES[case]
    page = administrator.send(
        "POST",
        f"/nodes/requests/{pending['requestId']}/approve",
        body,
        {"Origin": nodes.origin, "Content-Type": "application/x-www-form-urlencoded"},
    )
    assert page.status == status, page.text


PATHS = {
    "/nodes/requests/not-a-uuid/approve": 404,
    "/nodes/requests/00000000-0000-0000-0000-000000000000/approve": 404,
    "/nodes/devices/never-seen": 404,
    "/nodes/devices/never-seen/revoke": 404,
    "/nodes/devices/%00": 400,
    "/nodes/devices/%ff": 400,
    "/nodes/devices/..%2f..%2fetc": 404,
    "/nowhere": 404,
    "/nodes?q=%ff": 400,
    "/static/../nginx.conf": 400,
}


@pytest.mark.parametrize("path", PATHS)
def test_a_page_that_does_not_exist_says_so(nodes: Deployment, administrator, path: str):
    page = administrator.get(path)
    assert page.status in (PATHS[path], 404), page.text
    assert "fatal" not in page.text.lower()


def test_get_changes_nothing_and_other_methods_are_named(nodes: Deployment, administrator, pending):
    path = f"/nodes/requests/{pending['requestId']}/approve"
    for query in ("", f"?code={pending['code']}", f"?csrf_token={administrator.csrf_token}&code={pending['code']}"):
        assert administrator.get(path + query).status == 200
    for method in ("PUT", "DELETE", "PATCH"):
        page = administrator.send(method, path, headers={"Origin": nodes.origin})
        assert page.status == 405 and "POST" in page.headers["Allow"]


def test_two_sign_ins_with_wrong_passwords_read_the_same_whoever_exists(nodes: Deployment):
    texts = set()
    for name in ("admin", "nobody-here"):
        session = nodes.browser_session(address="127.0.0.70")
        page = session.submit(session.get("/login").form("/login"), username=name, password="wrong wrong wrong")
        assert page.status == 403, page.text
        texts.add(page.text.replace(name, ""))
    assert len(texts) == 1
