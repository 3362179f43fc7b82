"""Pages that are open show what happens, while it does and without a reload: `/events`."""

import contextlib
import http.client
import json
import re
import time
import urllib.parse

import pytest
from playwright.sync_api import Page, expect
from support.browser import sign_in
from support.deployment import PASSWORD, Deployment, eventually
from support.device import TokenCredential

# What is asked of a page is that it shows within a second what was decided elsewhere; a busy machine gets more.
SOON = 5_000


class Stream:
    """`/events`, read as a browser would."""

    def __init__(self, administrator, gateway: int | None = None, nodes: Deployment | None = None, **headers: str):
        port = urllib.parse.urlsplit(administrator.origin).port
        if gateway is not None:
            port = nodes.direct_ports[gateway]
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        cookies = "; ".join(f"{name}={value}" for name, value in administrator.cookies.items())
        host = urllib.parse.urlsplit(administrator.origin).netloc
        self.connection.request("GET", "/events", headers={"Host": host, "Cookie": cookies, **headers})
        self.answer = self.connection.getresponse()
        self.status = self.answer.status

    def event(self, name: str | None = None, timeout: float = 30) -> tuple[str, dict]:
        deadline = time.monotonic() + timeout
        while True:
            kind, data = None, ""
            while line := self.answer.readline().decode().rstrip("\n"):
                if line.startswith("event: "):
                    kind = line[7:]
                elif line.startswith("data: "):
                    data = line[6:]
            if kind is None:
                if self.answer.isclosed() or self.answer.fp is None:
                    raise EOFError
                assert time.monotonic() < deadline
                continue
            if name in (None, kind):
                return kind, json.loads(data)

    def close(self) -> None:
        self.connection.close()


@pytest.fixture
def follow(nodes: Deployment):
    with contextlib.ExitStack() as stack:

        def begin(administrator, **options):
            stream = Stream(administrator, nodes=nodes, **options)
            stack.callback(stream.close)
            return stream

        yield begin


def test_a_stream_tells_what_happens_with_the_number_of_requests_that_wait(nodes: Deployment, administrator, follow):
    stream = follow(administrator)
    assert stream.status == 200
    assert stream.answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    _, ready = stream.event("ready")
    device = nodes.device(credential=TokenCredential())
    request = device.ask()
    _, change = stream.event("change")
    assert change["position"] > ready["position"] and change["pending"] == ready["pending"] + 1
    assert {
        "event": "pairing.requested", "channel": "web", "senderId": device.sender_id,
        "requestId": request["requestId"],
    } in change["changes"]  # fmt: skip
    administrator.deny(request["requestId"], request["code"])
    assert stream.event("change")[1]["pending"] == ready["pending"]


def test_without_a_session_or_from_another_site_there_is_no_stream(nodes: Deployment, administrator, follow):
    assert follow(nodes.browser_session()).status == 401
    assert follow(administrator, **{"Sec-Fetch-Site": "cross-site"}).status == 403
    wrong_host = http.client.HTTPConnection("127.0.0.1", nodes.port)
    wrong_host.request("GET", "/events", headers={"Host": "elsewhere.example"})
    assert wrong_host.getresponse().status == 421


def test_a_stream_ends_within_seconds_of_its_session_and_never_renews_it(nodes: Deployment, follow):
    nodes.nodesctl("admin", "create", "listener", "--password-stdin", stdin=PASSWORD + "\n", check=False)
    leaving, removed = (nodes.browser_session().sign_in("listener", PASSWORD) for _ in range(2))
    streams = [follow(session) for session in (leaving, removed)]
    for stream in streams:
        stream.event("ready")
    nodes.rows(
        "UPDATE admin_sessions SET last_used_at = last_used_at - interval '2 hours' WHERE username = 'listener'"
    )
    before = nodes.rows("SELECT max(last_used_at) FROM admin_sessions WHERE username = 'listener'")
    time.sleep(3)
    assert nodes.rows("SELECT max(last_used_at) FROM admin_sessions WHERE username = 'listener'") == before
    began = time.monotonic()
    leaving.sign_out()
    assert streams[0].event()[0] == "ended"
    nodes.nodesctl("admin", "remove", "listener", "--yes")
    assert streams[1].event()[0] == "ended"
    assert time.monotonic() - began < 10


