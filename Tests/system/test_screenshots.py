"""Every page in both themes, as people see it. `make screenshots` keeps the pictures, at three widths, to be looked at."""

import json
import os
import pathlib
import re

import pytest
from playwright.sync_api import Page, expect
from support.browser import sign_in
from support.deployment import PASSWORD, ROOT, Deployment, deployed, eventually
from test_roles import totp

FOLDER = os.environ.get("NODES_SCREENSHOTS")
WIDTHS = (360, 768, 1280) if FOLDER else (1280,)


@pytest.fixture(scope="module")
def nodes():
    settings = {
        "agents": {"support": {"type": "echo"}, "plant": {"type": "echo"}},
        "webhooks": {"allowed_networks": ["127.0.0.1"], "allow_http": True},
        "messages": {"show_text": True},
    }
    with deployed(gateways=1, kernels=1, settings=settings) as nodes:
        yield nodes


@pytest.fixture(scope="module")
def sights(nodes: Deployment) -> list[tuple[str, str, str]]:
    """What there is to see: the picture's name, the template's, and the address."""
    admin = nodes.administrator()
    phone, sensor, gone, denied, waiting = (
        nodes.device("mobile", "phone-anna"), nodes.device("iot", "sensor.hall-1"), nodes.device("web", "kiosk-7"),
        nodes.device("web", "tablet-unknown"), nodes.device("web", "tablet-reception-01"),
    )  # fmt: skip
    light = {"name": "light.set", "description": "Turns the light on or off.", "parameters": {"type": "object"}}
    phone.pair(admin, displayName="Anna’s phone", metadata={"platform": "Android 15", "model": "P8", "commands": [light]})
    phone.socket.request("message.send", {"messageId": "m-1", "message": {"text": "Is the door shut?"}})
    phone.socket.event("message")
    temperature = {"name": "temperature", "unit": "Cel", "type": "number", "min": -40, "max": 85, "periodMs": 60000}
    sensor.pair(admin, metadata={"model": "WS-2", "readings": [temperature]})
    gone.pair(admin)
    admin.revoke(gone.sender_id)
    request = denied.ask()
    admin.deny(request["requestId"], request["code"])
    request = waiting.ask(displayName="Reception tablet", metadata={"language": "de-CH", "commands": ["lock"]})
    nodes.nodesctl("devices", "rename", phone.sender_id, "Anna")
    nodes.nodesctl("devices", "note", phone.sender_id, "Spare phone, in the safe.")
    nodes.nodesctl("devices", "expire", phone.sender_id, "--in", "9d")
    for name in ("maria.keller", "otto"):
        nodes.nodesctl("admins", "add", name, "--role", "operator", "--password-stdin", stdin=PASSWORD + "\n")
    nodes.nodesctl("invitations", "create", "--channel", "web", "tablet-reception-02", "tablet-reception-03")
    hook = json.loads(nodes.nodesctl("webhooks", "add", "http://127.0.0.1:9/hook", "--json").stdout)["id"]
    eventually(lambda: "support" in admin.get("/agents").text, "the gateways tell how their agents are doing")
    at_request = f"/nodes/requests/{request['requestId']}"
    return [
        ("login", "login", "/login"),
        ("nodes", "nodes", "/nodes"),
        ("nodes-nothing-found", "nodes", "/nodes?q=nobody&channel=iot&connected=off&sort=name"),
        ("approve", "decision", f"{at_request}/approve"),
        ("deny", "decision", f"{at_request}/deny"),
        ("ended-requests", "requests", "/nodes/requests"),
        ("device", "device", f"/nodes/devices/{phone.sender_id}"),
        ("device-revoked", "device", f"/nodes/devices/{gone.sender_id}"),
        ("revoke", "revocation", f"/nodes/devices/{phone.sender_id}/revoke"),
        ("invitations", "invitations", "/nodes/invitations"),
        ("channels", "channels", "/channels"),
        ("agents", "agents", "/agents"),
        ("account", "account", "/account"),
        ("accounts", "accounts", "/accounts"),
        ("person", "person", "/accounts/maria.keller"),
        ("person-removal", "removal", "/accounts/maria.keller/remove"),
        ("audit", "audit", "/audit"),
        ("audit-filtered", "audit", f"/audit?device={phone.sender_id}"),
        ("hooks", "webhooks", "/hooks"),
        ("hook", "webhook", f"/hooks/{hook}"),
        ("hook-removal", "unhook", f"/hooks/{hook}/remove"),
        ("logout", "logout", "/logout"),
        ("unknown-page", "message", "/nowhere"),
        ("device-page", "browser", "/device"),
    ]


