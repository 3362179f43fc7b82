"""Web hooks: every event is told, signed and in order, whoever dies; on the page and with nodesctl; and devices that
wait."""

import contextlib
import json
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from support.administrator import Administrator
from support.agents import Agent, is_signed, respond, status
from support.browser import sign_in
from support.deployment import PASSWORD, Deployment, deployed, eventually


class Receiver(Agent):
    """Takes what comes, or answers with `failure` while that is set."""

    def __init__(self) -> None:
        self.failure = None
        self.taken: list[tuple[dict, bytes]] = []
        super().__init__(self._answer)

    def _answer(self, handler) -> None:
        if self.failure:
            self.failure(handler)
            return
        self.taken.append(({name.lower(): value for name, value in handler.headers.items()}, handler.request_body))
        respond(handler, 200, b"thank you")

    def told(self, kind: str = "") -> list[dict]:
        """The bodies that were taken, in order; one that was repeated counts once."""
        bodies = {headers["webhook-id"]: json.loads(body) for headers, body in list(self.taken)}
        return [body for body in bodies.values() if body["type"].startswith(kind)]


@pytest.fixture(scope="module")
def nodes():
    """Two gateways that may send to this machine."""
    settings = {"webhooks": {"allowed_networks": ["127.0.0.1"], "allow_http": True, "timeout": "1s"}}
    with deployed(gateways=2, kernels=1, settings=settings) as nodes:
        yield nodes


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


def add(nodes: Deployment, receiver: Receiver, *options: str) -> dict:
    return json.loads(nodes.nodesctl("webhooks", "add", receiver.url, *options, "--json").stdout)


def listed(nodes: Deployment, hook: dict) -> dict:
    hooks = json.loads(nodes.nodesctl("webhooks", "list", "--json").stdout)
    return next(one for one in hooks if one["id"] == hook["id"])


@contextlib.contextmanager
def gateways_killed(nodes: Deployment):
    for gateway in nodes.gateways:
        nodes.kill(gateway)
    yield
    for gateway in nodes.gateways:
        gateway.stop()
        gateway.start()
    nodes.wait_until_ready()


@pytest.fixture(autouse=True)
def leaves_none(nodes: Deployment):
    yield
    nodes.rows("DELETE FROM webhooks")


def test_every_event_is_told_signed_and_in_order_across_an_outage_and_the_end_of_both_gateways(
    nodes: Deployment, receiver: Receiver
):
    hook = add(nodes, receiver)
    administrator = nodes.administrator()
    devices = [nodes.device(sender_id=f"told-{number}") for number in range(3)]
    devices[0].pair(administrator)
    eventually(lambda: receiver.told("pairing.approved"), "the first is told")
    receiver.failure = status(500)
    devices[1].pair(administrator)
    eventually(lambda: listed(nodes, hook)["attempts"] >= 1, "the receiver's failure is noticed")
    with gateways_killed(nodes):
        administrator.revoke(devices[0].sender_id)
        receiver.failure = None
    devices[2].pair(administrator)
    ((newest,),) = nodes.rows("SELECT position FROM event_counter")
    eventually(lambda: listed(nodes, hook)["cursor"] >= newest, "everything is told")
    assert all(is_signed(headers, body, hook["secret"]) for headers, body in receiver.taken)
    told = receiver.told()
    ((added,),) = nodes.rows("SELECT max(position) FROM events WHERE event = 'webhook.added'")
    events = nodes.rows("SELECT position, event, sender_id FROM events WHERE position >= %s ORDER BY position", added)
    assert sorted((body["data"]["position"], body["type"]) for body in told) == [event[:2] for event in events]
    for device in devices:
        positions = [body["data"]["position"] for body in told if body["data"].get("senderId") == device.sender_id]
        assert positions == [event[0] for event in events if event[2] == device.sender_id]
    # The audit's head goes along, and proves itself (issue 9, point 6).
    verified = nodes.nodesctl("audit", "verify", "--head", told[-1]["auditHead"])
    assert verified.returncode == 0
    state = listed(nodes, hook)
    assert state["failingSince"] is None and "500" in state["lastError"] and state["lastDeliveryAt"]


def test_one_that_wants_nothing_more_or_fails_for_too_long_is_given_up_shown_and_audited(
    nodes: Deployment, receiver: Receiver
):
    hook = add(nodes, receiver, "--events", "webhook.*")
    receiver.failure = status(410)
    nodes.nodesctl("webhooks", "test", hook["id"], check=False)
    eventually(lambda: listed(nodes, hook)["state"] == "failed", "410 ends it")
    details = "SELECT actor_kind, details->>'reason' FROM events WHERE event = 'webhook.disabled' AND details->>'webhookId' = %s"
    ((kind, reason),) = nodes.rows(details, hook["id"])
    assert kind == "system" and "410" in reason
    refused = nodes.nodesctl("webhooks", "test", hook["id"], check=False)
    assert refused.returncode == 65 and "Enable it first" in refused.stderr
    receiver.failure = status(503, Retry_After="1")
    nodes.nodesctl("webhooks", "enable", hook["id"])
    eventually(lambda: listed(nodes, hook)["attempts"] >= 2, "Retry-After is waited for, and no longer")
    nodes.rows("UPDATE webhooks SET failing_since = now() - interval '73 hours'")
    eventually(lambda: listed(nodes, hook)["state"] == "failed", "three days are enough")
    receiver.failure = None
    nodes.nodesctl("webhooks", "enable", hook["id"], "--skip")
    done = nodes.nodesctl("webhooks", "test", hook["id"])
    assert "It was delivered" in done.stdout
    assert [body["type"] for body in receiver.told()][-2:] == ["webhook.enabled", "webhook.tested"]


