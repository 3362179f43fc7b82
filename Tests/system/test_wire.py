"""What devices send in spellings of their own: read, passed on as it is, or refused in words they can relate (I6)."""

import http.client
import json
import secrets
import socket as sockets
import urllib.parse

import pytest
from support.deployment import Deployment
from support.device import Refused
from support.frames import BINARY, CONTINUATION, PING, TEXT, Client, closing, frame
from support.goclaw import Browser
from support.openclaw import Operator
from websockets.exceptions import InvalidStatus


def test_a_message_comes_back_as_it_was_sent(nodes: Deployment, administrator):
    device = nodes.device()
    device.pair(administrator)
    sent = (
        '{"text": "\\u00e9 \\/", "z":9223372036854775808, "a" : [-0, 1.50, 1E+3, 0.1000000000000000055511151231257827],'
        ' "é":1, "e\u0301":2, "deep": ' + "[" * 61 + "]" * 61 + "}"
    )
    frame = '{"type":"req","id":"m","method":"message.send","params":{"messageId":"m","message":%s}}' % sent
    device.socket.send_raw(frame)
    assert device.socket.answer("m")["messageSeq"] == 1
    stored = nodes.rows("SELECT body FROM messages WHERE sender_key = %s", device.sender_id)
    kept = sent.replace('", "', '","').replace(", ", ",").replace(" : ", ":").replace(": ", ":")
    assert [row[0] for row in stored] == [kept] * len(stored) and stored
    assert device.socket.event("message")["message"]["z"] == 9223372036854775808


def test_whole_numbers_are_read_in_any_spelling(nodes: Deployment, administrator):
    device = nodes.device()
    device.pair(administrator)
    device.socket.request("message.send", {"messageId": "m", "message": {"text": "hello"}})
    assert device.socket.event("message")["messageSeq"] == 1
    for spelling, ok in (("1.0", True), ("1E+0", True), ("1.5", False)):
        device.socket.send_raw(
            '{"type":"req","id":"a","method":"message.ack","params":{"messageSeq":%s}}' % spelling
        )
        frame = device.socket.receive()
        assert frame["ok"] is ok, frame
    assert frame["error"]["details"]["parameter"] == "messageSeq" and "fraction" in frame["error"]["message"]