def test_streams_are_limited_by_account_and_in_all_and_end_with_their_gateway(deploy):
    nodes = deploy(
        gateways=1, kernels=1, settings={"gateway": {"event_streams": 3, "event_streams_per_account": 2}}
    )
    nodes.nodesctl("admin", "create", "other", "--password-stdin", stdin=PASSWORD + "\n")
    administrator, other = nodes.administrator(), nodes.browser_session().sign_in("other", PASSWORD)
    streams = [Stream(administrator) for _ in range(2)]
    assert [stream.status for stream in streams] == [200, 200]
    assert Stream(administrator).status == 429
    streams.append(Stream(other))
    assert streams[2].status == 200 and Stream(other).status == 503
    for stream in streams:
        stream.event("ready")
    metrics = nodes.status("gateway/0/metrics")[1]
    assert re.search(r"^gateway_event_streams 3$", metrics, re.M), metrics
    streams[0].close()
    eventually(lambda: Stream(administrator).status == 200, "a place is free again")
    gateway = next(process for process in nodes.processes if process.name == "gateway-0")
    began = time.monotonic()
    gateway.stop()
    for stream in streams[1:]:
        with pytest.raises((EOFError, http.client.IncompleteRead, ValueError, AttributeError)):
            while True:
                stream.event()
    assert time.monotonic() - began < 15
    nodes.restart(gateway)


def test_a_database_that_is_away_is_told_and_its_return(deploy):
    nodes = deploy(gateways=1, kernels=1)
    stream = Stream(nodes.administrator())
    stream.event("ready")
    with nodes.database_stopped():
        assert stream.event()[0] == "away"
    assert stream.event()[0] in ("back", "change")


# In the browser.


@pytest.fixture
def tabs(chromium, nodes: Deployment):
    nodes.nodesctl("admin", "create", "maria", "--password-stdin", stdin=PASSWORD + "\n", check=False)
    opened = [chromium.new_context(base_url=nodes.origin) for _ in range(2)]
    pages = []
    problems: list[str] = []
    for context, name in zip(opened, ("admin", "maria")):
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto("/login")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        with page.expect_response(lambda answer: answer.url.endswith("/events")):
            page.get_by_role("button", name="Sign in").click()
        pages.append(page)
    yield pages
    assert not problems
    for context in opened:
        context.close()


def card(page: Page, device):
    return page.locator("li.request").filter(has_text=device.sender_id)


def row(page: Page, device):
    return page.get_by_role("row").filter(has_text=device.sender_id)


def test_two_administrators_see_what_the_other_does_without_a_reload(nodes: Deployment, tabs: list[Page]):
    one, two = tabs
    for tab in tabs:
        tab.evaluate("window.isTheSamePage = true")
    device = nodes.device(credential=TokenCredential())
    device.ask()
    for tab in tabs:
        expect(card(tab, device)).to_be_visible(timeout=SOON)
        expect(tab).to_have_title(re.compile(r"^\(\d+\+?\) Nodes"))
        expect(tab.get_by_role("navigation", name="Main").locator("[data-pending]")).to_be_visible()
    one.get_by_role("link", name=f"Approve {device.sender_id}").click()
    one.get_by_role("dialog").get_by_role("button", name="Approve").click()
    expect(row(two, device)).to_contain_text("admin", timeout=SOON)
    expect(card(two, device)).to_have_count(0)
    two.get_by_role("link", name=f"Revoke {device.sender_id}").click()
    two.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(row(one, device)).to_have_count(0, timeout=SOON)
    # Each navigated once only, by its own decision.
    assert not one.evaluate("window.isTheSamePage") and not two.evaluate("window.isTheSamePage")


def test_what_was_decided_elsewhere_is_on_the_page_within_a_second(nodes: Deployment, tabs: list[Page]):
    one, _ = tabs
    administrator = nodes.administrator(kernel=1)
    times = []
    for _ in range(5):
        device = nodes.device(credential=TokenCredential())
        request = device.ask()
        expect(card(one, device)).to_be_visible(timeout=SOON)
        began = time.monotonic()
        administrator.deny(request["requestId"], request["code"])
        expect(card(one, device)).to_have_count(0, timeout=SOON)
        times.append(time.monotonic() - began)
    print("seconds from the decision to the page:", [round(t, 2) for t in times])
    assert min(times) < 1


