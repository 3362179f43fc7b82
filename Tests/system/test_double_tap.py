"""Two quick taps or clicks, and a key that is held: each does one thing, and nobody decides unread."""

import contextlib
import secrets

import pytest
from playwright.sync_api import Locator, Page, expect
from support.browser import sign_in
from support.deployment import Deployment

PHONES = [360, 390, 393, 412, 430]
HEIGHT = 844
DESKTOP = 1280
# Between the two taps, in milliseconds: as fast as people do it by accident.
BETWEEN = 250


@contextlib.contextmanager
def visitor(chromium, nodes: Deployment, width: int, *, scripted: bool = True, motion: str = "no-preference"):
    """A signed-in page of a phone or, when it is wide, a desktop; `page.posts` has the forms it sent."""
    is_phone = width < 600
    context = chromium.new_context(
        base_url=nodes.origin, viewport={"width": width, "height": HEIGHT}, has_touch=is_phone, is_mobile=is_phone,
        java_script_enabled=scripted, reduced_motion=motion,
    )  # fmt: skip
    page = context.new_page()
    sign_in(page)
    page.posts = []
    page.on("request", lambda request: request.method == "POST" and page.posts.append(request.url))
    page.press_at = page.touchscreen.tap if is_phone else page.mouse.click
    yield page
    context.close()


def press(page: Page, target: Locator) -> tuple[float, float]:
    """Taps or clicks the middle of the target's left half, where the button of a dialog is too."""
    target.click(trial=True)
    box = target.bounding_box()
    place = box["x"] + box["width"] / 4, box["y"] + box["height"] / 2
    page.press_at(*place)
    return place


def state_of(nodes: Deployment, device) -> str:
    """What the database has of the device: its pairing's state or else its request's."""
    return nodes.rows(
        """
        SELECT coalesce(d.state, r.state) FROM pairing_requests r LEFT JOIN paired_devices d USING (request_id)
        WHERE r.request_id = %s
        """, device.request["requestId"],
    )[0][0]  # fmt: skip


@pytest.fixture
def subject(nodes: Deployment, administrator, decision: str):
    """A device that may be decided on: one that waits, or for Revoke a paired one."""
    device = nodes.device()
    device.request = device.ask(displayName="Reception tablet")
    if decision == "Revoke":
        administrator.approve(device.request["requestId"], device.request["code"])
    return device


def move_under(page: Page, link: Locator, top: float) -> None:
    """Scrolls until the link's middle is `top` pixels below the window's upper edge."""
    page.evaluate("document.querySelector('main').style.padding = '1000px 16px'")
    link.evaluate(
        "(link, top) => { const box = link.getBoundingClientRect(); scrollBy(0, box.top + box.height / 2 - top); }", top
    )


@pytest.mark.parametrize("width", [*PHONES, DESKTOP])
@pytest.mark.parametrize("decision", ["Approve", "Deny", "Revoke"])
@pytest.mark.parametrize("scripted", [True, False], ids=["scripted", "without-javascript"])
def test_two_quick_taps_open_a_decision_and_decide_nothing(
    chromium, nodes: Deployment, subject, decision: str, width: int, scripted: bool
):
    before = state_of(nodes, subject)
    list_path = f"/nodes?q={subject.sender_id}"
    with visitor(chromium, nodes, width, scripted=scripted) as page:
        link = page.get_by_role("link", name=f"{decision} {subject.sender_id}")
        confirm = page.locator("dialog" if scripted else "main").get_by_role("button", name=decision)
        # Once to learn where the confirming button comes, and then with the link in that very place.
        page.goto(list_path)
        press(page, link)
        expect(confirm).to_be_visible()
        box = confirm.bounding_box()
        page.goto(list_path)
        move_under(page, link, min(box["y"] + box["height"] / 2, HEIGHT - 30))
        place = press(page, link)
        page.wait_for_timeout(BETWEEN)
        page.press_at(*place)

        # Long enough for a button to take a tap again, which a decision would not have left there.
        confirm.click(trial=True, timeout=10_000)
        assert page.posts == [] and state_of(nodes, subject) == before
        if scripted:
            expect(page.get_by_role("dialog")).to_have_count(1)
        press(page, confirm)
        expect(page.get_by_role("status")).to_contain_text(subject.sender_id)
        assert len(page.posts) == 1 and state_of(nodes, subject) != before


