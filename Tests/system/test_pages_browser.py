"""The pages in a real Chromium: by mouse, by keyboard, without JavaScript, and judged by axe."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from support.browser import sign_in
from support.deployment import Deployment
from support.device import Refused, TokenCredential


@pytest.fixture
def tab(page: Page, nodes: Deployment):
    """A page that signed in and that nothing went wrong on."""
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: request.url.startswith(nodes.origin) or problems.append(request.url))
    sign_in(page)
    yield page
    # A page whose session has ended may ask for its events once more; that it is refused is a problem to a browser.
    has_ended = "/login" in page.url
    assert not [problem for problem in problems if not (has_ended and "status of 401" in problem)]


@pytest.fixture
def waiting(nodes: Deployment):
    """A device that waits for a decision."""
    device = nodes.device()
    device.request = device.ask(displayName="Reception tablet")
    return device


def row(page: Page, device):
    return page.get_by_role("row").filter(has_text=device.sender_id)


def test_a_device_is_approved_and_revoked_in_dialogs(tab: Page, waiting):
    tab.get_by_role("link", name="Refresh").click()
    tab.get_by_role("link", name=f"Approve {waiting.sender_id}").click()
    dialog = tab.get_by_role("dialog", name="Approve this device?")
    expect(dialog).to_be_visible()
    for shown in ("web", waiting.sender_id, waiting.request["code"]):
        expect(dialog.get_by_text(shown, exact=True)).to_be_visible()
    assert tab.url.endswith("/nodes")
    dialog.get_by_role("button", name="Approve").click()
    expect(tab.get_by_role("status")).to_contain_text(f"Approved. {waiting.sender_id}")
    assert waiting.socket.event("device.pair.resolved")["decision"] == "approved"
    expect(row(tab, waiting)).to_contain_text("admin")
    expect(row(tab, waiting)).to_contain_text("web")

    tab.get_by_role("link", name=f"Revoke {waiting.sender_id}").click()
    dialog = tab.get_by_role("dialog", name="Revoke this device?")
    for shown in ("web", waiting.sender_id):
        expect(dialog.get_by_text(shown, exact=True)).to_be_visible()
    dialog.get_by_role("button", name="Revoke").click()
    expect(tab.get_by_role("status")).to_contain_text(f"Revoked. {waiting.sender_id}")
    assert waiting.socket.wait_closed()[0] == 4001
    expect(row(tab, waiting)).to_have_count(0)


def test_the_tablet_of_the_specification_is_paired_talks_comes_back_and_is_revoked(tab: Page, nodes: Deployment):
    tablet = nodes.device("web", "tablet-reception-01", TokenCredential())
    tablet.dial(gateway=0)
    request = tablet.ask()
    tab.get_by_role("link", name="Refresh").click()
    pending = tab.get_by_role("region", name="Pending Requests")
    expect(pending).to_contain_text(tablet.sender_id)
    tab.get_by_role("link", name=f"Approve {tablet.sender_id}").click()
    dialog = tab.get_by_role("dialog", name="Approve this device?")
    for shown in ("web", tablet.sender_id, request["code"]):
        expect(dialog.get_by_text(shown, exact=True)).to_be_visible()
    dialog.get_by_role("button", name="Approve").click()
    expect(row(tab, tablet)).to_contain_text("admin")
    expect(pending).not_to_contain_text(tablet.sender_id)

    # The socket that asked is authenticated.
    resolved = tablet.socket.event("device.pair.resolved")
    assert resolved["decision"] == "approved" and resolved["status"] == "paired"
    tablet.socket.request("message.send", {"messageId": "m-1", "message": "Hello, agent"})
    assert tablet.socket.event("message")["message"] == "Hello, agent"
    tablet.socket.request("message.ack", {"messageSeq": 1})

    # Later, with nothing but what it stored, and on the other instance.
    tablet.close()
    tablet = nodes.device(tablet.channel, tablet.sender_id, TokenCredential(tablet.credential.token))
    again = tablet.reconnect(gateway=1)
    assert again["status"] == "paired" and again["instanceId"] != resolved["instanceId"]
    tablet.socket.request("message.send", {"messageId": "m-2", "message": "Hello again"})
    assert tablet.socket.event("message")["message"] == "Hello again"

    tab.get_by_role("link", name=f"Revoke {tablet.sender_id}").click()
    dialog = tab.get_by_role("dialog", name="Revoke this device?")
    for shown in ("web", tablet.sender_id):
        expect(dialog.get_by_text(shown, exact=True)).to_be_visible()
    dialog.get_by_role("button", name="Revoke").click()
    expect(row(tab, tablet)).to_have_count(0)
    assert tablet.socket.wait_closed()[0] == 4001
    with pytest.raises(Refused) as refusal:
        tablet.reconnect()
    assert refusal.value.reason == "revoked"


def test_a_request_is_denied_in_a_dialog(tab: Page, waiting):
    tab.reload()
    tab.get_by_role("link", name=f"Deny {waiting.sender_id}").click()
    dialog = tab.get_by_role("dialog", name="Deny this request?")
    for shown in ("web", waiting.sender_id, waiting.request["code"]):
        expect(dialog.get_by_text(shown, exact=True)).to_be_visible()
    dialog.get_by_role("button", name="Deny").click()
    expect(tab.get_by_role("status")).to_contain_text(f"Denied. {waiting.sender_id}")
    expect(tab.get_by_role("link", name=f"Approve {waiting.sender_id}")).to_have_count(0)
    assert waiting.socket.wait_closed()[0] == 4003


def test_the_keyboard_is_enough(tab: Page, waiting):
    tab.reload()
    tab.keyboard.press("Tab")
    expect(tab.get_by_role("link", name="Skip to the content")).to_be_focused()
    link = tab.get_by_role("link", name=f"Approve {waiting.sender_id}")
    link.focus()
    tab.keyboard.press("Enter")
    dialog = tab.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("heading")).to_be_focused()
    tab.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(link).to_be_focused()
    tab.keyboard.press("Enter")
    dialog.get_by_role("link", name="Cancel").click()
    expect(dialog).to_have_count(0)
    expect(link).to_be_focused()


def test_everything_works_without_javascript(chromium, nodes: Deployment, waiting):
    context = chromium.new_context(base_url=nodes.origin, java_script_enabled=False)
    page = context.new_page()
    sign_in(page)
    page.get_by_role("link", name=f"Approve {waiting.sender_id}").click()
    expect(page.get_by_role("heading", name="Approve this device?")).to_be_visible()
    expect(page.get_by_text(waiting.request["code"])).to_be_visible()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("status")).to_contain_text(f"Approved. {waiting.sender_id}")
    page.get_by_role("link", name=f"Revoke {waiting.sender_id}").click()
    expect(page.get_by_role("heading", name="Revoke this device?")).to_be_visible()
    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("searchbox").fill(waiting.sender_id)
    page.get_by_role("button", name="Filter").click()
    expect(row(page, waiting)).to_contain_text("UTC")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    context.close()


def test_times_are_in_the_readers_zone(chromium, nodes: Deployment, administrator):
    device = nodes.device()
    device.pair(administrator)
    texts = set()
    for zone in ("UTC", "Asia/Kathmandu"):
        context = chromium.new_context(base_url=nodes.origin, timezone_id=zone, locale="en-GB")
        page = context.new_page()
        sign_in(page)
        time = row(page, device).locator("time").first
        expect(time).to_have_attribute("datetime", re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"))
        texts.add(time.inner_text())
        context.close()
    assert len(texts) == 2 and not any("UTC" in text for text in texts)


@pytest.mark.parametrize("minutes", [65, -120])
def test_times_are_by_the_servers_clock_whatever_the_readers_says(chromium, nodes: Deployment, waiting, minutes: int):
    context = chromium.new_context(base_url=nodes.origin, locale="en-GB")
    context.add_init_script(f"const right = Date.now; Date.now = () => right() + {minutes} * 60000;")
    page = context.new_page()
    sign_in(page)
    page.goto(f"/nodes?q={waiting.sender_id}")
    asked, expires = (page.locator(f"time.{style}").first for style in ("ago", "left"))
    expect(asked).to_have_text(re.compile(r"^(\d+ seconds?|[1-5] minutes?) ago$|^in 0 seconds$"))
    expect(expires).to_have_text(re.compile(r"^in 5\d minutes$|^in 1 hour$"))
    page.get_by_role("link", name=f"Approve {waiting.sender_id}").click()
    expect(page.get_by_role("dialog").locator("time.left")).to_have_text(re.compile("^in "))
    context.close()


def test_marks_on_a_name_do_not_reach_what_is_compared(tab: Page, nodes: Deployment, waiting):
    # The name is below the code on a phone.
    tab.set_viewport_size({"width": 390, "height": 844})

    def look() -> list[bytes]:
        tab.goto(f"/nodes?q={waiting.sender_id}")
        parts = (".head", ".code", "time.left")
        return [tab.locator(f".request {part}").first.screenshot() for part in parts]

    # The time that is left reads the same for most of a minute, however long a look takes.
    name = (
        "UPDATE pairing_requests SET display_name = %s, expires_at = clock_timestamp() + interval '50 minutes 58 seconds'"
        " WHERE request_id = %s"
    )
    nodes.rows(name, "Hall ó", waiting.request["requestId"])
    plain = look()
    # As an older version stored it: now such a name would keep four of them.
    nodes.rows(name, "Hall ó" + "\u030d" * 57, waiting.request["requestId"])
    assert look() == plain


def test_what_is_compared_is_never_translated(tab: Page, nodes: Deployment, waiting):
    tab.goto(f"/nodes?q={waiting.sender_id}")
    tab.get_by_role("link", name=f"Approve {waiting.sender_id}").click()
    for text in (waiting.sender_id, waiting.request["code"]):
        for place in (tab.locator(".request"), tab.get_by_role("dialog")):
            shown = place.get_by_text(text, exact=True).first
            assert shown.evaluate("element => element.translate") is False
    assert tab.locator("code").evaluate_all("all => all.length > 0 && all.every((code) => !code.translate)")
    tab.get_by_role("dialog").get_by_role("link", name="Cancel").click()


def test_a_session_that_ended_leads_from_a_dialog_to_the_sign_in_page(tab: Page, waiting):
    # The stream of events has begun by then: without a session it would be refused, which is a problem to a browser.
    with tab.expect_response("**/events"):
        tab.reload()
    tab.context.clear_cookies()
    tab.get_by_role("link", name=f"Approve {waiting.sender_id}").click()
    tab.wait_for_url("**/login?next=**")


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_sticks_out(
    chromium, nodes: Deployment, administrator, scheme: str, width: int
):
    waiting, paired = nodes.device(sender_id=f"{'claimed' * 6}-{scheme}-{width}"), nodes.device()
    request = waiting.ask(displayName="A very long name " * 6)
    with pytest.raises(Exception, match="ALREADY_EXISTS"):
        nodes.device(sender_id=waiting.sender_id).ask()
    paired.pair(administrator)
    context = chromium.new_context(
        base_url=nodes.origin, color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True
    )
    page = context.new_page()

    def check() -> None:
        results = Axe().run(page)
        assert results.violations_count == 0, f"{page.url}\n{results.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url

    page.goto("/login")
    check()
    sign_in(page)
    check()
    for path in (
        f"/nodes/requests/{request['requestId']}/approve",
        f"/nodes/requests/{request['requestId']}/deny",
        f"/nodes/devices/{paired.sender_id}",
        f"/nodes/devices/{paired.sender_id}/revoke",
        "/nodes?q=nothing-like-it",
        "/logout",
        "/nowhere",
    ):
        page.goto(path)
        check()
    page.goto("/nodes")
    page.get_by_role("link", name=f"Deny {waiting.sender_id}").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    check()
    context.close()
    administrator.deny(request["requestId"], request["code"])
