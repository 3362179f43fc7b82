"""A gateway that is stopped tells its devices, closes them over a time, and they go on at another."""

import concurrent.futures
import time

from support.device import Device, TokenCredential

SPREAD_MS = 3000


def test_devices_of_a_stopping_gateway_are_told_when_they_are_closed_with_1012_and_go_on_at_the_other(deploy):
    nodes = deploy(gateways=2, kernels=1, settings={"gateway": {"shutdown_spread": f"{SPREAD_MS}ms"}})
    administrator = nodes.administrator()
    devices = [nodes.device(credential=TokenCredential()) for _ in range(20)]
    [first] = {device.pair(administrator, gateway=0)["instanceId"] for device in devices}

    def follow(device: Device) -> tuple[int, float, str]:
        """When it was to be closed, when it was, and where it is then."""
        told = device.socket.event("shutdown")["closesInMs"]
        assert device.socket.wait_closed()[0] == 1012
        closed_at = time.monotonic()
        # By way of nginx, which passes over the one that no longer listens.
        granted = device.reconnect()
        assert granted["status"] == "paired"
        device.socket.request("message.send", {"messageId": "after", "message": "still here"})
        assert device.socket.event("message")["message"] == "still here"
        return told, closed_at, granted["instanceId"]

    stopped_at = time.monotonic()
    stopping = nodes.gateways[0]
    stopping.request_stop()
    with concurrent.futures.ThreadPoolExecutor(len(devices)) as threads:
        seen = list(threads.map(follow, devices))
    times = [told for told, _, _ in seen]
    assert all(0 <= told <= SPREAD_MS for told in times)
    assert max(times) - min(times) > SPREAD_MS / 3, "they are all closed at once"
    for told, closed_at, instance in seen:
        assert closed_at - stopped_at >= told / 1000, "it was closed before the time that it was told"
        assert instance != first
    assert stopping.child.wait(60) == 0