@pytest.mark.parametrize("scripted", [True, False], ids=["scripted", "without-javascript"])
def test_both_orders_of_decision_on_a_phone(chromium, nodes: Deployment, administrator, scripted: bool):
    """Two devices that wait below each other: one is approved and then the other denied, and the other way round."""
    with visitor(chromium, nodes, PHONES[0], scripted=scripted) as page:
        for width in PHONES:
            page.set_viewport_size({"width": width, "height": HEIGHT})
            for order in (("Approve", "Deny"), ("Deny", "Approve")):
                prefix = f"pair-{secrets.token_hex(4)}"
                devices = {decision: nodes.device(sender_id=f"{prefix}-{decision}") for decision in order}
                for device in devices.values():
                    device.request = device.ask(displayName="Reception tablet")
                for decision, subject in devices.items():
                    sent = len(page.posts)
                    page.goto(f"/nodes?q={prefix}")
                    press(page, page.get_by_role("link", name=f"{decision} {subject.sender_id}"))
                    confirm = page.locator("dialog" if scripted else "main").get_by_role("button", name=decision)
                    press(page, confirm)
                    said = "Approved." if decision == "Approve" else "Denied."
                    expect(page.get_by_role("status")).to_contain_text(f"{said} {subject.sender_id}")
                    assert len(page.posts) == sent + 1
                    assert state_of(nodes, subject) == ("active" if decision == "Approve" else "denied")
                    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("decision", ["Approve"])
def test_the_wait_stays_where_motion_is_reduced(chromium, nodes: Deployment, subject):
    with visitor(chromium, nodes, 390, scripted=False, motion="reduce") as page:
        page.goto(f"/nodes/requests/{subject.request['requestId']}/approve")
        confirm = page.get_by_role("button", name="Approve")
        assert confirm.evaluate("button => getComputedStyle(button).pointerEvents") == "none"
        confirm.click()
        expect(page.get_by_role("status")).to_contain_text(f"Approved. {subject.sender_id}")


@pytest.mark.parametrize("decision", ["Approve"])
@pytest.mark.parametrize("width", [390, DESKTOP])
def test_a_form_is_sent_once_however_often_its_button_is_pressed(chromium, nodes: Deployment, subject, width: int):
    with visitor(chromium, nodes, width) as page:
        press(page, page.get_by_role("link", name=f"Approve {subject.sender_id}"))
        place = press(page, page.get_by_role("dialog").get_by_role("button", name="Approve"))
        page.press_at(*place)
        expect(page.get_by_role("status")).to_contain_text(f"Approved. {subject.sender_id}")
        assert len(page.posts) == 1


@pytest.mark.parametrize("decision", ["Deny"])
def test_two_quick_taps_on_cancel_open_nothing_that_lies_under_it(chromium, nodes: Deployment, subject):
    with visitor(chromium, nodes, 390) as page:
        link = page.get_by_role("link", name=f"Deny {subject.sender_id}")
        press(page, link)
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("link", name="Cancel").click(trial=True)
        # At once, whatever a busy machine does between two real taps.
        link.evaluate(
            """
            (link) => {
              const tap = (target) => {
                target.dispatchEvent(new PointerEvent("pointerdown", { bubbles: true }));
                target.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, detail: 1 }));
              };
              tap(document.querySelector("dialog [data-close]"));
              tap(link);
            }
            """
        )
        expect(dialog).to_have_count(0)
        assert page.locator("[aria-busy]").count() == 0
        expect(link).to_be_focused()


@pytest.mark.parametrize("decision", ["Approve"])
def test_a_held_key_opens_one_dialog_and_confirms_nothing(chromium, nodes: Deployment, subject):
    with visitor(chromium, nodes, DESKTOP) as page:
        link = page.get_by_role("link", name=f"Approve {subject.sender_id}")
        link.focus()
        page.keyboard.down("Enter")
        dialog = page.get_by_role("dialog")
        confirm = dialog.get_by_role("button", name="Approve")
        confirm.focus()
        for _ in range(20):
            page.keyboard.down("Enter")
        confirm.click(trial=True)
        for _ in range(20):
            page.keyboard.down("Enter")
        page.keyboard.up("Enter")
        expect(dialog).to_have_count(1)
        assert page.posts == [] and state_of(nodes, subject) == "pending"
        # And on Cancel it does not open again what it closed.
        dialog.get_by_role("link", name="Cancel").focus()
        for _ in range(20):
            page.keyboard.down("Enter")
        page.keyboard.up("Enter")
        expect(dialog).to_have_count(0)
        expect(link).to_be_focused()
        assert page.evaluate("document.querySelectorAll('dialog, [aria-busy]').length") == 0
        page.keyboard.press("Enter")
        confirm.click(trial=True)
        confirm.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text(f"Approved. {subject.sender_id}")
        assert len(page.posts) == 1


@pytest.mark.parametrize("decision", ["Approve"])
def test_a_click_counts_only_where_it_began(chromium, nodes: Deployment, subject):
    with visitor(chromium, nodes, DESKTOP) as page:
        press(page, page.get_by_role("link", name=f"Approve {subject.sender_id}"))
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Approve").click(trial=True)
        text = dialog.get_by_text(subject.request["code"], exact=True).bounding_box()
        # A text selected as far as the backdrop.
        page.mouse.move(text["x"] + 5, text["y"] + 5)
        page.mouse.down()
        page.mouse.move(5, HEIGHT - 5, steps=5)
        page.mouse.up()
        expect(dialog).to_be_visible()
        page.mouse.click(5, HEIGHT - 5)
        expect(dialog).to_have_count(0)
        assert page.posts == []
