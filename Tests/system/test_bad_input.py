"""Hostile and mistaken input: a clear error each, nothing stored, the servers unharmed (I6, I7, I10)."""

import base64
import json
import secrets
import socket as sockets
import time
import uuid

import pytest
from support.deployment import Deployment
from support.device import Refused, TokenCredential, base64url
from websockets.exceptions import ConnectionClosed

PAIR = "device.pair.request"
TOKEN = base64url(secrets.token_bytes(32))


def counts(nodes: Deployment):
    return nodes.rows(
        "SELECT (SELECT count(*) FROM pairing_requests), (SELECT count(*) FROM paired_devices),"
        " (SELECT count(*) FROM messages), (SELECT count(*) FROM events WHERE event LIKE 'pairing%%')"
    )


@pytest.fixture
def nothing_stored(nodes: Deployment):
    before = counts(nodes)
    yield
    assert counts(nodes) == before, "bad input left something behind"


# Parameters of device.pair.request: what is changed of a good request, and what the answer names.
PARAMETERS = {
    "no channel": ({"channel": None}, "channel"),
    "channel of another type": ({"channel": 7}, "channel"),
    "channel out of grammar": ({"channel": "Web!"}, "channel"),
    "unknown channel": ({"channel": "toaster"}, "toaster"),
    "channel with a path": ({"channel": "../web"}, "channel"),
    "no sender ID": ({"senderId": None}, "senderId"),
    "empty sender ID": ({"senderId": ""}, "senderId"),
    "sender ID too long": ({"senderId": "a" * 129}, "senderId"),
    "sender ID with a space": ({"senderId": "tablet 1"}, "senderId"),
    "sender ID with a bar": ({"senderId": "a|b"}, "senderId"),
    "sender ID with a slash": ({"senderId": "a/b"}, "senderId"),
    "sender ID with markup": ({"senderId": "<script>"}, "senderId"),
    "sender ID with a quote": ({"senderId": "a'--"}, "senderId"),
    "sender ID beyond ASCII": ({"senderId": "täblet"}, "senderId"),
    "sender ID with NUL": ({"senderId": "a\0b"}, ""),
    "sender ID that begins with a dot": ({"senderId": ".tablet"}, "senderId"),
    "sender ID as an object": ({"senderId": {"$ne": 1}}, "senderId"),
    "token too short": ({"deviceToken": base64url(b"short")}, "deviceToken"),
    "token with padding": ({"deviceToken": TOKEN + "="}, "deviceToken"),
    "token in the other alphabet": ({"deviceToken": base64.b64encode(b"\xfb" * 32).decode().rstrip("=")}, "deviceToken"),
    "token not canonical": ({"deviceToken": TOKEN[:-1] + "B" if TOKEN[-1] != "B" else TOKEN[:-1] + "C"}, "deviceToken"),
    "token of another type": ({"deviceToken": 12}, "deviceToken"),
    "code too short": ({"code": "ABC"}, "code"),
    "code with a wrong character": ({"code": "ABCD-EFG0"}, "code"),
    "code of another type": ({"code": ["A"]}, "code"),
    "name of another type": ({"displayName": 5}, "displayName"),
    "name with NUL": ({"displayName": "a\0b"}, "NUL"),
    "metadata with NUL in a name": ({"metadata": {"a\0": 1}}, "NUL"),
    "metadata as a list": ({"metadata": [1]}, "metadata"),
    "metadata as text": ({"metadata": "x"}, "metadata"),
    "metadata too large": ({"metadata": {"a": "x" * 17_000}}, "metadata"),
    "key and token together": ({"publicKey": TOKEN}, ""),
    "key without proof": ({"publicKey": TOKEN, "deviceToken": None}, "proof"),
    "key of another length": ({"publicKey": base64url(b"k" * 31), "deviceToken": None}, ""),
    "proof of another type": ({"publicKey": TOKEN, "deviceToken": None, "proof": "x"}, "proof"),
    "proof without a nonce": (
        {"publicKey": TOKEN, "deviceToken": None, "proof": {"signature": base64url(b"s" * 64), "signedAt": 1}},
        "nonce",
    ),
    "proof with a short signature": (
        {
            "publicKey": TOKEN, "deviceToken": None,
            "proof": {"signature": base64url(b"s" * 63), "signedAt": 1, "nonce": TOKEN},
        },
        "signature",
    ),
    "parameters as a list": ([], ""),
    "parameters as text": ("x", ""),
}


