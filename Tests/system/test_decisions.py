"""The dialogs show what it takes to decide well, and what an administrator says reaches the device."""

import pytest
from playwright.sync_api import Page, expect
from support.browser import sign_in
from support.deployment import PASSWORD, Deployment
from support.device import KeyCredential, Refused, TokenCredential


@pytest.fixture
def maria(nodes: Deployment):
    nodes.nodesctl("admin", "create", "maria", "--password-stdin", stdin=PASSWORD + "\n", check=False)
    return nodes.browser_session().sign_in("maria", PASSWORD)


def test_the_dialog_shows_everything_about_a_request_and_what_became_of_its_sender_id(
    nodes: Deployment, administrator, maria
):
    first = nodes.device(credential=KeyCredential())
    first.pair(administrator)
    form = maria.get(f"/nodes/devices/{first.sender_id}/revoke").form("/revoke")
    assert maria.submit(form, reason="stolen on the way").status == 303
    # Somebody else asks under the name of the stolen one.
    second = nodes.device(sender_id=first.sender_id, credential=KeyCredential())
    request = second.ask(displayName="Reception tablet", metadata={"build": "2026.11", "nested": {"note": "<b>bold</b>"}})
    path = f"/nodes/requests/{request['requestId']}/approve"
    page = administrator.get(path)
    for shown in (
        "web", first.sender_id, request["code"], "Reception tablet", "SHA256:", "127.0.0.1", "Before",
        "Revoked", "by maria , with another credential: stolen on the way", "Paired", "by admin , with another credential",
        "Everything the device says of itself", '"build":"2026.11"', '"note":"<b>bold</b>"',
    ):  # fmt: skip
        assert shown in page.text, f"{shown!r} is not in: {page.text}"
    # A look changes nothing, however often and by whichever method.
    assert administrator.get(path).status == 200
    assert administrator.send("HEAD", path).status == 200
    assert nodes.rows("SELECT state FROM pairing_requests WHERE request_id = %s", request["requestId"]) == [("pending",)]


def test_a_sender_id_that_was_never_seen_is_said_to_be_new(nodes: Deployment, administrator):
    request = nodes.device(credential=TokenCredential()).ask()
    page = administrator.get(f"/nodes/requests/{request['requestId']}/approve")
    assert "This sender ID was not paired before" in page.text


def test_a_denials_reason_reaches_the_device_the_feed_and_whoever_looks_later(nodes: Deployment, administrator):
    device = nodes.device(credential=TokenCredential())
    request = device.ask()
    path = f"/nodes/requests/{request['requestId']}/deny"
    form = administrator.get(path).form(path)
    assert administrator.submit(form, reason="  not\u202e ours  ").status == 303
    resolved = device.socket.event("device.pair.resolved")
    assert (resolved["decision"], resolved["reason"]) == ("denied", "not ours")
    device.dial()
    assert device.status()["reason"] == "An administrator denied the request: not ours"
    with pytest.raises(Refused) as refusal:
        device.connect()
    assert refusal.value.reason == "denied" and refusal.value.details["decisionReason"] == "not ours"
    assert nodes.rows(
        "SELECT details->>'reason' FROM events WHERE request_id = %s AND event = 'pairing.denied'", request["requestId"]
    ) == [("not ours",)]
    assert "not ours" in administrator.get(path).text


def test_a_revocations_reason_reaches_the_device_the_feed_and_whoever_looks_later(nodes: Deployment, administrator):
    device = nodes.device()
    device.pair(administrator)
    form = administrator.get(f"/nodes/devices/{device.sender_id}/revoke").form("/revoke")
    assert administrator.submit(form, reason="x" * 300).status == 303
    said = "x" * 200
    with pytest.raises(Refused) as refusal:
        device.reconnect()
    assert refusal.value.reason == "revoked" and refusal.value.details["decisionReason"] == said
    assert device.status()["reason"] == f"An administrator revoked the pairing; pair again: {said}"
    assert said in administrator.get(f"/nodes/devices/{device.sender_id}").text
    # And without one nothing is made up.
    other = nodes.device()
    other.pair(administrator)
    administrator.revoke(other.sender_id)
    with pytest.raises(Refused) as refusal:
        other.reconnect()
    assert "decisionReason" not in refusal.value.details


def test_reasons_are_given_over_the_socket_and_at_the_command_line(nodes: Deployment, administrator):
    one, other = (nodes.device(credential=TokenCredential()) for _ in range(2))
    request = one.ask()
    nodes.nodesctl("deny", request["requestId"], "--code", request["code"], "--reason", "wrong building")
    assert one.socket.event("device.pair.resolved")["reason"] == "wrong building"
    other.pair(administrator)
    nodes.nodesctl("revoke", other.sender_id, "--reason", "lost")
    with pytest.raises(Refused) as refusal:
        other.reconnect()
    assert refusal.value.details["decisionReason"] == "lost"


def test_a_reason_is_typed_in_the_dialog(page: Page, nodes: Deployment):
    device = nodes.device(credential=TokenCredential())
    device.ask()
    sign_in(page)
    page.get_by_role("link", name=f"Deny {device.sender_id}").click()
    dialog = page.get_by_role("dialog", name="Deny this request?")
    dialog.get_by_label("Reason").fill("a mistake")
    dialog.get_by_role("button", name="Deny").click()
    expect(page.get_by_role("status")).to_contain_text(f"Denied. {device.sender_id}")
    assert device.socket.event("device.pair.resolved")["reason"] == "a mistake"
