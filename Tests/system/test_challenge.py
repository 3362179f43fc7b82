"""Who speaks first on a socket: the server only where the client asked for it."""

import time

import pytest
from support.deployment import Deployment
from support.device import KeyCredential

SUBPROTOCOL = "goclaw.nodes.v1"


def test_a_client_that_offers_the_subprotocol_is_challenged_at_once_and_may_sign_that_nonce(
    nodes: Deployment, administrator
):
    device = nodes.device(credential=KeyCredential())

    def challenged() -> str:
        socket = device.dial(subprotocols=["chat", SUBPROTOCOL])
        assert socket.connection.subprotocol == SUBPROTOCOL
        frame = socket.receive()
        assert frame["type"] == "event" and frame["event"] == "connect.challenge" and frame["seq"] == 1
        assert abs(frame["payload"]["ts"] - time.time() * 1000) < 120_000
        return frame["payload"]["nonce"]

    request = device.ask(proof={"nonce": challenged()})
    assert request["status"] == "pending"
    administrator.approve(request["requestId"], request["code"])
    assert device.socket.event("device.pair.resolved")["status"] == "paired"
    assert device.connect(proof={"nonce": challenged()})["status"] == "paired"


@pytest.mark.parametrize("offered", [None, ["chat"], [SUBPROTOCOL.upper()]], ids=str)
def test_a_client_that_does_not_offer_it_hears_nothing_before_it_speaks(nodes: Deployment, offered):
    socket = nodes.socket(subprotocols=offered)
    assert socket.connection.subprotocol is None
    # Frames come in the order they were sent in: one of the server's own would be the first.
    asked = socket.send("health")
    frame = socket.receive()
    assert frame["type"] == "res" and frame["id"] == asked
    assert not socket.events
