"""Finding devices, a device's page, who answers it, ended requests and exports, in a real Chromium and as HTTP."""

import csv
import io
import json
import os
import pathlib
import re
import subprocess

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from support.browser import sign_in
from support.deployment import Deployment, deployed, eventually
from support.device import Refused

HOSTILE = '=cmd|\'/C calc\'!A0","x\n<script>alert(1)</script>'
AGENTS = {"support": {"type": "echo"}, "plant": {"type": "echo"}}


@pytest.fixture(scope="module")
def agency():
    """A deployment with agents to choose among, and the text of messages to be looked at."""
    settings = {"agents": AGENTS, "messages": {"show_text": True}}
    with deployed(gateways=2, kernels=1, settings=settings) as deployment:
        yield deployment


@pytest.fixture
def admin(agency: Deployment):
    yield agency.administrator()
    agency.close_opened()


def tab(chromium, nodes: Deployment, **options) -> Page:
    context = chromium.new_context(base_url=nodes.origin, **options)
    context.set_default_timeout(60_000)
    page = context.new_page()
    sign_in(page)
    return page


def say(device, identifier: str, agent: str | None = None) -> str:
    """Which agent answers a message."""
    more = {"agent": agent} if agent else {}
    device.socket.request("message.send", {"messageId": identifier, "message": {"text": identifier}, **more})
    event = device.socket.event("message")
    device.socket.request("message.ack", {"messageSeq": event["messageSeq"]})
    return event["agent"]


def events_of(nodes: Deployment, device, name: str) -> list[dict]:
    return [
        details
        for (details,) in nodes.rows(
            "SELECT details FROM events WHERE sender_id = %s AND event = %s ORDER BY position", device.sender_id, name
        )
    ]


def test_an_administrator_chooses_who_answers_and_that_holds_for_the_next_message_everywhere(chromium, agency, admin):
    """In the dialog of Approve, on the device's page and with nodesctl; a device names nobody else."""
    device = agency.device("mobile")
    device.dial(gateway=1)
    device.ask()
    page = tab(chromium, agency)
    page.get_by_role("link", name=f"Approve {device.sender_id}").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Answered by").select_option("support")
    # Not before anybody can have read it.
    expect(page.locator("dialog[data-armed]")).to_be_visible()
    dialog.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("status").filter(has_text="Approved")).to_be_visible()
    device.socket.event("device.pair.resolved")
    assert say(device, "m1") == "support"
    with pytest.raises(Refused) as refused:
        say(device, "m2", "plant")
    assert (refused.value.code, refused.value.reason) == ("FORBIDDEN", "agent_not_allowed")
    assert refused.value.details["agents"] == ["support"]

    page.goto(f"/nodes/devices/{device.sender_id}")
    page.get_by_label("Answered by", exact=True).select_option("plant")
    page.get_by_role("group", name="Its messages may also name").get_by_label("support").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").filter(has_text="Saved")).to_be_visible()
    assert [say(device, "m3"), say(device, "m4", "support"), say(device, "m5", "plant")] == ["plant", "support", "plant"]

    done = agency.nodesctl("devices", "set-agent", device.sender_id, "support", "--json")
    assert json.loads(done.stdout)["agents"] == ["support"]
    assert say(device, "m6") == "support"
    assert "echo" in agency.nodesctl("devices", "set-agent", device.sender_id, "--default").stdout
    assert [say(device, "m7"), say(device, "m8", "echo")] == ["echo", "echo"]
    wrong = agency.nodesctl("devices", "set-agent", device.sender_id, "nobody", check=False)
    assert wrong.returncode != 0 and "echo, plant, support" in wrong.stderr
    changes = events_of(agency, device, "device.changed")
    assert [change["agents"] for change in changes] == [["plant", "support"], ["support"], []]
    page.context.close()


