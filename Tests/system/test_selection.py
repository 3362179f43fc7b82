"""Many requests or devices at once: each is listed before, and each has its own result after."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from support.browser import sign_in
from support.deployment import Deployment
from support.device import TokenCredential


def waiting(nodes: Deployment, count: int) -> list:
    devices = [nodes.device(credential=TokenCredential()) for _ in range(count)]
    for device in devices:
        device.request = device.ask()
    return devices


def choose(decision: str, devices: list) -> str:
    return f"/nodes/selection?decision={decision}&" + "&".join(
        f"request.{device.request['requestId']}=on" for device in devices
    )


def state(nodes: Deployment, device) -> str:
    return nodes.rows("SELECT state FROM pairing_requests WHERE request_id = %s", device.request["requestId"])[0][0]


def test_only_those_whose_code_was_ticked_are_approved(nodes: Deployment, administrator):
    same, untouched, gone = devices = waiting(nodes, 3)
    page = administrator.get(choose("approve", devices))
    for device in devices:
        assert device.sender_id in page.text and device.request["code"] in page.text
    form = page.form("/nodes/selection")
    # A browser sends a box only where it is ticked; the parser of the tests reads it either way.
    form.fields = {name: value for name, value in form.fields.items() if not name.startswith("same.")}
    nodes.nodesctl("deny", gone.request["requestId"], "--code", gone.request["code"])
    ticks = {f"same.{device.request['requestId']}": "on" for device in (same, gone)}
    answer = administrator.submit(form, **ticks)
    assert answer.status == 303
    result = administrator.follow(answer)
    assert [state(nodes, device) for device in devices] == ["approved", "pending", "denied"]
    assert re.search(rf"{same.sender_id} web approved, by you", result.text), result.text
    assert re.search(rf"{gone.sender_id} web denied, by \S+ \(command line\)", result.text), result.text
    assert untouched.request["code"] in result.text
    assert same.socket.event("device.pair.resolved")["decision"] == "approved"
    # Sent again, it does nothing twice.
    assert administrator.submit(form, **ticks).status == 303
    assert nodes.rows(
        "SELECT count(*) FROM events WHERE sender_id = %s AND event = 'pairing.approved'", same.sender_id
    ) == [(1,)]


def test_a_selection_by_address_decides_nothing_and_a_form_without_its_token_neither(nodes: Deployment, administrator):
    devices = waiting(nodes, 2)
    for decision in ("approve", "deny"):
        path = choose(decision, devices)
        assert administrator.get(path).status == 200
        assert administrator.send("HEAD", path).status == 200
    form = administrator.get(choose("deny", devices)).form("/nodes/selection")
    assert administrator.submit(form, csrf_token="x").status == 403
    assert {state(nodes, device) for device in devices} == {"pending"}
    assert administrator.get("/nodes/selection").status == 403
    assert "Nothing is selected" in administrator.get("/nodes/selection?decision=revoke").text


def test_many_are_denied_and_revoked_with_a_reason(nodes: Deployment, administrator):
    unwanted = waiting(nodes, 2)
    form = administrator.get(choose("deny", unwanted)).form("/nodes/selection")
    assert administrator.submit(form, reason="a drill").status == 303
    for device in unwanted:
        assert device.socket.event("device.pair.resolved")["reason"] == "a drill"
    paired = [nodes.device() for _ in range(3)]
    for device in paired:
        device.pair(administrator)
    path = "/nodes/selection?decision=revoke&" + "&".join(f"device.{device.sender_id}=1" for device in paired)
    form = administrator.get(path).form("/nodes/selection")
    # One is paired anew meanwhile: it was not displayed like that.
    administrator.revoke(paired[2].sender_id)
    again = nodes.device(sender_id=paired[2].sender_id)
    again.pair(administrator)
    result = administrator.follow(administrator.submit(form))
    for device in paired[:2]:
        assert device.socket.wait_closed()[0] == 4001
        assert f"{device.sender_id} web revoked, by you" in result.text
    assert "not revoked: it was paired again" in result.text
    assert again.reconnect()["status"] == "paired"


@pytest.mark.parametrize("javascript", [True, False])
def test_a_selection_is_made_in_the_list(chromium, nodes: Deployment, javascript: bool):
    devices = waiting(nodes, 3)
    context = chromium.new_context(base_url=nodes.origin, java_script_enabled=javascript)
    context.set_default_timeout(60_000)
    page: Page = context.new_page()
    sign_in(page)
    for device in devices[:2]:
        page.get_by_role("checkbox", name=f"Select {device.sender_id}").check()
    page.get_by_role("button", name="Approve selected").click()
    expect(page.get_by_role("heading", name="Approve these 2?")).to_be_visible()
    page.get_by_role("checkbox", name="The device shows this code").first.check()
    if javascript:
        assert Axe().run(page).violations_count == 0
        late = waiting(nodes, 1)[0]
        assert late.sender_id not in page.content()
    page.get_by_role("main").get_by_role("button", name="Approve").click()
    expect(page.get_by_role("heading", name="Results")).to_be_visible()
    assert sorted(state(nodes, device) for device in devices) == ["approved", "pending", "pending"]
    context.close()


def test_ticks_stay_while_the_list_changes(page: Page, nodes: Deployment):
    devices = waiting(nodes, 2)
    sign_in(page)
    box = page.get_by_role("checkbox", name=f"Select {devices[0].sender_id}")
    box.check()
    late = waiting(nodes, 1)[0]
    expect(page.get_by_role("checkbox", name=f"Select {late.sender_id}")).to_be_visible()
    expect(box).to_be_checked()
