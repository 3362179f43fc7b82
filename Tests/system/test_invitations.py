"""When devices may ask to pair, and invitations."""

import csv
import io
import json
import re
import time

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from support.administrator import Administrator
from support.browser import sign_in
from support.deployment import PASSWORD, Deployment
from support.device import Refused


@pytest.fixture
def window(nodes: Deployment):
    """Whatever a test does, devices may ask afterwards."""
    yield nodes
    nodes.nodesctl("invitations", "window", "always")


def invited(nodes: Deployment, sender_id: str, *options: str) -> str:
    said = nodes.nodesctl("invitations", "create", "--channel", "web", *options, "--json", sender_id).stdout
    return json.loads(said)[0]["invitation"]


def test_a_device_is_told_that_pairing_is_closed_and_when_it_closed(window: Deployment):
    nodes = window
    waiting = nodes.device()
    request = waiting.ask()
    nodes.nodesctl("invitations", "window", "never")
    device = nodes.device()
    with pytest.raises(Refused) as refused:
        device.ask()
    assert refused.value.reason == "pairing_closed"
    assert refused.value.error["details"]["window"] == "never" and refused.value.error["retryable"]
    # Whoever asked before is asked about as before (I11).
    assert waiting.ask()["requestId"] == request["requestId"]
    nodes.nodesctl("invitations", "window", "10m")
    device.ask()
    nodes.rows("UPDATE pairing_window SET until = clock_timestamp() - interval '1 second'")
    late = nodes.device()
    with pytest.raises(Refused) as refused:
        late.ask()
    details = refused.value.error["details"]
    assert details["window"] == "until" and abs(details["endedAt"] - time.time() * 1000) < 60_000


def test_the_window_is_opened_and_closed_on_the_page_and_a_viewer_only_sees_it(window: Deployment, page: Page):
    nodes = window
    sign_in(page)
    expect(page.get_by_text("Any device may ask to pair.")).to_be_visible()
    page.get_by_role("button", name="Close").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Pairing is closed")).to_be_visible()
    expect(page.get_by_text("No device may ask to pair.")).to_be_visible()
    page.get_by_role("button", name="Open for ten minutes").click()
    expect(page.locator(".window")).to_contain_text(re.compile(r"It closes in (9|10) min"))
    nodes.nodesctl("admins", "add", "vic", "--role", "viewer", "--password-stdin", stdin=PASSWORD + "\n")
    viewer = Administrator(nodes.origin).sign_in("vic", PASSWORD)
    assert "/nodes/window" not in viewer.get("/nodes").body
    assert viewer.post("/nodes/window", {"csrf_token": viewer.csrf_token, "window": "always"}).status == 403
    assert viewer.get("/nodes/invitations").status == 403
    assert nodes.rows("SELECT mode FROM pairing_window") == [("until",)]


def test_an_invited_device_is_paired_at_once_and_the_invitation_is_used_up(window: Deployment):
    nodes = window
    nodes.nodesctl("invitations", "window", "never")
    device = nodes.device()
    invitation = invited(nodes, device.sender_id)
    other = nodes.device()
    with pytest.raises(Refused) as refused:
        other.ask(invitation=invitation)
    assert refused.value.reason == "invalid_invitation"
    assert device.ask(invitation=invitation) == {"status": "approved"}
    # The answer was lost: the same again.
    assert device.ask(invitation=invitation) == {"status": "approved"}
    device.close()
    assert device.reconnect()["status"] == "paired"
    # A second device with it is a rival (I1).
    thief = nodes.device(sender_id=device.sender_id)
    with pytest.raises(Refused, match="ALREADY_EXISTS"):
        thief.ask(invitation=invitation)
    events = nodes.rows(
        "SELECT event, actor_kind FROM events WHERE sender_id = %s AND event <> 'pairing.rival_refused'"
        " ORDER BY position",
        device.sender_id,
    )
    assert events == [
        ("invitation.created", "operating_system"),
        ("pairing.requested", "device"),
        ("invitation.used", "invitation"),
        ("pairing.approved", "invitation"),
    ]
    nodes.nodesctl("revoke", device.sender_id)
    fresh = nodes.device(sender_id=device.sender_id)
    with pytest.raises(Refused) as refused:
        fresh.ask(invitation=invitation)
    assert refused.value.reason == "invalid_invitation"
    assert invitation not in str(nodes.rows("SELECT * FROM invitations"))


def test_a_withdrawn_and_an_expired_invitation_pair_nothing(window: Deployment):
    nodes = window
    for how in ("withdrawn", "expired"):
        device = nodes.device()
        invitation = invited(nodes, device.sender_id)
        if how == "withdrawn":
            [found] = [
                row
                for row in json.loads(nodes.nodesctl("invitations", "list", "--json").stdout)
                if row["senderId"] == device.sender_id
            ]
            nodes.nodesctl("invitations", "withdraw", found["id"])
        else:
            nodes.rows(
                "UPDATE invitations SET expires_at = clock_timestamp() WHERE sender_id = %s", device.sender_id
            )
        with pytest.raises(Refused) as refused:
            device.ask(invitation=invitation)
        assert refused.value.reason == "invalid_invitation"
        [found] = [
            row
            for row in json.loads(nodes.nodesctl("invitations", "list", "--json").stdout)
            if row["senderId"] == device.sender_id
        ]
        assert found["state"] == how


def test_a_fleet_is_invited_as_csv_and_a_form_sent_twice_makes_nothing_twice(window: Deployment, administrator):
    nodes = window
    form = administrator.get("/nodes/invitations").form("/nodes/invitations")
    fields = {**form.fields, "senders": "fleet-1\nfleet-2 fleet-3", "channel": "web", "days": "1"}
    first = administrator.post("/nodes/invitations", {**fields, "format": "csv"})
    second = administrator.post("/nodes/invitations", {**fields, "format": "csv"})
    assert first.status == 200 and first.body == second.body
    assert first.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(first.body)))
    assert [row["senderId"] for row in rows] == ["fleet-1", "fleet-2", "fleet-3"]
    assert nodes.rows("SELECT count(*) FROM invitations WHERE sender_id LIKE 'fleet-%%'") == [(3,)]
    device = nodes.device(sender_id="fleet-2")
    assert device.ask(invitation=rows[1]["invitation"]) == {"status": "approved"}
    bad = administrator.post("/nodes/invitations", {**fields, "senders": "good -bad"})
    assert bad.status == 400 and "“-bad” is no sender ID" in bad.text
    nodes.nodesctl("revoke", "fleet-2")


def test_invitations_are_made_shown_and_withdrawn_in_a_browser(chromium, window: Deployment):
    nodes = window
    for scheme, width in (("light", 1280), ("dark", 768), ("dark", 360), ("light", 360)):
        context = chromium.new_context(
            base_url=nodes.origin, color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True
        )
        page = context.new_page()

        def check() -> None:
            results = Axe().run(page)
            assert results.violations_count == 0, f"{page.url}\n{results.generate_report()}"
            assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url

        sign_in(page)
        check()
        page.goto("/nodes/invitations")
        sender_id = f"invited-{scheme}-{width}"
        page.get_by_label("Sender IDs").fill(sender_id)
        page.get_by_label("Channel").select_option("web")
        page.get_by_role("button", name="Invite", exact=True).click()
        expect(page.get_by_role("img", name="QR code")).to_be_visible()
        expect(page.get_by_role("link", name="/device#channel=web")).to_be_visible()
        check()
        page.get_by_role("button", name=f"Withdraw {sender_id}").click()
        expect(page.get_by_role("status").filter(has_text="Withdrawn")).to_be_visible()
        context.close()