def test_a_device_is_renamed_and_keeps_its_label_when_it_is_paired_anew(chromium, agency, admin):
    """By keyboard alone, and again without JavaScript."""
    device = agency.device()
    device.pair(admin, displayName="Tablet")
    page = tab(chromium, agency)
    page.goto(f"/nodes/devices/{device.sender_id}")
    page.get_by_label("Label").focus()
    page.keyboard.type("Reception")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.get_by_label("Note").focus()
    page.keyboard.type("At the door")
    page.get_by_role("button", name="Save").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Saved")).to_be_visible()
    page.goto(f"/nodes?q={device.sender_id}")
    expect(page.get_by_role("row").filter(has_text=device.sender_id)).to_contain_text("Reception")
    page.context.close()
    [change] = events_of(agency, device, "device.changed")
    assert change["label"] == "Reception" and change["note"] == "At the door" and change["expiresAt"]
    admin.revoke(device.sender_id)
    again = agency.device(sender_id=device.sender_id)
    again.pair(admin)
    page = tab(chromium, agency, java_script_enabled=False)
    page.goto(f"/nodes/devices/{device.sender_id}")
    expect(page.get_by_label("Label")).to_have_value("Reception")
    page.get_by_label("Label").fill("")
    page.get_by_role("button", name="Save").click()
    assert events_of(agency, device, "device.changed")[1:] == [{"label": None}]
    # What is displayed no more is not changed.
    form = admin.get(f"/nodes/devices/{device.sender_id}").form(device.sender_id)
    answer = admin.submit(form, generation=str(int(form.fields["generation"]) + 2), label="x")
    assert answer.status == 409 and "paired anew" in answer.text
    page.context.close()


def test_a_pairing_whose_time_is_over_ends_as_if_it_were_revoked(agency, admin):
    device = agency.device()
    device.pair(admin)
    agency.rows("UPDATE paired_devices SET expires_at = now() WHERE sender_id = %s", device.sender_id)
    assert device.socket.wait_closed()[0] == 4001
    assert events_of(agency, device, "pairing.revoked") == [{"reason": "expired"}]
    with pytest.raises(Refused) as refused:
        device.reconnect()
    assert refused.value.reason == "revoked"


def test_text_is_shown_where_it_may_be_and_every_look_is_an_event(nodes: Deployment, agency, admin):
    device = agency.device("mobile")
    device.pair(admin)
    say(device, "the-secret")
    page = admin.get(f"/nodes/devices/{device.sender_id}")
    assert "the-secret" not in page.text and "answered" in page.text
    form = page.form(device.sender_id)
    shown = admin.post(form.action, {"csrf_token": form.fields["csrf_token"], "show": "text"})
    assert shown.status == 200 and "the-secret" in shown.text
    assert len(events_of(agency, device, "device.messages_read")) == 1
    # Nowhere else, and not by default.
    other, administrator = nodes.device("mobile"), nodes.administrator()
    other.pair(administrator)
    form = administrator.get(f"/nodes/devices/{other.sender_id}").form(other.sender_id)
    refused = administrator.post(form.action, {"csrf_token": form.fields["csrf_token"], "show": "text"})
    assert refused.status == 403 and events_of(nodes, other, "device.messages_read") == []