def test_focus_filter_scrolling_and_what_is_typed_stay_as_they_are(nodes: Deployment, tabs: list[Page]):
    one, _ = tabs
    waiting = [nodes.device(sender_id=f"kept-{i}-{time.time_ns()}", credential=TokenCredential()) for i in range(3)]
    for device in waiting:
        device.request = device.ask()
    one.goto("/nodes?q=kept-")
    approve = one.get_by_role("link", name=f"Approve {waiting[1].sender_id}")
    one.get_by_label("Filter by").fill("half a wo")
    approve.focus()
    late = nodes.device(sender_id=f"kept-9-{time.time_ns()}", credential=TokenCredential())
    late.ask()
    other = nodes.device(credential=TokenCredential())
    other.ask()
    expect(card(one, late)).to_be_visible(timeout=SOON)
    expect(card(one, other)).to_have_count(0)
    expect(approve).to_be_focused()
    expect(one.get_by_label("Filter by")).to_have_value("half a wo")
    assert one.url.endswith("?q=kept-")
    # What had the focus goes: the list's heading takes it.
    administrator = nodes.administrator()
    administrator.deny(waiting[1].request["requestId"], waiting[1].request["code"])
    expect(approve).to_have_count(0, timeout=SOON)
    expect(one.get_by_role("heading", name="Pending Requests")).to_be_focused()


def test_an_open_dialog_says_that_its_request_was_decided_and_takes_its_button_away(
    nodes: Deployment, tabs: list[Page]
):
    one, _ = tabs
    administrator = nodes.administrator(kernel=1)
    device = nodes.device(credential=TokenCredential())
    request = device.ask()
    another = nodes.device(credential=TokenCredential()).ask()
    one.get_by_role("link", name=f"Approve {device.sender_id}").click()
    dialog = one.get_by_role("dialog")
    button = dialog.get_by_role("button", name="Approve")
    expect(button).to_be_enabled()
    # Another request's end is none of its business.
    administrator.deny(another["requestId"], another["code"])
    time.sleep(1)
    expect(button).to_be_enabled()
    administrator.deny(request["requestId"], request["code"])
    expect(dialog.get_by_role("alert")).to_contain_text("This request was denied by admin", timeout=SOON)
    expect(button).to_be_disabled()
    one.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(card(one, device)).to_have_count(0)


def test_a_revocation_elsewhere_is_told_in_the_dialog_of_revoke(nodes: Deployment, tabs: list[Page]):
    one, _ = tabs
    administrator = nodes.administrator()
    device = nodes.device()
    device.pair(administrator)
    one.get_by_role("link", name=f"Revoke {device.sender_id}").click(timeout=60_000)
    dialog = one.get_by_role("dialog")
    administrator.revoke(device.sender_id)
    expect(dialog.get_by_role("alert")).to_contain_text("This device is revoked by admin", timeout=SOON)
    expect(dialog.get_by_role("button", name="Revoke")).to_be_disabled()


def test_a_lost_connection_is_said_and_what_was_missed_is_shown_when_it_is_back(chromium, deploy):
    nodes = deploy(gateways=1, kernels=1)
    context = chromium.new_context(base_url=nodes.origin)
    context.set_default_timeout(60_000)
    page = context.new_page()
    with page.expect_response(lambda answer: answer.url.endswith("/events")):
        sign_in(page)
    line = page.locator("#connection")
    expect(line).to_be_hidden()
    gateway = next(process for process in nodes.processes if process.name == "gateway-0")
    administrator = nodes.administrator()
    device = nodes.device(credential=TokenCredential())
    request = device.ask()
    expect(card(page, device)).to_be_visible()
    nodes.kill(gateway)
    expect(line).to_contain_text("The connection is lost")
    administrator.deny(request["requestId"], request["code"])
    nodes.restart(gateway)
    expect(line).to_contain_text("Connected again")
    expect(card(page, device)).to_have_count(0)
    # A session that ends is said as well.
    nodes.rows("DELETE FROM admin_sessions")
    expect(line).to_contain_text("Your session has ended")
    context.close()


def test_the_tabs_of_one_browser_share_one_stream(chromium, nodes: Deployment):
    context = chromium.new_context(base_url=nodes.origin)
    context.set_default_timeout(60_000)
    streams: list[str] = []
    context.on("request", lambda request: request.url.endswith("/events") and streams.append(request.url))
    first = context.new_page()
    with first.expect_response(lambda answer: answer.url.endswith("/events")):
        sign_in(first)
    others = [context.new_page() for _ in range(3)]
    for page in others:
        page.goto("/nodes")
    device = nodes.device(credential=TokenCredential())
    device.ask()
    for page in (others[-1], first):
        page.bring_to_front()
        expect(card(page, device)).to_be_visible(timeout=SOON)
    for page in others:
        expect(page).to_have_title(re.compile(r"^\(\d+\+?\) Nodes"))
    assert len(streams) == 1
    # The tab that holds it goes; another one takes over.
    with context.expect_event("request", lambda request: request.url.endswith("/events")):
        first.close()
    late = nodes.device(credential=TokenCredential())
    late.ask()
    others[0].bring_to_front()
    expect(card(others[0], late)).to_be_visible(timeout=SOON)
    context.close()
