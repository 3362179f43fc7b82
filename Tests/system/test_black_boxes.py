"""Every client that people have, as it is, through each turn of a device's life."""

import types

import pytest

from support.agents import Agent, says
from support.black_boxes import BLACK_BOXES, BlackBox, GoClawPage, OpenAI, Shown
from support.deployment import deployed, eventually


@pytest.fixture(scope="module")
def stack():
    with Agent(says("Here you are.")) as words:
        settings = {
            "agents": {"words": {"type": "openai", "model": "m", "attempts": 1, "url": words.url}},
            "gateway": {"late_challenge": "200ms"},
        }
        with deployed(gateways=2, kernels=1, settings=settings) as nodes:
            yield types.SimpleNamespace(nodes=nodes, administrator=nodes.administrator())


@pytest.fixture(params=BLACK_BOXES, ids=lambda kind: kind.__name__)
def box(request, stack, tmp_path):
    made = request.param(stack.nodes, tmp_path)
    yield made
    made.leave()


def refused(box: BlackBox) -> str:
    """What it shows when it is not let in."""
    with pytest.raises(Shown) as shown:
        box.enter()
    return str(shown.value)


def newest(nodes) -> tuple[str, str, str]:
    """The request that was made last: its identifier, code and sender ID; none where it does not wait."""
    ((request, code, sender, state),) = nodes.rows(
        "SELECT request_id::text, code, sender_id, state FROM pairing_requests ORDER BY created_at DESC LIMIT 1"
    )
    assert state == "pending", f"the newest request is {state}"
    return request, code, sender


def waiting(stack, box: BlackBox) -> tuple[str, str, str]:
    """It asks, shows its code, and is on the page with it."""
    shown = refused(box)
    request, code, sender = newest(stack.nodes)
    assert code in shown.replace("-", ""), f"its user can't compare {code}: {shown}"
    page = stack.administrator.get("/nodes").text
    assert sender in page and f"{code[:4]}-{code[4:]}" in page
    return request, code, sender


def entered(box: BlackBox) -> bool:
    try:
        box.enter()
    except Shown:
        return False
    return True


def test_i3_it_pairs_by_its_code_talks_and_does_not_get_back_in_after_its_revocation(stack, box):
    nodes, administrator = stack.nodes, stack.administrator
    request, code, sender = waiting(stack, box)
    administrator.approve(request, code)
    nodes.nodesctl("devices", "set-agent", sender, "echo", "words")
    box.enter()
    assert box.ask("hello 🛰") == "hello 🛰"
    assert box.ask("go", "words") == "Here you are. "
    administrator.revoke(sender)
    box.await_end()
    shown = refused(box)
    assert any(word in shown for word in ("revoked", "token mismatch")), shown
    waits = "SELECT 1 FROM pairing_requests WHERE sender_id = %s AND state = 'pending'"
    assert nodes.rows(waits, sender) == []


def test_it_says_that_it_was_denied(stack, box):
    request, code, sender = waiting(stack, box)
    stack.administrator.deny(request, code)
    shown = refused(box)
    assert "denied" in shown, shown
    waits = "SELECT 1 FROM pairing_requests WHERE sender_id = %s AND state = 'pending'"
    assert stack.nodes.rows(waits, sender) == []


def test_a_request_that_nobody_decided_is_made_anew_or_said_to_be_over(stack, box):
    request, code, sender = waiting(stack, box)
    stack.nodes.rows(
        "UPDATE pairing_requests SET created_at = now() - interval '2 h', expires_at = now() - interval '1 h' "
        "WHERE request_id = %s", request,
    )  # fmt: skip
    if isinstance(box, OpenAI | GoClawPage):
        # These ask by another call than they connect by.
        shown = refused(box)
        assert "expired" in shown or "in time" in shown, shown
    else:
        again, other, same = waiting(stack, box)
        assert again != request and other != code and same == sender


def test_i4_every_client_survives_a_killed_gateway(stack, tmp_path):
    nodes = stack.nodes
    boxes = []
    # All are on one gateway, and find another.
    nodes.gateways[1].stop()
    try:
        for number, kind in enumerate(BLACK_BOXES):
            folder = tmp_path / str(number)
            folder.mkdir()
            box = kind(nodes, folder)
            boxes.append(box)
            refused(box)
            request, code, _ = newest(nodes)
            stack.administrator.approve(request, code)
            box.enter()
        nodes.restart(nodes.gateways[1])
        nodes.kill(nodes.gateways[0])
        for box in boxes:
            box.await_end()
            eventually(lambda: entered(box), f"{type(box).__name__} is back")
            assert box.ask("still here") == "still here", type(box).__name__
    finally:
        for box in boxes:
            box.leave()
        for gateway in nodes.gateways:
            if not gateway.is_running:
                nodes.restart(gateway)