FAULTS = {
    "NaN": ('{"text":NaN}', "a JSON value"),
    "half of an emoji": ('{"text":"\\ud83d"}', "half of a surrogate pair"),
    "a member twice": ('{"text":1,"text":2}', "named twice"),
    "70,000 values": ("[" + "0," * 69_999 + "0]", "where 65536 are accepted"),
    "70 levels": ("[" * 70 + "]" * 70, "72 levels of nesting, where 64 are accepted"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_frame_that_is_no_json_is_answered_under_its_id(nodes: Deployment, administrator, case: str):
    message, problem = FAULTS[case]
    device = nodes.device()
    device.pair(administrator)
    device.socket.send_raw(
        '{"type":"req","id":"m","method":"message.send","params":{"messageId":"m","message":%s}}' % message
    )
    frame = device.socket.receive()
    assert frame["id"] == "m" and frame["error"]["code"] == "INVALID_REQUEST"
    assert frame["error"]["details"]["reason"] == "not_json" and not frame["error"].get("retryable")
    assert problem in frame["error"]["message"]
    assert f"at byte {frame['error']['details']['offset']}." in frame["error"]["message"]


def upgrade(nodes: Deployment, **headers: str) -> str:
    """What an upgrade is answered: status and body."""
    fields = {
        "Host": urllib.parse.urlsplit(nodes.origin).netloc, "Upgrade": "websocket", "Connection": "Upgrade",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Version": "13", **headers,
    }  # fmt: skip
    with sockets.create_connection(("127.0.0.1", nodes.port), timeout=60) as raw:
        lines = ["GET /ws HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        raw.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = http.client.HTTPResponse(raw)
        answer.begin()
        return f" {answer.status} " + ("" if answer.status == 101 else answer.read().decode())


def login_page(nodes: Deployment, method: str = "GET", body: str | None = None, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", nodes.port, timeout=60)
    host = urllib.parse.urlsplit(nodes.origin).netloc
    connection.putrequest(method, "/login", skip_host=True)
    fields = {"Host": host, "Content-Type": "application/x-www-form-urlencoded", "Connection": "close", **headers}
    for name, value in fields.items():
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body.encode() if body is not None else None)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_an_apps_origin_opens_sockets_where_it_is_listed_and_does_nothing_else(deploy):
    apps = ["capacitor://localhost", "tauri://localhost", "ionic://localhost", "https://app.example"]
    nodes = deploy(gateways=1, kernels=1, settings={"gateway": {"device_origins": apps}})
    for app in apps:
        assert " 101 " in upgrade(nodes, Origin=app), app
        status, text = login_page(nodes, "POST", "username=admin", Origin=app)
        assert status == 403 and "sent from another site" in text, app
    for stranger in ("null", "capacitor://localhost.evil", "https://app.example:8443"):
        assert " 403 " in upgrade(nodes, Origin=stranger), stranger


@pytest.mark.parametrize("path", ["/ws", "/", "/gateway", "/__openclaw__/gateway"])
def test_every_path_declines_compression_and_is_strict_about_frames(nodes: Deployment, path: str):
    cases = [
        (frame(TEXT, b"{}", rsv=4), 1002), (frame(TEXT, b"{}", mask=None), 1002), (frame(3, b"{}"), 1002),
        (frame(CONTINUATION, b"{}"), 1002), (frame(PING, b"x", fin=False), 1002), (frame(PING, b"x" * 126), 1002),
        (frame(TEXT, b"\xff"), 1007), (frame(BINARY, b"\xff"), 1003 if path == "/ws" else 1007),
        (frame(TEXT, length=b"\xff" + (1 << 30).to_bytes(8, "big")), 1009), (closing(1005), 1002),
    ]  # fmt: skip
    for sent, code in cases:
        client = Client(int(nodes.origin.rsplit(":", 1)[1]), path, "permessage-deflate; client_max_window_bits")
        if path != "/ws":
            opcode, challenge = client.read()
            assert opcode == TEXT and json.loads(challenge)["event"] == "connect.challenge"
        # The end follows the client's own close frame, where that is still read.
        client.send(sent + closing(1000))
        client.expect_close(code)


def test_a_dialect_that_is_left_out_is_refused_with_a_clear_word(deploy):
    nodes = deploy(gateways=1, kernels=1, settings={"gateway": {"dialects": ["nodes"]}})
    for path in ("/", "/gateway", "/__openclaw__/gateway"):
        operator = Operator(nodes, path=path)
        with pytest.raises(InvalidStatus) as refused:
            operator.dial()
        assert refused.value.response.status_code == 404
        assert b"gateway.dialects" in refused.value.response.body, path
    browser = Browser(nodes)
    with pytest.raises(Refused) as refused:
        browser.ask()
    assert (refused.value.code, refused.value.reason) == ("FAILED_PRECONDITION", "dialect_not_served")
    assert "goclaw" in refused.value.error["message"] and browser.closed() == 1008
    assert nodes.device().ask()["status"] == "pending"


def test_a_refused_origin_or_host_is_told_what_came_and_what_to_change(nodes: Deployment):
    assert " 101 " in upgrade(nodes, Origin=nodes.origin.upper() + "/")
    refused = upgrade(nodes, Origin="capacitor://localhost")
    assert " 403 " in refused
    assert 'Origin says "capacitor://localhost"' in refused and "gateway.device_origins" in refused
    for host in (f"localhost.:{nodes.port}", f"[::1]:{nodes.port}"):
        refused = upgrade(nodes, Host=host)
        assert " 421 " in refused
        status, text = login_page(nodes, Host=host)
        assert status == 421
        for answer in (refused, text):
            assert host in answer and f"http://{host}" in answer and "gateway.public_origins" in answer, answer


def test_a_configuration_is_judged_alike_by_every_program(nodes: Deployment, tmp_path):
    file = tmp_path / "nodes.json"
    for origins, problem in ((["capacitor://localhost"], "gateway.device_origins"), ([], "gateway.public_origins")):
        settings = {"database": {"url": nodes.database_url}, "gateway": {"public_origins": origins}}
        file.write_text(json.dumps(settings), encoding="utf-8-sig")
        said = nodes.nodesctl("--config", str(file), "config", check=False)
        assert said.returncode != 0 and problem in said.stderr
    settings["gateway"] = {"public_origins": [nodes.origin], "device_origins": ["capacitor://localhost"]}
    file.write_text(json.dumps(settings), encoding="utf-8-sig")
    assert nodes.nodesctl("--config", str(file), "config").stdout
    file.write_text(json.dumps(settings), encoding="utf-16")
    said = nodes.nodesctl("--config", str(file), "config", check=False)
    assert said.returncode != 0 and "UTF-16" in said.stderr


def test_a_password_from_a_file_with_a_byte_order_mark_is_the_password(nodes: Deployment):
    name = f"bom-{secrets.token_hex(4)}"
    # Twelve bytes are the least a password may have: with the mark these would be enough.
    said = nodes.nodesctl("admin", "create", name, "--password-stdin", stdin="\ufeff123456789\n", check=False)
    assert said.returncode != 0
    nodes.nodesctl("admin", "create", name, "--password-stdin", stdin="\ufefflong enough password\n")