def test_only_what_a_filter_admits_is_told_and_a_rotated_secret_signs_beside_the_one_before(
    nodes: Deployment, receiver: Receiver
):
    hook = add(nodes, receiver, "--events", "pairing.requested")
    nodes.device(sender_id="filtered-1").ask()
    nodes.nodesctl("webhooks", "test", hook["id"])
    assert [body["type"] for body in receiver.told()] == ["pairing.requested", "webhook.tested"]
    other = json.loads(nodes.nodesctl("webhooks", "rotate", hook["id"], "--json").stdout)
    assert other["secret"] != hook["secret"]
    nodes.nodesctl("webhooks", "test", hook["id"])
    headers, body = receiver.taken[-1]
    assert is_signed(headers, body, hook["secret"]) and is_signed(headers, body, other["secret"])
    nodes.rows("UPDATE webhooks SET old_secret_until = now()")
    nodes.nodesctl("webhooks", "test", hook["id"])
    headers, body = receiver.taken[-1]
    assert not is_signed(headers, body, hook["secret"]) and is_signed(headers, body, other["secret"])
    nodes.nodesctl("webhooks", "disable", hook["id"])
    nodes.nodesctl("webhooks", "remove", hook["id"])
    told = [row[0] for row in nodes.rows(
        "SELECT event FROM events WHERE details->>'webhookId' = %s ORDER BY position", hook["id"])]
    assert told == ["webhook.added", "webhook.tested", "webhook.secret_rotated", "webhook.tested", "webhook.tested",
                    "webhook.disabled", "webhook.removed"]  # fmt: skip
    # Secrets are encrypted, and no event holds one (I9).
    for ((row,),) in (nodes.rows("SELECT string_agg(details::text, '') FROM events"),):
        assert "whsec_" not in row and receiver.url not in row


def test_addresses_inside_are_refused_unless_allowed_also_where_a_name_leads_there(nodes: Deployment, receiver: Receiver):
    for address in ["http://10.0.0.1/", "http://[::1]/", "http://169.254.169.254/latest/", "https://u:p@example.org/"]:
        refused = nodes.nodesctl("webhooks", "add", address, check=False)
        assert refused.returncode == 64, address
    # The name is asked for when it is sent, and 127.0.0.1 is allowed here, but not all of what localhost may be.
    nodes.rows("UPDATE webhooks SET url = url")
    hook = add(nodes, receiver)
    nodes.rows("UPDATE webhooks SET url = 'http://127.0.0.2:1/' WHERE webhook_id = %s", hook["id"])
    failed = nodes.nodesctl("webhooks", "test", hook["id"], check=False)
    assert failed.returncode == 65 and "webhooks.allowed_networks" in failed.stderr
    assert receiver.told() in ([], receiver.told("webhook.added"))


def test_a_device_that_is_away_is_told_of_through_the_push_gateway_without_the_message(
    nodes: Deployment, receiver: Receiver
):
    hook = add(nodes, receiver, "--push-hook", "mobile")
    administrator = nodes.administrator()
    phone, tablet = nodes.device("mobile"), nodes.device("web")
    for device in (phone, tablet):
        device.pair(administrator)
        device.close()
    push = ("messages", "push")
    nodes.nodesctl(*push, tablet.sender_id, '"not for a phone"', "--id", "w-1")
    nodes.nodesctl(*push, phone.sender_id, '"the secret text"', "--id", "m-1")
    eventually(lambda: receiver.told("message.waiting"), "the gateway is told")
    receiver.failure = status(500)
    nodes.nodesctl(*push, phone.sender_id, '"another"', "--id", "m-2")
    eventually(lambda: listed(nodes, hook)["attempts"] >= 1, "the push gateway fails")
    with gateways_killed(nodes):
        receiver.failure = None
    eventually(lambda: len(receiver.told("message.waiting")) == 2, "it is told after all")
    first, second = [body["data"] for body in receiver.told("message.waiting")]
    assert first == {"channel": "mobile", "senderId": phone.sender_id, "messageSeq": 1, "waiting": 1}
    assert second["messageSeq"] == 2 and second["waiting"] == 2
    assert all(is_signed(headers, body, hook["secret"]) for headers, body in receiver.taken)
    assert not any(b"secret text" in body for _, body in receiver.taken)
    # One that is there and acknowledges waits for nothing.
    phone.reconnect()
    phone.socket.event("message")
    phone.socket.event("message")
    nodes.nodesctl(*push, phone.sender_id, '"here"', "--id", "m-3")
    message = phone.socket.event("message")
    phone.socket.request("message.ack", {"messageSeq": message["messageSeq"]})
    nodes.rows("UPDATE waiting_devices SET due_at = now() WHERE due_at IS NOT NULL")
    eventually(lambda: nodes.rows("SELECT 1 FROM waiting_devices") == [], "nothing waits any more")
    assert len(receiver.told("message.waiting")) == 2
    # One in the background is as one that is away, though its connection stands; its place is kept.
    send = {"messageId": "b-1", "message": {"type": "background"}}
    assert phone.socket.request("message.send", send)["status"] == "ephemeral"
    nodes.nodesctl(*push, phone.sender_id, '"in your pocket"', "--id", "m-4")
    eventually(lambda: len(receiver.told("message.waiting")) == 3, "it is told of a phone in the background")
    assert receiver.told("message.waiting")[-1]["data"]["messageSeq"] == 4
    assert phone.socket.event("message")["message"] == "in your pocket"
    phone.socket.request("message.ack", {"messageSeq": 4})
    send = {"messageId": "b-2", "message": {"type": "foreground"}}
    assert phone.socket.request("message.send", send)["status"] == "ephemeral"
    assert nodes.rows("SELECT in_background FROM device_sessions WHERE sender_key = lower(%s)", phone.sender_id) == [
        (False,)
    ]