@pytest.mark.parametrize("javascript", [True, False])
def test_devices_are_found_paged_and_sorted(chromium, agency, admin, javascript: bool):
    prefix = f"hall-{javascript}".lower()
    agency.rows(
        """
        INSERT INTO paired_devices (request_id, sender_key, sender_id, channel, generation, token_hash, display_name,
            metadata, detail_labels, detail_values, paired_at, paired_by)
        SELECT gen_random_uuid(), %s || '-' || n, %s || '-' || n, CASE n %% 2 WHEN 0 THEN 'iot' ELSE 'web' END, 1,
            sha256((%s || n)::bytea), 'Sensor ' || n, '{}', '{}', '{}', now() - n * interval '1 day', 'finder'
        FROM generate_series(1, 60) AS n
        """, prefix, prefix, prefix,
    )  # fmt: skip
    page = tab(chromium, agency, java_script_enabled=javascript)
    shown = page.locator("table.devices tbody tr")
    page.get_by_role("searchbox").focus()
    page.keyboard.type(prefix)
    page.keyboard.press("Enter")
    expect(shown).to_have_count(25)
    page.get_by_role("link", name="Next page").focus()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Next page").click()
    expect(shown).to_have_count(10)
    # The other filters, by keyboard.
    page.goto("/nodes")
    page.locator("summary", has_text="More filters").focus()
    page.keyboard.press("Enter")
    filters = page.locator(".refine")
    filters.get_by_label("Paired by").fill("finder")
    filters.get_by_label("Channel").select_option("iot")
    filters.get_by_label("Connection").select_option("off")
    filters.get_by_role("combobox", name="Paired").select_option("30d")
    filters.get_by_label("Sort").select_option("oldest")
    page.get_by_role("button", name="Filter").focus()
    page.keyboard.press("Enter")
    expect(shown).to_have_count(14 if javascript else 25)
    expect(shown.first).to_contain_text("-28")
    page.get_by_role("link", name="Show everything").first.click()
    expect(shown).to_have_count(25)
    page.context.close()


def test_a_wait_is_lifted_on_the_page_of_ended_requests(chromium, agency, admin):
    device = agency.device()
    request = device.ask(displayName="Denied tablet")
    admin.deny(request["requestId"], request["code"])
    again = agency.device(sender_id=device.sender_id)
    with pytest.raises(Refused) as refused:
        again.ask()
    assert refused.value.reason == "denied_recently"
    page = tab(chromium, agency, java_script_enabled=False)
    page.get_by_role("link", name="Ended requests").click()
    page.get_by_label("How they ended").select_option("denied")
    page.get_by_role("searchbox").fill(device.sender_id)
    page.get_by_role("button", name="Filter").click()
    row = page.get_by_role("row").filter(has_text=device.sender_id)
    expect(row).to_contain_text("Denied tablet")
    row.get_by_role("button", name="Lift the wait").click()
    expect(page.get_by_role("status")).to_contain_text("Wait lifted")
    assert again.ask()["status"] == "pending"
    # Sent again, it is done.
    answer = admin.post("/nodes/requests", {"csrf_token": admin.csrf_token, "sender_id": device.sender_id})
    assert answer.status == 303
    page.context.close()