@pytest.mark.parametrize("case", PARAMETERS)
def test_a_bad_parameter_is_named(nodes: Deployment, nothing_stored, case: str):
    change, named = PARAMETERS[case]
    params = {"channel": "web", "senderId": f"bad-{secrets.token_hex(4)}", "deviceToken": TOKEN}
    if isinstance(change, dict):
        params = {name: value for name, value in {**params, **change}.items() if value is not None}
    else:
        params = change
    socket = nodes.socket()
    socket.send_raw(json.dumps({"type": "req", "id": "1", "method": PAIR, "params": params}))
    frame = socket.receive()
    assert frame["ok"] is False and frame["id"] == "1", "the answer does not find its request"
    assert frame["error"]["code"] in ("INVALID_REQUEST", "NOT_FOUND"), frame
    assert named in frame["error"]["message"], frame
    assert socket.request("health")["status"] == "ok"


# Whole frames that are no request.
FRAMES = {
    "not JSON": "hello",
    "half of a frame": '{"type":"req","id":"1","method":"hea',
    "a list": "[]",
    "a number": "1",
    "null": "null",
    "empty": "",
    "no type": '{"id":"1","method":"health"}',
    "an unknown type": '{"type":"nope","id":"1"}',
    "a response": '{"type":"res","id":"1","ok":true}',
    "no id": '{"type":"req","method":"health"}',
    "an empty id": '{"type":"req","id":"","method":"health"}',
    "an id of another type": '{"type":"req","id":{},"method":"health"}',
    "an id too long": json.dumps({"type": "req", "id": "i" * 2000, "method": "health"}),
    "no method": '{"type":"req","id":"1"}',
    "an unknown method": '{"type":"req","id":"1","method":"device.explode"}',
    "a method of another type": '{"type":"req","id":"1","method":1}',
    "depth": '{"type":"req","id":"1","method":"health","params":' + '{"a":' * 200 + "1" + "}" * 200 + "}",
    "a lone surrogate": '{"type":"req","id":"1","method":"health","params":{"a":"\\ud800"}}',
    "trailing text": '{"type":"req","id":"1","method":"health"} x',
}


@pytest.mark.parametrize("case", FRAMES)
def test_a_frame_that_is_no_request_gets_an_error_or_a_close_that_says_why(
    nodes: Deployment, nothing_stored, case: str
):
    socket = nodes.socket()
    socket.send_raw(FRAMES[case])
    try:
        frame = socket.receive()
        assert frame["ok"] is False and frame["error"]["message"], frame
        assert frame["error"]["code"] in ("INVALID_REQUEST", "NOT_FOUND")
    except ConnectionClosed as closed:
        assert closed.rcvd is not None and closed.rcvd.code in (1002, 1003, 1007, 1008)
        assert closed.rcvd.reason
    assert nodes.socket().request("health")["status"] == "ok"


# Raw bytes on an upgraded socket, and the close code they earn (RFC 6455).
RAW = {
    "binary": (b"\x82\x81\0\0\0\0x", 1003),
    "broken UTF-8": (b"\x81\x82\0\0\0\0\xc3\x28", 1007),
    "not masked": (b"\x81\x01x", 1002),
    "a reserved bit": (b"\xc1\x81\0\0\0\0x", 1002),
    "a reserved opcode": (b"\x83\x81\0\0\0\0x", 1002),
    "a continuation of nothing": (b"\x80\x81\0\0\0\0x", 1002),
    "a ping too long": (b"\x89\xfe\x00\x7e\0\0\0\0" + b"x" * 126, 1002),
    "a ping in fragments": (b"\x09\x81\0\0\0\0x", 1002),
    "a close of one byte": (b"\x88\x81\0\0\0\0\x03", 1002),
    "a close with a forbidden code": (b"\x88\x82\0\0\0\0\x03\xed", 1002),
    "larger than allowed": (b"\x81\xff" + (70_000).to_bytes(8, "big") + b"\0\0\0\0", 1009),
    "absurdly large": (b"\x81\xff" + (1 << 62).to_bytes(8, "big") + b"\0\0\0\0", 1009),
    "a text inside a text": (b"\x01\x81\0\0\0\0x\x81\x81\0\0\0\0y", 1002),
    "thousands of fragments": (b"\x01\x80\0\0\0\0" + b"\x00\x80\0\0\0\0" * 5000, 1009),
}