class Camera:
    def __init__(self, page: Page, scheme: str) -> None:
        self.page, self.scheme = page, scheme
        self.seen: set[str] = set()

    def take(self, name: str, template: str) -> None:
        self.seen.add(template)
        for width in WIDTHS:
            self.page.set_viewport_size({"width": width, "height": 900})
            assert self.page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
            if FOLDER:
                folder = pathlib.Path(FOLDER)
                folder.mkdir(parents=True, exist_ok=True)
                self.page.screenshot(path=folder / f"{name}-{self.scheme}-{width}.png", full_page=True)


def pages() -> set[str]:
    """The names of the templates that are pages."""
    source = (ROOT / "Sources/AdminPages/PageTemplates.swift").read_text()
    cases = re.search(r"enum Page: String, CaseIterable \{(.*?)\}", source, re.DOTALL)[1]
    return set(re.findall(r"\w+", re.sub(r"//.*|\bcase\b", "", cases)))


def enter(page: Page) -> None:
    """Says name and password, and waits for what comes of it."""
    page.goto("/login")
    page.get_by_label("Name").fill("maria.keller")
    page.get_by_label("Password").fill(PASSWORD)
    with page.expect_navigation():
        page.get_by_role("button", name="Sign in").click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_seen_in_its_theme_and_nothing_is_wider_than_the_window(nodes, sights, chromium, scheme: str):
    context = chromium.new_context(base_url=nodes.origin, color_scheme=scheme, reduced_motion="reduce")
    context.set_default_timeout(60_000)
    page = context.new_page()
    camera = Camera(page, scheme)
    for name, template, path in sights:
        if template == "login":
            page.goto(path)
            camera.take(name, template)
            sign_in(page)
            continue
        page.goto(path)
        expect(page.locator("h1").first).to_be_visible()
        camera.take(name, template)
    background = page.evaluate("getComputedStyle(document.documentElement).colorScheme")
    assert "dark" in background
    # What is only seen on the way: several devices at once, and an account that takes codes.
    page.goto("/nodes")
    page.get_by_label("Select phone-anna").check()
    page.get_by_label("Select sensor.hall-1").check()
    page.get_by_role("button", name="Revoke selected").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    camera.take("revoke-several", "selection")
    page.goto("/nodes/invitations")
    page.get_by_label("Sender IDs").fill(f"tablet-{scheme}-1 tablet-{scheme}-2")
    page.get_by_role("button", name="Invite", exact=True).click()
    expect(page.get_by_role("img", name="QR code").first).to_be_visible()
    camera.take("invitations-made", "invitations")
    context.clear_cookies()
    enter(page)
    # Whichever theme comes first has the codes turned on.
    if page.get_by_role("heading", name="Your code").count() == 0:
        page.goto("/account")
        codes = page.get_by_role("region", name="One-time codes")
        codes.get_by_label("Current password").fill(PASSWORD)
        codes.get_by_role("button", name="Set up one-time codes").click()
        expect(codes.get_by_role("img", name="QR code")).to_be_visible()
        camera.take("account-codes", "account")
        codes.get_by_label("Code in the app").fill(totp(codes.locator(".field .id").inner_text().replace(" ", "")))
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("One-time codes are on")
        camera.take("account-recovery", "account")
        context.clear_cookies()
        enter(page)
    expect(page.get_by_role("heading", name="Your code")).to_be_visible()
    camera.take("code", "code")
    page.goto("/login?step=passkey")
    camera.take("passkey", "passkey")
    context.close()
    assert camera.seen >= pages(), pages() - camera.seen