def test_exports_are_whole_and_no_spreadsheet_takes_a_name_for_a_formula(chromium, agency, admin, tmp_path):
    device = agency.device()
    device.pair(admin)
    agency.rows("UPDATE paired_devices SET display_name = %s WHERE sender_id = %s", HOSTILE, device.sender_id)
    agency.rows(
        """
        INSERT INTO paired_devices (request_id, sender_key, sender_id, channel, generation, token_hash, display_name,
            metadata, detail_labels, detail_values, paired_at, paired_by)
        SELECT gen_random_uuid(), 'bulk-' || n, 'bulk-' || n, 'web', 1, sha256(n::text::bytea), '', '{}', '{}', '{}',
            now() - n * interval '1 minute', 'bulk'
        FROM generate_series(1, 700) AS n
        """
    )
    # By keyboard, without JavaScript.
    page = tab(chromium, agency, java_script_enabled=False)
    page.goto(f"/nodes?q={device.sender_id}")
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").focus()
        page.keyboard.press("Enter")
    download.value.save_as(tmp_path / "devices.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "devices.csv").read_text("utf-8-sig"), newline="")))
    assert [row["senderId"] for row in rows] == [device.sender_id]
    assert rows[0]["claimedName"] == "'" + HOSTILE and rows[0]["pairedBy"] == "admin"
    page.context.close()

    answer = admin.get("/nodes/export?what=devices&format=json&by=bulk")
    assert answer.headers["Content-Type"] == "application/json"
    assert re.fullmatch(r'attachment; filename="devices-[0-9-]{10}\.json"', answer.headers["Content-Disposition"])
    exported = json.loads(answer.body)
    assert [row["senderId"] for row in exported] == [f"bulk-{n}" for n in range(1, 701)]
    requests = list(csv.DictReader(io.StringIO(admin.get("/nodes/export?what=requests&format=csv").body.lstrip("\ufeff"))))
    [count] = agency.rows("SELECT count(*) FROM pairing_requests")[0]
    assert len(requests) == count and {"senderId", "state"} < set(requests[0])
    events = json.loads(admin.get("/nodes/export?what=events&format=json").body)
    assert [event["position"] for event in events] == list(range(1, len(events) + 1))
    ours = json.loads(admin.get(f"/nodes/export?what=events&format=json&device={device.sender_id}").body)
    assert [event["event"] for event in ours] == ["pairing.requested", "pairing.approved"]
    assert admin.get("/nodes/export?what=secrets&format=csv").status == 400
    visitor = agency.browser_session()
    assert visitor.get("/nodes/export?what=devices&format=csv").status == 303


def test_names_of_every_kind_stay_in_their_cells(chromium, agency, admin):
    device = agency.device()
    device.pair(admin)
    names = ["W" * 64, "㍿" * 64, "שלום עולם " * 6, "H" + "\u0300\u0301\u0302\u0303" * 15]
    page = tab(chromium, agency)
    for width in (360, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        for name in names:
            agency.rows("UPDATE paired_devices SET label = %s WHERE sender_id = %s", name, device.sender_id)
            for path in (f"/nodes?q={device.sender_id}", f"/nodes/devices/{device.sender_id}"):
                page.goto(path)
                assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, path, width)
    page.context.close()


def sticking_out(page: Page, width: int) -> list[str]:
    """What makes the page wider than its window."""
    if page.evaluate("document.documentElement.scrollWidth") <= width:
        return []
    return page.evaluate(
        "width => [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > width)"
        ".map(e => e.outerHTML.slice(0, 120))", width,
    )  # fmt: skip


SCREENSHOTS = os.environ.get("NODES_SCREENSHOTS")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_the_pages_of_devices_requests_and_agents(chromium, agency, admin, scheme: str):
    device, denied = agency.device("mobile"), agency.device()
    device.pair(admin, displayName="Anna’s phone", metadata={"commands": [
        {"name": "light.set", "description": "Turns the light on or off.", "parameters": {"type": "object"}}]})  # fmt: skip
    say(device, f"m-{scheme}")
    request = denied.ask()
    admin.deny(request["requestId"], request["code"])
    agency.rows(
        "UPDATE paired_devices SET label = 'Anna', note = 'Spare phone', expires_at = now() + interval '9 days' "
        "WHERE sender_id = %s", device.sender_id,
    )  # fmt: skip
    eventually(lambda: "support" in admin.get("/agents").text, "the gateways tell how their agents are doing")
    waiting = agency.device()
    request = waiting.ask()
    page = tab(chromium, agency, color_scheme=scheme, bypass_csp=True)
    for width in (360, 768, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        for name, path in {
            "nodes": "/nodes",
            "nodes-refined": "/nodes?channel=mobile&connected=on&sort=name",
            "device": f"/nodes/devices/{device.sender_id}",
            "requests": "/nodes/requests",
            "agents": "/agents",
            "channels": "/channels",
            "approve": f"/nodes/requests/{request['requestId']}/approve",
        }.items():
            page.goto(path)
            results = Axe().run(page)
            assert results.violations_count == 0, f"{path} {width}\n{results.generate_report()}"
            assert sticking_out(page, width) == [], (path, width)
            if SCREENSHOTS:
                file = pathlib.Path(SCREENSHOTS) / f"{name}-{scheme}-{width}.png"
                page.screenshot(path=file, full_page=True)
    page.context.close()
