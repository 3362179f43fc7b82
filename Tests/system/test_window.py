"""A device that does not wait for answers: everything is answered, in order, within bounds (I4, I10)."""

import contextlib
import json
import threading
import time

from websockets.exceptions import ConnectionClosed

COUNT = 100
ROOMY = {"gateway": {"frames_per_second": 10_000, "frames_burst": 10_000}}


def send(socket, number: int, message: object, **more: object) -> None:
    frame = {
        "type": "req", "id": f"r{number}", "method": "message.send",
        "params": {"messageId": f"m{number}", "message": message, **more},
    }  # fmt: skip
    socket.send_raw(json.dumps(frame))


def test_messages_sent_without_waiting_are_acknowledged_and_answered_in_order(deploy):
    nodes = deploy(gateways=1, kernels=1, settings=ROOMY)
    device = nodes.device()
    device.pair(nodes.administrator())
    for number in range(1, COUNT + 1):
        send(device.socket, number, {"number": number})
        if number % 10 == 0:
            # Between the messages, and far ahead of them: what is not there yet is not acknowledged by it.
            device.socket.send_raw(
                json.dumps(
                    {"type": "req", "id": f"a{number}", "method": "message.ack", "params": {"messageSeq": number}}
                )
            )
    acknowledged: list[int] = []
    answered: list[int] = []
    answers: list[str] = []
    while len(answered) < COUNT or len(answers) < COUNT + COUNT // 10:
        frame = device.socket.receive()
        if frame["type"] == "res":
            assert frame["ok"], frame
            answers.append(frame["id"])
            if frame["id"].startswith("r"):
                assert frame["id"] == f"r{len(acknowledged) + 1}" and frame["payload"]["status"] == "accepted"
                acknowledged.append(frame["payload"]["messageSeq"])
        else:
            payload = frame["payload"]
            answered.append(payload["messageSeq"])
            assert payload["message"]["number"] in acknowledged, "an event passed the answer to what caused it"
            assert payload["message"]["number"] == payload["messageSeq"]
    assert acknowledged == answered == list(range(1, COUNT + 1))
    expected = [f"r{n}" if kind == 0 else f"a{n}" for n in range(1, COUNT + 1) for kind in range(1 if n % 10 else 2)]
    assert answers == expected, "answers come in the order of the requests, whatever they are"


def test_one_that_is_refused_holds_up_nobody_and_a_connect_waits_for_all(deploy):
    nodes = deploy(gateways=1, kernels=1, settings=ROOMY)
    device = nodes.device()
    device.pair(nodes.administrator())
    socket = device.socket
    send(socket, 1, "one")
    socket.send_raw('{"type":"req","id":"bad","method":"message.send","params":{"messageId":"x"}}')
    send(socket, 2, "two")
    socket.send_raw("no json")
    # Greater than what is parsed at once, and still in its turn.
    send(socket, 3, "three", unknown="y" * 40_000)
    socket.send_raw('{"type":"req","id":"h","method":"health"}')
    send(socket, 1, "again")
    frames = []
    while len(frames) < 7:
        frame = socket.receive()
        if frame["type"] == "res":
            frames.append(frame)
    assert [frame["id"] for frame in frames] == ["r1", "bad", "r2", None, "r3", "h", "r1"]
    assert [frame["ok"] for frame in frames] == [True, False, True, False, True, True, True]
    assert [frames[i]["payload"]["messageSeq"] for i in (0, 2, 4, 6)] == [1, 2, 3, 1], "a repeat has its first number"


def memory(pid: int) -> int:
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


def test_a_device_that_does_not_read_costs_no_more_than_its_bounds(deploy):
    nodes = deploy(gateways=1, kernels=1, settings=ROOMY)
    administrator = nodes.administrator()
    device = nodes.device()
    device.pair(administrator)
    other = nodes.device()
    other.pair(administrator)
    before = memory(nodes.gateways[0].pid)
    sent = 0
    is_closed = False

    def flood() -> None:
        nonlocal sent, is_closed
        # 240 MB fit into none of the window, the queue of what waits for the client, and the sockets' buffers.
        with contextlib.suppress(ConnectionClosed, OSError):
            while sent < 60_000:
                send(device.socket, sent, "z" * 3000, unknown="y" * 1000)
                sent += 1
        is_closed = True

    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    last = (0, time.monotonic())
    # Nothing is read of the answers: sooner or later nothing more is taken, or the socket is closed for it.
    while not is_closed and time.monotonic() - last[1] < 3:
        if sent != last[0]:
            last = (sent, time.monotonic())
        time.sleep(0.05)
    assert 0 < sent < 60_000
    grown = memory(nodes.gateways[0].pid) - before
    assert grown < 64 << 20, f"{grown} bytes"
    started = time.monotonic()
    other.socket.request("message.send", {"messageId": "m", "message": "hello"})
    assert other.socket.event("message")["message"] == "hello"
    assert time.monotonic() - started < 5, "a slow device slows only itself"
    with contextlib.suppress(OSError):
        device.socket.cut()
    thread.join(10)
