"""Administrators' programs: an API token on the WebSocket (I8), and what ends its authority."""

import json
import secrets
import time

import pytest
from support.deployment import Deployment
from support.device import Refused, TokenCredential


def make_token(nodes: Deployment, scope: str = "administer", owner: str = "admin") -> dict:
    name = f"program-{secrets.token_hex(4)}"
    made = nodes.nodesctl(
        "token", "create", name, "--scope", scope, "--expires", "1d", "--owner", owner, "--json"
    )
    return json.loads(made.stdout)


def signed_in(nodes: Deployment, token: dict, gateway: int | None = None):
    socket = nodes.socket(gateway)
    answer = socket.request("connect", {"token": token["secret"]})
    assert answer["role"] == "administrator"
    return socket


def test_a_program_lists_approves_denies_and_revokes_in_its_tokens_name(nodes: Deployment):
    token = make_token(nodes)
    socket = signed_in(nodes, token)
    wanted, unwanted = (nodes.device(credential=TokenCredential()) for _ in range(2))
    first, second = wanted.ask(), unwanted.ask()
    pending = {row["requestId"] for row in socket.request("device.pair.list")["pending"]}
    assert {first["requestId"], second["requestId"]} <= pending
    socket.request(
        "device.pair.approve",
        {"requestId": first["requestId"], "code": first["code"], "approvedBy": "somebody else"},
    )
    assert wanted.socket.event("device.pair.resolved")["decision"] == "approved"
    socket.request("device.pair.deny", {"requestId": second["requestId"], "code": second["code"]})
    assert unwanted.socket.event("device.pair.resolved")["decision"] == "denied"
    paired = [row for row in socket.request("device.pair.list")["paired"] if row["senderId"] == wanted.sender_id]
    assert len(paired) == 1 and token["secret"] not in json.dumps(paired)
    socket.request("device.pair.revoke", {"channel": "web", "senderId": wanted.sender_id})
    assert wanted.socket.wait_closed()[0] == 4001
    actors = nodes.rows(
        "SELECT DISTINCT actor_kind, actor, address FROM events "
        "WHERE sender_id IN (%s, %s) AND actor_kind <> 'device'",
        wanted.sender_id, unwanted.sender_id,
    )
    assert actors == [("api_token", f"admin (token {token['name']})", "127.0.0.1")]


def test_a_wrong_code_or_a_decided_request_is_refused_with_the_state(nodes: Deployment):
    socket = signed_in(nodes, make_token(nodes))
    request = nodes.device(credential=TokenCredential()).ask()
    with pytest.raises(Refused) as refusal:
        socket.request("device.pair.approve", {"requestId": request["requestId"], "code": "AAAA-AAAA"})
    assert (refusal.value.code, refusal.value.reason) == ("FAILED_PRECONDITION", "code_mismatch")
    decision = {"requestId": request["requestId"], "code": request["code"]}
    socket.request("device.pair.deny", decision)
    with pytest.raises(Refused) as refusal:
        socket.request("device.pair.approve", decision)
    assert refusal.value.reason == "already_denied" and refusal.value.details["state"] == "denied"


def test_a_denial_names_the_code_that_was_displayed(nodes: Deployment):
    socket = signed_in(nodes, make_token(nodes))
    request = nodes.device(credential=TokenCredential()).ask()
    with pytest.raises(Refused) as refusal:
        socket.request("device.pair.deny", {"requestId": request["requestId"]})
    assert (refusal.value.reason, refusal.value.details["parameter"]) == ("bad_parameter", "code")


def test_a_token_that_may_only_read_decides_nothing(nodes: Deployment):
    socket = signed_in(nodes, make_token(nodes, "read"))
    request = nodes.device(credential=TokenCredential()).ask()
    socket.request("device.pair.list")
    with pytest.raises(Refused) as refusal:
        socket.request("device.pair.approve", {"requestId": request["requestId"], "code": request["code"]})
    assert refusal.value.code == "FORBIDDEN"


def revoke(nodes: Deployment, token: dict) -> None:
    nodes.nodesctl("token", "revoke", str(token["id"]))


def remove_owner(nodes: Deployment, token: dict) -> None:
    nodes.nodesctl("admin", "remove", token["owner"], "--yes")


def expire(nodes: Deployment, token: dict) -> None:
    nodes.rows("UPDATE api_tokens SET expires_at = clock_timestamp() WHERE token_id = %s", token["id"])


@pytest.fixture
def owner(nodes: Deployment):
    """An account beside the first administrator's."""
    name = f"owner-{secrets.token_hex(4)}"
    nodes.nodesctl("admin", "create", name, "--generate")
    yield name
    nodes.nodesctl("admin", "remove", name, "--yes", check=False)


@pytest.mark.parametrize("end", [revoke, remove_owner, expire])
def test_what_ends_a_tokens_authority_closes_its_sockets_within_seconds_and_opens_no_more(
    nodes: Deployment, owner: str, end
):
    token = make_token(nodes, owner=owner)
    socket = signed_in(nodes, token, gateway=1)
    unharmed = signed_in(nodes, make_token(nodes), gateway=1)
    started = time.monotonic()
    end(nodes, token)
    assert socket.wait_closed()[0] == 1008
    assert time.monotonic() - started < 30
    with pytest.raises(Refused) as refusal:
        nodes.socket().request("connect", {"token": token["secret"]})
    assert refusal.value.code == "UNAUTHORIZED"
    unharmed.request("device.pair.list")


@pytest.mark.parametrize("token", ["", "x", "gcn_", "gcn_" + "A" * 43, "A" * 43])
def test_a_token_that_is_none_of_ours_opens_nothing(nodes: Deployment, token: str):
    with pytest.raises(Refused) as refusal:
        nodes.socket().request("connect", {"token": token})
    assert refusal.value.code in ("UNAUTHORIZED", "INVALID_REQUEST")
    if len(token) > 8:
        assert token not in json.dumps(refusal.value.error)
