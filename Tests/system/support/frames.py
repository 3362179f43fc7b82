"""WebSocket frames byte by byte, and a client that sends whatever it is given."""

import base64
import hashlib
import os
import socket
import struct

import pytest

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
MASK = b"\x5a\x01\xfe\x77"


def frame(opcode, payload=b"", fin=True, rsv=0, mask=MASK, length=None):
    """A client's frame; `length` overrides the shortest form of the length field."""
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    masked = 0x80 if mask is not None else 0
    if length is None:
        size = len(payload)
        if size < 126:
            length = bytes([masked | size])
        elif size < 65536:
            length = bytes([masked | 126]) + struct.pack(">H", size)
        else:
            length = bytes([masked | 127]) + struct.pack(">Q", size)
    if mask is None:
        return head + length + payload
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    body = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(len(payload), "big")
    return head + length + mask + body


def closing(code=None, reason=b""):
    return frame(CLOSE, b"" if code is None else struct.pack(">H", code) + reason)


class Client:
    def __init__(self, port, path="/", offer=""):
        """`offer` is what of extensions is offered, which is declined."""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        key = base64.b64encode(os.urandom(16)).decode()
        extensions = f"Sec-WebSocket-Extensions: {offer}\r\n" if offer else ""
        self.send(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{extensions}\r\n".encode()
        )
        while b"\r\n\r\n" not in self.buffer:
            self._receive()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 101 "), head
        accept = base64.b64encode(
            hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        )
        assert b"sec-websocket-accept: " + accept.lower() in head.lower()
        assert b"sec-websocket-extensions" not in head.lower()

    def send(self, data):
        self.socket.sendall(data)

    def chop(self, data, size=1):
        for start in range(0, len(data), size):
            self.send(data[start : start + size])

    def _receive(self):
        data = self.socket.recv(1 << 16)
        if not data:
            raise EOFError
        self.buffer += data

    def read(self):
        """The next frame: opcode and payload; the server's frames are whole and not masked."""
        self._need(2)
        first, second = self.buffer[0], self.buffer[1]
        assert first & 0xF0 == 0x80 and second & 0x80 == 0, "a whole frame without a mask"
        start, size = 2, second
        if second == 126:
            self._need(4)
            start, size = 4, struct.unpack(">H", self.buffer[2:4])[0]
        elif second == 127:
            self._need(10)
            start, size = 10, struct.unpack(">Q", self.buffer[2:10])[0]
        self._need(start + size)
        payload, self.buffer = self.buffer[start : start + size], self.buffer[start + size :]
        return first & 0x0F, payload

    def _need(self, count):
        chunks, have = [self.buffer], len(self.buffer)
        while have < count:
            data = self.socket.recv(1 << 18)
            if not data:
                raise EOFError
            chunks.append(data)
            have += len(data)
        self.buffer = b"".join(chunks)

    def expect(self, opcode, payload):
        assert self.read() == (opcode, payload)

    def expect_close(self, code):
        """The server closes with that code (`None`: without one), then ends the connection."""
        opcode, payload = self.read()
        assert opcode == CLOSE, f"expected a close frame, got {opcode} {payload[:40]!r}"
        assert payload[:2] == (b"" if code is None else struct.pack(">H", code)), payload
        payload[2:].decode()
        with pytest.raises(EOFError):
            self.read()
        self.socket.close()
