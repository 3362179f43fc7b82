"""A decision that is sent again, since the answer to it was lost or somebody else was quicker."""

import json
import re

import pytest
from support.deployment import PASSWORD, Deployment
from support.device import TokenCredential

MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"


@pytest.fixture
def pending(nodes: Deployment):
    """A device that waits for a decision."""
    device = nodes.device()
    device.request = device.ask()
    device.path = f"/nodes/requests/{device.request['requestId']}"
    return device


def test_a_decision_that_is_repeated_after_a_lost_answer_is_done(nodes: Deployment, administrator, pending):
    unwanted = nodes.device()
    unwanted_path = f"/nodes/requests/{unwanted.ask()['requestId']}/deny"
    revocation = f"/nodes/devices/{pending.sender_id}/revoke"
    nodes.nodesctl("admin", "create", "other-one", "--password-stdin", stdin=PASSWORD + "\n", check=False)
    other = nodes.browser_session().sign_in("other-one", PASSWORD)
    for path, ending in (
        (pending.path + "/approve", "This request was approved"),
        (unwanted_path, "This request was denied"),
        (revocation, "This device is revoked"),
    ):
        form, late = administrator.get(path).form(path), other.get(path).form(path)
        assert administrator.submit(form).location == "/nodes"
        for _ in range(2):
            page = administrator.submit(form)
            assert (page.status, page.location) == (303, path)
            shown = administrator.follow(page).text
            assert ending in shown and re.search(f"Done, by you, at {MOMENT}", shown), shown
            assert "not carried out" not in shown
        # Another one reads who it was, and when.
        page = other.submit(late)
        assert page.status == 409 and ending in page.text and "by admin" in page.text, page.text
        assert re.search(MOMENT, page.text) and "by you" not in page.text
    count = "SELECT count(*) FROM events WHERE sender_id = %s AND event = %s"
    for device, event in ((pending, "approved"), (unwanted, "denied"), (pending, "revoked")):
        assert nodes.rows(count, device.sender_id, f"pairing.{event}") == [(1,)]


def test_a_revocation_that_is_repeated_after_a_new_pairing_is_not_done(nodes: Deployment, administrator, pending):
    administrator.approve(pending.request["requestId"], pending.request["code"])
    form = administrator.get(f"/nodes/devices/{pending.sender_id}/revoke").form("/revoke")
    assert administrator.submit(form).status == 303
    again = nodes.device(sender_id=pending.sender_id)
    again.pair(administrator)
    page = administrator.submit(form)
    assert page.status == 409 and "paired again since" in page.text


def test_a_decision_repeated_over_the_socket_is_answered_as_the_first_time(nodes: Deployment):
    made = nodes.nodesctl(
        "token", "create", "repeats", "--owner", "admin", "--scope", "administer", "--expires", "1d", "--json"
    )
    token = json.loads(made.stdout)
    socket = nodes.socket()
    socket.request("connect", {"token": token["secret"]})
    wanted, unwanted = (nodes.device(credential=TokenCredential()) for _ in range(2))
    first, second = wanted.ask(), unwanted.ask()
    for method, params, status in (
        ("device.pair.approve", {"requestId": first["requestId"], "code": first["code"]}, "approved"),
        ("device.pair.deny", {"requestId": second["requestId"], "code": second["code"]}, "denied"),
        ("device.pair.revoke", {"channel": "web", "senderId": wanted.sender_id, "generation": 1}, "revoked"),
        ("device.pair.revoke", {"channel": "web", "senderId": wanted.sender_id}, "revoked"),
    ):
        answers = [socket.request(method, params) for _ in range(2)]
        assert {answer["status"] for answer in answers} == {status}
        assert answers[1]["repeated"] is True and answers[1]["decidedAt"] > 0
        assert answers[1]["senderId"] in (wanted.sender_id, unwanted.sender_id)
    # The same by somebody else is refused with who was first.
    other = nodes.nodesctl("approve", first["requestId"], "--code", first["code"], check=False)
    assert other.returncode == 65 and "repeats" in other.stderr


def test_a_decision_repeated_at_the_command_line_is_done(nodes: Deployment):
    wanted, unwanted = (nodes.device(credential=TokenCredential()) for _ in range(2))
    first, second = wanted.ask(), unwanted.ask()
    for command in (
        ("approve", first["requestId"], "--code", first["code"]),
        ("deny", second["requestId"], "--code", second["code"]),
        ("revoke", wanted.sender_id),
    ):
        assert "by you" not in nodes.nodesctl(*command).stdout
        again = nodes.nodesctl(*command)
        assert "Done already, by you, at" in again.stdout, again.stdout