def upgraded(nodes: Deployment) -> sockets.socket:
    raw = sockets.create_connection(("127.0.0.1", nodes.port), timeout=60)
    raw.sendall(
        f"GET /ws HTTP/1.1\r\nHost: {nodes.origin.split('//')[1]}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(secrets.token_bytes(16)).decode()}\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += raw.recv(1)
    assert b" 101 " in answer, answer
    return raw


@pytest.mark.parametrize("case", RAW)
def test_a_frame_against_the_rules_closes_with_the_code_of_the_standard(
    nodes: Deployment, nothing_stored, case: str
):
    data, code = RAW[case]
    raw = upgraded(nodes)
    raw.sendall(data)
    received = b""
    while chunk := raw.recv(4096):
        received += chunk
        if len(received) >= 4:
            break
    raw.close()
    assert received[0] == 0x88, received
    assert int.from_bytes(received[2:4], "big") == code


# Upgrades that are none of ours.
def status_of(nodes: Deployment, request: str) -> int:
    raw = sockets.create_connection(("127.0.0.1", nodes.port), timeout=60)
    raw.sendall(request.replace("HOST", nodes.origin.split("//")[1]).encode())
    answer = raw.recv(4096)
    raw.close()
    return int(answer.split(b" ", 2)[1])


UPGRADE = (
    "GET /ws HTTP/1.1\r\nHost: HOST\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
)
UPGRADES = {
    "foreign origin": (UPGRADE + "Origin: https://evil.example\r\n\r\n", 403),
    "origin null": (UPGRADE + "Origin: null\r\n\r\n", 403),
    "origin with another port": (UPGRADE + "Origin: http://127.0.0.1:1\r\n\r\n", 403),
    "origin twice": (UPGRADE + "Origin: http://HOST\r\nOrigin: https://evil.example\r\n\r\n", 403),
    "foreign host": (UPGRADE.replace("HOST", "evil.example") + "\r\n", 421),
    "another version": (UPGRADE.replace("13", "8") + "\r\n", 426),
    "no key": (UPGRADE.replace("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n", "") + "\r\n", 400),
    "no upgrade": ("GET /ws HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n", 426),
    "a post": (UPGRADE.replace("GET", "POST") + "Content-Length: 0\r\n\r\n", 405),
}


@pytest.mark.parametrize("case", UPGRADES)
def test_an_upgrade_that_is_not_allowed_is_refused_before_it_happens(nodes: Deployment, case: str):
    request, expected = UPGRADES[case]
    assert status_of(nodes, request) == expected


def test_an_upgrade_from_the_sites_own_pages_is_allowed(nodes: Deployment):
    assert nodes.socket(browser_origin=nodes.origin).request("health")["status"] == "ok"


# Text that devices choose, shown to administrators.
NASTY = {
    "markup": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "attribute": "\" onmouseover=\"alert(1)",
    "template": "{{csrfToken}}{{{csrfToken}}}{{#a}}",
    "right to left": "\u202eevil\u202c\u2066x\u2069",
    "zero width": "ad\u200bm\u200di\ufeffn",
    "control": "a\x1b[31mb\x07c",
    "tags": "flag\U000e0041\U000e007f",
}


@pytest.mark.parametrize("case", NASTY)
def test_a_devices_text_is_shown_as_text(nodes: Deployment, administrator, case: str):
    text = NASTY[case]
    device = nodes.device(credential=TokenCredential())
    request = device.ask(displayName=text, metadata={"browser": text, "userAgent": text})
    stored = nodes.rows("SELECT display_name FROM pairing_requests WHERE request_id = %s", request["requestId"])
    assert not any(c in stored[0][0] for c in "\u202e\u2066\u200b\u200d\ufeff\x1b\x07\U000e0041")
    for path in ("/nodes", f"/nodes/requests/{request['requestId']}/approve"):
        page = administrator.get(path)
        assert page.status == 200
        for forbidden in ("<script>alert", "<img src=x", "\" onmouseover", "\u202e", "\u200b", "\x1b"):
            assert forbidden not in page.body
        if case == "template":
            assert "{{csrfToken}}" in page.body.replace("&#123;", "{").replace("&#125;", "}")


# Slow and silent peers.
def test_a_socket_that_never_asks_is_closed_and_one_that_only_pings_as_well(deploy):
    nodes = deploy(gateways=1, kernels=1, settings={"gateway": {"first_request_timeout": "5s"}})
    silent, chatty = nodes.socket(), nodes.socket()
    chatty.request("health")
    chatty.request("device.challenge")
    for socket in (silent, chatty):
        code, reason = socket.wait_closed()
        assert code == 1008 and reason


def test_a_request_that_arrives_byte_by_byte_holds_up_nobody(nodes: Deployment, administrator):
    slow = []
    for _ in range(40):
        raw = sockets.create_connection(("127.0.0.1", nodes.port), timeout=60)
        raw.sendall(b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\na")
        slow.append(raw)
        raw = upgraded(nodes)
        raw.sendall(b"\x81\xfe")
        slow.append(raw)
    started = time.monotonic()
    assert administrator.get("/nodes").status == 200
    assert nodes.socket().request("health")["status"] == "ok"
    assert time.monotonic() - started < 30
    for raw in slow:
        raw.close()


def test_a_flood_of_frames_is_slowed_or_closed_and_harms_only_its_sender(deploy):
    nodes = deploy(gateways=1, kernels=1, settings={"gateway": {"frames_per_second": 5, "frames_burst": 10}})
    flooding, calm = nodes.socket(), nodes.socket()
    served = 0
    started = time.monotonic()
    try:
        for _ in range(200):
            flooding.send("health")
        until = time.monotonic() + 4
        while (left := until - time.monotonic()) > 0:
            frame = flooding.receive(left)
            if frame["ok"]:
                served += 1
            else:
                assert frame["error"]["code"] == "RESOURCE_EXHAUSTED"
    except ConnectionClosed as closed:
        assert closed.rcvd.code == 1008
    except TimeoutError:
        # The rest is still to come.
        pass
    assert 0 < served <= 10 + 5 * (time.monotonic() - started) + 5
    assert calm.request("health")["status"] == "ok"
    # A close would wait for its turn behind the flood.
    flooding.cut()


def test_unpaired_sockets_are_limited_by_address_and_leave_room_for_others(deploy):
    nodes = deploy(
        gateways=1, kernels=1, settings={"gateway": {"unauthenticated_sockets_per_address": 5}}
    )
    administrator = nodes.administrator()
    device = nodes.device()
    device.pair(administrator)
    served = 0
    for _ in range(12):
        socket = nodes.socket(address="127.0.0.50")
        try:
            served += socket.request("health")["status"] == "ok"
        except ConnectionClosed as closed:
            assert closed.rcvd.code == 1013 and closed.rcvd.reason
    assert served == 5
    assert nodes.socket(address="127.0.0.51").request("health")["status"] == "ok"
    assert device.reconnect(address="127.0.0.52")["status"] == "paired"


def test_requests_are_limited_by_address_but_never_for_a_device_that_has_one(deploy):
    nodes = deploy(gateways=1, kernels=1, settings={"gateway": {"requests_per_address": 3}})
    devices = [nodes.device(credential=TokenCredential()) for _ in range(4)]
    first = [device.ask() for device in devices[:3]]
    with pytest.raises(Refused) as refusal:
        devices[3].ask()
    assert refusal.value.code == "RESOURCE_EXHAUSTED" and refusal.value.retry_after_ms > 0
    devices[0].dial()
    assert devices[0].ask()["requestId"] == first[0]["requestId"]
    devices[3].dial(address="127.0.0.60")
    assert devices[3].ask()["status"] == "pending"


def test_a_socket_holds_one_pending_request(nodes: Deployment):
    socket = nodes.socket()
    token = base64url(secrets.token_bytes(32))
    first = f"one-{secrets.token_hex(4)}"
    socket.request(PAIR, {"channel": "web", "senderId": first, "deviceToken": token})
    with pytest.raises(Refused) as refusal:
        socket.request(PAIR, {"channel": "web", "senderId": f"two-{secrets.token_hex(4)}", "deviceToken": token})
    assert refusal.value.code in ("FAILED_PRECONDITION", "RESOURCE_EXHAUSTED")
    assert socket.request(PAIR, {"channel": "web", "senderId": first, "deviceToken": token})["status"] == "pending"


@pytest.mark.parametrize("method", ["device.pair.list", "device.pair.approve", "device.pair.deny", "device.pair.revoke"])
def test_an_administrators_method_is_closed_to_everybody_else(nodes: Deployment, administrator, method: str):
    device = nodes.device()
    device.pair(administrator)
    for socket in (nodes.socket(), device.socket):
        with pytest.raises(Refused) as refusal:
            socket.request(
                method,
                {"requestId": str(uuid.uuid4()), "code": "ABCD-EFGH", "channel": "web", "senderId": device.sender_id},
            )
        assert refusal.value.code in ("UNAUTHORIZED", "FORBIDDEN")


def test_a_message_needs_a_session_an_id_and_a_body(nodes: Deployment, administrator):
    with pytest.raises(Refused) as refusal:
        nodes.socket().request("message.send", {"messageId": "m", "message": 1})
    assert refusal.value.code in ("NOT_PAIRED", "UNAUTHORIZED")
    device = nodes.device()
    device.pair(administrator)
    for params in ({"message": 1}, {"messageId": "", "message": 1}, {"messageId": "m" * 200, "message": 1}, {"messageId": "m"}):
        with pytest.raises(Refused) as refusal:
            device.socket.request("message.send", params)
        assert refusal.value.code == "INVALID_REQUEST"
    assert device.socket.request("message.send", {"messageId": "m", "message": 1})["messageSeq"] == 1
