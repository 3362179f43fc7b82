"""Accounts, one's own account and the audit in a real browser."""

import re
import time

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from support.administrator import Administrator
from support.browser import sign_in
from support.deployment import PASSWORD, Deployment
from test_roles import await_a_fresh_step, totp


def signed_in(context, name: str) -> Page:
    page = context.new_page()
    page.goto("/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/nodes")
    return page


def test_an_administrator_makes_changes_and_removes_an_account_by_keyboard(page: Page, nodes: Deployment):
    sign_in(page)
    page.get_by_role("link", name="Accounts").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Name").fill("otto")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Tab")
    expect(page.get_by_role("radio", name="operator")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Account made. otto")
    row = page.get_by_role("row").filter(has_text="otto")
    expect(row).to_contain_text("viewer")
    row.get_by_role("link", name="otto").focus()
    page.keyboard.press("Enter")
    page.get_by_role("radio", name="operator").check()
    page.get_by_role("button", name="Change the role").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Role changed. otto")
    page.get_by_role("link", name="Remove otto").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Remove this account?")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("status")).to_contain_text("Removed. otto")
    assert nodes.rows("SELECT count(*) FROM admins") == [(1,)]


def test_one_time_codes_are_set_up_and_asked_for(chromium, nodes: Deployment):
    nodes.nodesctl("admins", "add", "tina", "--role", "operator", "--password-stdin", stdin=PASSWORD + "\n")
    context = chromium.new_context(base_url=nodes.origin)
    page = signed_in(context, "tina")
    page.goto("/account")
    codes = page.get_by_role("region", name="One-time codes")
    codes.get_by_label("Current password").fill(PASSWORD)
    codes.get_by_role("button", name="Set up one-time codes").click()
    expect(codes.get_by_role("img", name="QR code")).to_be_visible()
    secret = codes.locator(".field .id").inner_text().replace(" ", "")
    await_a_fresh_step()
    codes.get_by_label("Code in the app").fill(totp(secret, time.time() - 30))
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("One-time codes are on")
    expect(page.get_by_role("region", name="Your recovery codes").get_by_role("listitem")).to_have_count(10)
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_label("Name").fill("tina")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Your code")).to_be_visible()
    expect(page.get_by_label("Code")).to_be_focused()
    page.keyboard.type(totp(secret))
    page.keyboard.press("Enter")
    page.wait_for_url("**/nodes")
    context.close()


def test_two_installations_on_one_host_do_not_sign_each_other_out(chromium, nodes: Deployment, deploy):
    # Another port is all that tells them apart.
    other = deploy(gateways=1, kernels=1)
    context = chromium.new_context()
    for origin in (nodes.origin, other.origin, nodes.origin, other.origin):
        page = context.new_page()
        page.goto(origin + "/login")
        if page.url.endswith("/login"):
            page.get_by_label("Name").fill("admin")
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Nodes")).to_be_visible()
    names = {cookie["name"] for cookie in context.cookies() if "session" in cookie["name"]}
    assert names == {f"nodes_session_{stack.port}" for stack in (nodes, other)}
    context.close()


def test_the_audit_is_filtered_by_what_it_shows(page: Page, nodes: Deployment, administrator: Administrator):
    device = nodes.device()
    device.pair(administrator)
    sign_in(page)
    page.get_by_role("link", name="Audit").click()
    page.get_by_label("Sender ID").fill(device.sender_id.upper())
    page.keyboard.press("Enter")
    rows = page.get_by_role("table").locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("Approved")
    rows.first.get_by_role("link", name="admin").click()
    expect(rows).to_have_count(1)
    assert "device=" in page.url and "who=admin" in page.url
    page.get_by_label("What").select_option("Revoked")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_text("Nothing matches.")).to_be_visible()
    page.get_by_role("link", name="Show everything").first.click()
    assert rows.count() > 2
    page.goto("/audit?from=2026-02-30")
    expect(page.get_by_text("Nothing matches.")).to_be_visible()
    # Pages by position: each event once.
    page.goto("/audit")
    if page.get_by_role("link", name="Older").count():
        first = page.locator("td .sub").first.inner_text()
        page.get_by_role("link", name="Older").click()
        expect(page.get_by_role("link", name="Newest")).to_be_visible()
        assert page.get_by_text(first, exact=True).count() == 0


def test_the_chain_is_proven_and_a_change_is_found(deploy):
    nodes = deploy(gateways=1, kernels=1)
    head = nodes.nodesctl("audit", "head").stdout.strip()
    nodes.device().pair(nodes.administrator())
    said = nodes.nodesctl("audit", "verify", "--head", head).stdout
    assert re.search(r"^\d+ events, from position 1 on, are as they were written", said)
    nodes.rows("ALTER TABLE events DISABLE TRIGGER USER")
    nodes.rows("UPDATE events SET address = '192.0.2.99' WHERE position = 3")
    broken = nodes.nodesctl("audit", "verify", check=False)
    assert broken.returncode == 65 and "position 3 " in broken.stderr
    # Written anew from there on, with all hashes: only what was kept elsewhere tells.
    nodes.rows(
        """
        DO $$ DECLARE e events; h bytea := sha256(''); BEGIN
            FOR e IN SELECT * FROM events ORDER BY position LOOP
                h := sha256(h || convert_to(event_part(e.position::text)
                    || event_part((extract(epoch FROM e.at) * 1000000)::bigint::text) || event_part(e.event)
                    || event_part(e.channel) || event_part(e.sender_id) || event_part(e.actor_kind)
                    || event_part(e.actor) || event_part(e.request_id::text) || event_part(e.generation::text)
                    || event_part(e.address) || event_part(e.details::text), 'UTF8'));
                UPDATE events SET hash = h WHERE position = e.position;
            END LOOP;
            UPDATE event_counter SET head = h;
        END $$
        """
    )
    kept = f"3:{'ab' * 32}"
    assert nodes.nodesctl("audit", "verify").returncode == 0
    rewritten = nodes.nodesctl("audit", "verify", "--head", kept, check=False)
    assert rewritten.returncode == 65 and "rewritten" in rewritten.stderr


@pytest.mark.parametrize("width", [1280, 768, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_sticks_out(chromium, nodes: Deployment, scheme: str, width: int):
    name = f"a-rather-long-name.of-somebody@{scheme}{width}.example.org"
    nodes.nodesctl("admins", "add", name, "--role", "viewer", "--password-stdin", stdin=PASSWORD + "\n")
    context = chromium.new_context(
        base_url=nodes.origin, color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True
    )
    page = context.new_page()
    sign_in(page)
    page.goto("/account")
    # What an app is to scan.
    if page.get_by_role("button", name="Set up one-time codes").count():
        page.locator("#codes-password").fill(PASSWORD)
        page.get_by_role("button", name="Set up one-time codes").click()
        expect(page.get_by_role("img", name="QR code")).to_be_visible()
    for path in (
        "/account",
        "/accounts",
        f"/accounts/{name}",
        f"/accounts/{name}/remove",
        "/audit",
        "/audit?who=nobody",
    ):
        page.goto(path)
        results = Axe().run(page)
        assert results.violations_count == 0, f"{page.url}\n{results.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url
    context.close()
