"""RFC 6455 against the gateway's own WebSocket layer, in the order of the Autobahn suite's chapters.

Every case speaks raw bytes to `websocket-echo`, so that no client library smooths over what is sent. The
program is found in the folder of the environment variable BIN (default: .build/debug).
"""

import os
import socket
import struct
import subprocess
from pathlib import Path

import pytest
from support.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Client, closing, frame

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def port():
    program = Path(os.environ.get("BIN", REPOSITORY / ".build/debug")) / "websocket-echo"
    process = subprocess.Popen([program, "0"], stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    assert line.startswith("listening on "), f"{program} did not start: {line!r}"
    yield int(line.rsplit(":", 1)[1].strip().strip("/"))
    process.terminate()
    process.wait(60)


@pytest.fixture
def client(port):
    client = Client(port)
    yield client
    client.socket.close()


# 1 Framing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 125, 126, 127, 128, 65535, 65536, 65537])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_1_messages_of_every_length_form_are_echoed(client, opcode, size):
    payload = b"*" * size if opcode == TEXT else os.urandom(size)
    client.send(frame(opcode, payload))
    client.expect(opcode, payload)


@pytest.mark.parametrize("size", [125, 126, 65536])
@pytest.mark.parametrize("chop", [1, 997])
def test_1_messages_that_arrive_in_pieces_are_echoed(client, size, chop):
    payload = os.urandom(size)
    client.chop(frame(BINARY, payload), chop if size < 1000 else 997)
    client.expect(BINARY, payload)


@pytest.mark.parametrize("mask", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\x02\x03\x04"])
def test_1_every_mask_is_undone(client, mask):
    for size in range(0, 40):
        payload = os.urandom(size)
        client.send(frame(BINARY, payload, mask=mask))
        client.expect(BINARY, payload)


# 2 Pings and pongs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [b"", b"Hello", b"\x00\xff\xfe\xfd", b"\xfe" * 125])
def test_2_a_ping_is_answered_with_its_payload(client, payload):
    client.send(frame(PING, payload))
    client.expect(PONG, payload)


def test_2_a_ping_of_126_bytes_is_refused(client):
    client.send(frame(PING, b"\xfe" * 126))
    client.expect_close(1002)


def test_2_a_ping_in_single_bytes_is_answered(client):
    client.chop(frame(PING, b"\xfe" * 125))
    client.expect(PONG, b"\xfe" * 125)


@pytest.mark.parametrize("payload", [b"", b"unsolicited payload"])
def test_2_an_unasked_pong_is_ignored(client, payload):
    client.send(frame(PONG, payload) + frame(PING, b"ping payload"))
    client.expect(PONG, b"ping payload")


def test_2_ten_pings_are_answered_in_order(client):
    client.send(b"".join(frame(PING, b"payload-%d" % number) for number in range(10)))
    for number in range(10):
        client.expect(PONG, b"payload-%d" % number)


# 3 Reserved bits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rsv", [1, 2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
def test_3_a_reserved_bit_is_refused(client, rsv, opcode):
    client.send(frame(opcode, b"ab" if opcode != CLOSE else struct.pack(">H", 1000), rsv=rsv))
    client.expect_close(1002)


def test_3_messages_before_a_reserved_bit_are_echoed(client):
    client.send(frame(TEXT, b"Hello") + frame(TEXT, b"Hello", rsv=4) + frame(PING))
    client.expect(TEXT, b"Hello")
    client.expect_close(1002)


# 4 Opcodes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_4_a_reserved_opcode_is_refused(client, opcode):
    client.send(frame(TEXT, b"Hello") + frame(opcode, b"x") + frame(PING))
    client.expect(TEXT, b"Hello")
    client.expect_close(1002)


# 5 Fragmentation -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_5_a_fragmented_control_frame_is_refused(client, opcode):
    client.send(frame(opcode, b"frag", fin=False) + frame(CONTINUATION, b"ment"))
    client.expect_close(1002)


@pytest.mark.parametrize("chop", [None, 1])
def test_5_fragments_are_put_together(client, chop):
    data = frame(TEXT, b"fragment1", fin=False) + frame(CONTINUATION, b"fragment2")
    client.chop(data, chop or len(data))
    client.expect(TEXT, b"fragment1fragment2")


@pytest.mark.parametrize("chop", [None, 1])
def test_5_a_ping_between_fragments_is_answered_first(client, chop):
    data = (
        frame(TEXT, b"one", fin=False)
        + frame(CONTINUATION, b"two", fin=False)
        + frame(PING, b"between")
        + frame(CONTINUATION, b"three", fin=False)
        + frame(CONTINUATION, b"")
    )
    client.chop(data, chop or len(data))
    client.expect(PONG, b"between")
    client.expect(TEXT, b"onetwothree")


def test_5_empty_fragments_make_an_empty_message(client):
    client.send(frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) + frame(CONTINUATION))
    client.expect(TEXT, b"")


@pytest.mark.parametrize("fin", [True, False])
def test_5_a_continuation_without_a_beginning_is_refused(client, fin):
    client.send(frame(CONTINUATION, b"non-continuation", fin=fin) + frame(TEXT, b"Hello"))
    client.expect_close(1002)


def test_5_a_continuation_after_the_end_is_refused(client):
    client.send(frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b") + frame(CONTINUATION, b"c"))
    client.expect(TEXT, b"ab")
    client.expect_close(1002)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_5_a_new_message_within_a_message_is_refused(client, opcode):
    client.send(frame(TEXT, b"one", fin=False) + frame(opcode, b"two"))
    client.expect_close(1002)


# 6 UTF-8 -------------------------------------------------------------------------------------------------

GREEK = "Hello-µ@ßöäüàá-UTF-8!! κόσμε".encode()
VALID = [
    "κόσμε".encode(), b"\x00", "\u0080".encode(), "\u07ff".encode(), "\u0800".encode(), "\uffff".encode(),
    "\U00010000".encode(), "\U0010ffff".encode(), "\ud7ff".encode(), "\ue000".encode(), "\ufffd".encode(),
    "\ufffe".encode(), "\U0001fffe".encode(), "\U0010fffe".encode(), "\ufdd0".encode(),
]
INVALID = [
    b"\x80", b"\xbf", b"\x80\xbf\x80", b"\xc0 ", b"\xdf ", b"\xe0 ", b"\xef ", b"\xf0 ", b"\xf7 ", b"\xf8 ",
    b"\xfb ", b"\xfc ", b"\xfd ", b"\xfe", b"\xff", b"\xfe\xfe\xff\xff", b"\xc0", b"\xe0\x80",
    b"\xf0\x80\x80", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xc1\xbf", b"\xe0\x9f\xbf",
    b"\xf0\x8f\xbf\xbf", b"\xf8\x87\xbf\xbf\xbf", b"\xed\xa0\x80", b"\xed\xad\xbf", b"\xed\xae\x80",
    b"\xed\xbf\xbf", b"\xed\xa0\x80\xed\xb0\x80", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80",
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", b"\xce", b"\xe1\xbd", b"\xf0\x9f\x98",
]


@pytest.mark.parametrize("text", VALID + [GREEK], ids=lambda text: text.hex())
def test_6_valid_text_is_echoed_whole_and_byte_by_byte(client, text):
    client.send(frame(TEXT, text))
    client.expect(TEXT, text)
    pieces = [text[index : index + 1] for index in range(len(text))]
    client.send(frame(TEXT, fin=False))
    for piece in pieces:
        client.send(frame(CONTINUATION, piece, fin=False))
    client.send(frame(CONTINUATION))
    client.expect(TEXT, text)


@pytest.mark.parametrize("text", INVALID, ids=lambda text: text.hex())
def test_6_invalid_text_is_refused(client, text):
    client.send(frame(TEXT, text))
    client.expect_close(1007)


@pytest.mark.parametrize("text", INVALID, ids=lambda text: text.hex())
def test_6_invalid_text_in_fragments_is_refused(client, text):
    client.send(frame(TEXT, GREEK + text[:1], fin=False) + frame(CONTINUATION, text[1:]))
    client.expect_close(1007)


def test_6_the_first_bad_byte_of_a_fragment_is_enough(client):
    client.send(frame(TEXT, GREEK, fin=False) + frame(CONTINUATION, b"\xf4\x90", fin=False))
    client.expect_close(1007)


def test_6_the_first_bad_byte_of_an_unfinished_frame_is_enough(client):
    whole = frame(TEXT, b"\xf4\x90\x80\x80" + b"x" * 96)
    client.send(whole[:8])
    client.expect_close(1007)


def test_6_binary_data_need_not_be_text(client):
    client.send(frame(BINARY, b"\xff\xfe\xed\xa0\x80"))
    client.expect(BINARY, b"\xff\xfe\xed\xa0\x80")


# 7 Closing -----------------------------------------------------------------------------------------------


def test_7_a_close_is_echoed_after_the_messages_before_it(client):
    client.send(frame(TEXT, b"Hello World!") + closing(1000))
    client.expect(TEXT, b"Hello World!")
    client.expect_close(1000)


@pytest.mark.parametrize("after", [frame(TEXT, b"late"), frame(PING, b"late"), closing(1000)])
def test_7_nothing_after_a_close_is_answered(client, after):
    client.send(closing(1000) + after)
    client.expect_close(1000)


def test_7_a_close_within_a_message_ends_it(client):
    client.send(frame(TEXT, b"fragment1", fin=False) + closing(1000) + frame(CONTINUATION, b"fragment2"))
    client.expect_close(1000)


def test_7_a_close_without_a_code_is_answered_without_one(client):
    client.send(closing())
    client.expect_close(None)


def test_7_a_close_with_half_a_code_is_refused(client):
    client.send(frame(CLOSE, b"a"))
    client.expect_close(1002)


@pytest.mark.parametrize("reason", [b"", b"Hello World!", b"*" * 123, "κόσμε".encode()])
def test_7_a_reason_is_accepted(client, reason):
    client.send(closing(1000, reason))
    client.expect_close(1000)


def test_7_a_reason_that_is_too_long_is_refused(client):
    client.send(closing(1000, b"*" * 124))
    client.expect_close(1002)


def test_7_a_reason_that_is_not_text_is_refused(client):
    client.send(closing(1000, b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80"))
    client.expect_close(1007)


@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999]
)
def test_7_a_valid_code_is_echoed(client, code):
    client.send(closing(code))
    client.expect_close(code)


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
def test_7_a_code_that_may_not_be_sent_is_refused(client, code):
    client.send(closing(code))
    client.expect_close(1002)


def test_7_a_large_message_before_a_close_is_echoed(client):
    client.send(frame(TEXT, b"BAsd7&jh23" * 26214) + closing(1000))
    client.expect(TEXT, b"BAsd7&jh23" * 26214)
    client.expect_close(1000)


# 9 Limits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1 << 20, 4 << 20, 16 << 20])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_9_big_messages_are_echoed(client, opcode, size):
    payload = b"*" * size if opcode == TEXT else os.urandom(1024) * (size // 1024)
    client.send(frame(opcode, payload))
    client.expect(opcode, payload)


@pytest.mark.parametrize("piece", [256, 4096, 1 << 16])
def test_9_big_messages_in_fragments_are_echoed(client, piece):
    payload = os.urandom(1024) * 1024
    parts = [payload[start : start + piece] for start in range(0, len(payload), piece)]
    data = frame(BINARY, fin=False)
    data += b"".join(frame(CONTINUATION, part, fin=False) for part in parts)
    client.send(data + frame(CONTINUATION))
    client.expect(BINARY, payload)


def test_9_a_message_over_the_limit_is_refused_by_its_header(client):
    client.send(frame(BINARY, length=b"\xff" + struct.pack(">Q", (16 << 20) + 1)))
    client.expect_close(1009)


def test_9_a_fragmented_message_over_the_limit_is_refused(client):
    client.send(frame(BINARY, bytes(15 << 20), fin=False))
    client.send(frame(CONTINUATION, length=b"\xff" + struct.pack(">Q", 2 << 20)))
    client.expect_close(1009)


# 10 and what the Autobahn suite does not ask ------------------------------------------------------------


def test_10_a_message_in_frames_and_segments_that_do_not_match_is_echoed(client):
    data = b"".join(
        [frame(TEXT, b"*" * 1300, fin=False)]
        + [frame(CONTINUATION, b"*" * 1300, fin=False) for _ in range(49)]
        + [frame(CONTINUATION, b"*" * 536)]
    )
    client.chop(data, 1001)
    client.expect(TEXT, b"*" * 65536)


@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
def test_a_frame_without_a_mask_is_refused(client, opcode):
    client.send(frame(opcode, mask=None))
    client.expect_close(1002)


@pytest.mark.parametrize(
    "length",
    [
        b"\xfe" + struct.pack(">H", 125),
        b"\xff" + struct.pack(">Q", 125),
        b"\xff" + struct.pack(">Q", 65535),
        b"\xff" + struct.pack(">Q", 1 << 63),
    ],
    ids=["125 in 16 bits", "125 in 64 bits", "65535 in 64 bits", "highest bit set"],
)
def test_a_length_in_a_wrong_form_is_refused(client, length):
    client.send(frame(BINARY, length=length))
    client.expect_close(1002)


def request(port, text):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(text.encode())
        answer = b""
        while data := connection.recv(65536):
            answer += data
        return answer.decode()


def handshake(port, **changes):
    fields = {
        "Host": f"127.0.0.1:{port}", "Upgrade": "websocket", "Connection": "keep-alive, Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13",
    }
    fields.update({name.replace("_", "-"): value for name, value in changes.items()})
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return request(port, "GET / HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\n\r\n")


@pytest.mark.parametrize(
    "changes, status",
    [
        ({"Sec_WebSocket_Version": "8"}, 426),
        ({"Sec_WebSocket_Version": None}, 426),
        ({"Sec_WebSocket_Key": None}, 400),
        ({"Sec_WebSocket_Key": "c2hvcnQ="}, 400),
        ({"Upgrade": None}, 426),
        ({"Upgrade": "h2c"}, 426),
        ({"Connection": "keep-alive"}, 426),
        ({"Host": None}, 400),
    ],
    ids=str,
)
def test_a_handshake_that_is_not_one_is_refused(port, changes, status):
    answer = handshake(port, **changes)
    assert answer.startswith(f"HTTP/1.1 {status} "), answer
    if status == 426:
        assert "\r\nupgrade: websocket" in answer.lower()


@pytest.mark.parametrize(
    "text, status",
    [
        ("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 405),
        ("GET / HTTP/1.0\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", 426),
        ("nonsense\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nX: " + "a" * 9000 + "\r\n\r\n", 431),
        ("GET / HTTP/1.1\r\nHost: x\r\n" + "A: b\r\n" * 200 + "\r\n", 431),
        ("GET / HTTP/1.1\r\nHost: x\r\n" + "".join(f"A{i}: {'b' * 1000}\r\n" for i in range(40)) + "\r\n", 431),
    ],
    ids=["path", "method", "HTTP/1.0", "not HTTP", "field", "fields", "all fields"],
)
def test_a_request_that_is_not_acceptable_is_refused(port, text, status):
    answer = request(port, text)
    assert answer.startswith(f"HTTP/1.1 {status} "), answer


def test_a_message_that_comes_with_the_handshake_is_echoed(port):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(
            (
                f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            ).encode()
            + frame(TEXT, b"early")
        )
        answer = b""
        while not answer.endswith(b"\x81\x05early"):
            data = connection.recv(65536)
            assert data, answer
            answer += data
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer
