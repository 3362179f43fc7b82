"""nginx is reloaded under connected devices: its old workers end in bounded time, and the devices come back spread."""

import os
import re
import signal
import time

from support.deployment import Deployment, eventually
from support.program import Program

DEVICES = 8
TIMEOUT_SECONDS = 3


def workers(nodes: Deployment) -> set[int]:
    """The processes of nginx that serve, the old ones among them."""
    found = set()
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                with open(f"/proc/{entry.name}/stat") as stat:
                    parent = int(stat.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == nodes.nginx.pid:
                found.add(int(entry.name))
    return found


def reload(nodes: Deployment) -> set[int]:
    """Tells nginx to read its configuration again; returns its old workers once it has new ones."""
    before = workers(nodes)
    nodes.nginx.child.send_signal(signal.SIGHUP)
    eventually(lambda: workers(nodes) - before, "nginx has new workers")
    return before


def test_an_old_worker_ends_in_bounded_time_and_its_devices_come_back_spread(deploy):
    nodes = deploy(gateways=1, kernels=1)
    configuration = nodes.config / "nginx.conf"
    text = configuration.read_text()
    assert re.search(r"^worker_shutdown_timeout 5m;$", text, re.M)
    configuration.write_text(text.replace("worker_shutdown_timeout 5m", f"worker_shutdown_timeout {TIMEOUT_SECONDS}s"))
    # A worker keeps the time-out that it was started with.
    old = reload(nodes)
    eventually(lambda: not workers(nodes) & old, "workers without devices end at once")

    administrator = nodes.administrator()
    stays = nodes.device()
    stays.pair(administrator)
    programs: list[Program] = []
    try:
        for index in range(DEVICES):
            programs.append(
                Program(
                    [
                        str(nodes.binaries / "nodesctl"), "device", "--json", "--token", "--sender", f"reload-{index}",
                        "--url", nodes.origin.replace("http", "ws") + "/ws",
                        "--state", str(nodes.state / f"reload-{index}.json"),
                    ]
                )
            )  # fmt: skip
        for program in programs:
            waiting = program.expect("waiting")
            nodes.nodesctl("approve", waiting["requestId"], "--code", waiting["code"])
        for program in programs:
            program.expect("connected")

        reloaded_at = time.monotonic()
        old = reload(nodes)
        # Meanwhile the old workers go on serving who is connected.
        stays.socket.request("message.send", {"messageId": "meanwhile", "message": "still here"})
        assert stays.socket.event("message")["message"] == "still here"
        assert workers(nodes) & old, "the old workers ended at once, and cut the devices off"

        delays = []
        for program in programs:
            delays.append(program.expect("disconnected")["retryInMs"])
            program.expect("connected")
        eventually(lambda: not workers(nodes) & old, "the old workers end", timeout=TIMEOUT_SECONDS + 20)
        assert time.monotonic() - reloaded_at >= TIMEOUT_SECONDS
    finally:
        for program in programs:
            program.close()
    assert max(delays) - min(delays) > 50, "the devices come back at one moment"