@pytest.mark.parametrize("javascript", [True, False])
def test_the_page_adds_tests_rotates_disables_enables_and_removes(
    nodes: Deployment, receiver: Receiver, chromium, javascript: bool
):
    context = chromium.new_context(base_url=nodes.origin, java_script_enabled=javascript)
    page = context.new_page()
    sign_in(page)
    page.get_by_role("link", name="Web hooks").click()
    page.get_by_label("Address").fill("http://10.0.0.1/")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("webhooks.allowed_networks")
    page.get_by_label("Address").fill(receiver.url)
    page.get_by_label("Which events").fill("webhook.*")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("Web hook added")
    secret = page.get_by_text(re.compile("^whsec_")).inner_text()
    eventually(lambda: receiver.told("webhook.added"), "it is told that it was added")
    assert is_signed(*receiver.taken[0], secret)
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_role("status")).to_contain_text("Test under way")
    eventually(lambda: receiver.told("webhook.tested"), "the test arrives")
    page.get_by_role("link", name="Refresh").click()
    expect(page.locator("dl.facts")).not_to_contain_text("none yet")
    page.get_by_role("button", name="Make another secret").click()
    expect(page.get_by_text(re.compile("^whsec_"))).not_to_have_text(secret)
    page.get_by_role("button", name="Disable").click()
    expect(page.get_by_text("Disabled").first).to_be_visible()
    page.get_by_label("Leave out what happened meanwhile").check()
    page.get_by_role("button", name="Enable").click()
    expect(page.get_by_role("status")).to_contain_text("Web hook enabled")
    page.get_by_role("link", name="Remove").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("status")).to_contain_text("Web hook removed")
    expect(page.get_by_text("Nobody else is told anything.")).to_be_visible()
    context.close()


def test_only_administrators_see_and_change_web_hooks(nodes: Deployment, receiver: Receiver):
    hook = add(nodes, receiver)
    for role in ("operator", "viewer"):
        nodes.nodesctl("admins", "add", f"h-{role}", "--role", role, "--password-stdin", stdin=PASSWORD + "\n")
        other = Administrator(nodes.origin).sign_in(f"h-{role}", PASSWORD)
        assert "/hooks" not in other.get("/nodes").body
        path = f"/hooks/{hook['id']}"
        assert [other.get(path).status, other.get("/hooks").status] == [403, 403]
        for action in ("test", "rotate", "disable"):
            assert other.post(path, {"csrf_token": other.csrf_token, "action": action}).status == 403
        assert other.post(path + "/remove", {"csrf_token": other.csrf_token}).status == 403
    assert listed(nodes, hook)["state"] == "enabled"


def test_axe_finds_nothing_and_nothing_sticks_out(nodes: Deployment, receiver: Receiver, chromium):
    receiver.failure = status(500)
    failing = add(nodes, receiver)
    off = add(nodes, receiver, "--events", "pairing.*, device.changed")
    nodes.nodesctl("webhooks", "disable", off["id"])
    add(nodes, receiver, "--push-hook", "mobile")
    eventually(lambda: listed(nodes, failing)["attempts"] >= 1, "it fails")
    context = chromium.new_context(base_url=nodes.origin, bypass_csp=True)
    page = context.new_page()
    sign_in(page)
    path = f"/hooks/{failing['id']}"
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for address in ("/hooks", path, f"/hooks/{off['id']}", path + "/remove"):
            # Loaded anew: colours that are changing are nobody's.
            page.goto(address)
            for width in (360, 768, 1280):
                page.set_viewport_size({"width": width, "height": 900})
                found = Axe().run(page)
                assert found.violations_count == 0, f"{address} {scheme} {width}\n{found.generate_report()}"
                assert page.evaluate("document.documentElement.scrollWidth") <= width, address
    context.close()
