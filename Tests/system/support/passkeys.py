"""An authenticator in software, which does as it is told: what the browser's refuses to do, too."""

import hashlib
import json
import secrets
import struct

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from .device import base64url


def _head(major: int, count: int) -> bytes:
    if count < 24:
        return bytes([major << 5 | count])
    if count < 256:
        return bytes([major << 5 | 24, count])
    return bytes([major << 5 | 25]) + struct.pack(">H", count)


def cbor(value) -> bytes:
    """RFC 8949, as far as an authenticator writes it."""
    match value:
        case int():
            return _head(0, value) if value >= 0 else _head(1, -1 - value)
        case bytes():
            return _head(2, len(value)) + value
        case str():
            return _head(3, len(value.encode())) + value.encode()
        case dict():
            return _head(5, len(value)) + b"".join(cbor(key) + cbor(item) for key, item in value.items())
    raise TypeError(type(value))


class Authenticator:
    """One passkey. `algorithm` is COSE's number: -7 (ES256), -8 (EdDSA) or -257 (RS256)."""

    PRESENT, VERIFIED, MADE = 0x01, 0x04, 0x40

    def __init__(self, origin: str, algorithm: int = -7) -> None:
        self.origin = origin
        self.algorithm = algorithm
        self.identifier = secrets.token_bytes(32)
        self.user_handle = ""
        self.count = 0
        match algorithm:
            case -7:
                self.key = ec.generate_private_key(ec.SECP256R1())
            case -8:
                self.key = ed25519.Ed25519PrivateKey.generate()
            case _:
                self.key = rsa.generate_private_key(65537, 2048)

    @property
    def host(self) -> str:
        return self.origin.split("://")[1].rsplit(":", 1)[0]

    @property
    def cose(self) -> dict:
        public = self.key.public_key()
        match self.algorithm:
            case -7:
                numbers = public.public_numbers()
                return {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
            case -8:
                return {1: 1, 3: -8, -1: 6, -2: public.public_bytes_raw()}
        numbers = public.public_numbers()
        return {1: 3, 3: -257, -1: numbers.n.to_bytes(256, "big"), -2: numbers.e.to_bytes(3, "big")}

    def _client_data(self, purpose: str, challenge: str, **changes) -> bytes:
        words = {"type": purpose, "challenge": challenge, "origin": self.origin, "crossOrigin": False, **changes}
        return json.dumps(words, separators=(",", ":")).encode()

    def _data(self, flags: int, host: str | None, rest: bytes = b"") -> bytes:
        hashed = hashlib.sha256((host or self.host).encode()).digest()
        return hashed + bytes([flags]) + struct.pack(">I", self.count) + rest

    def make(self, challenge: str, user_handle: str, *, flags: int = 0x45, host: str | None = None, **client) -> dict:
        """What a form sends of a passkey that was made."""
        self.user_handle = user_handle
        made = bytes(16) + struct.pack(">H", len(self.identifier)) + self.identifier + cbor(self.cose)
        attestation = {"fmt": "none", "attStmt": {}, "authData": self._data(flags, host, made)}
        return {
            "client_data": base64url(self._client_data("webauthn.create", challenge, **client)),
            "attestation": base64url(cbor(attestation)),
        }

    def sign(
        self, challenge: str, *, flags: int = 0x05, host: str | None = None, changes: dict | None = None, **client
    ) -> dict:
        """What a form sends of a signature; `changes` are made after it was signed."""
        self.count += 1
        data, words = self._data(flags, host), self._client_data("webauthn.get", challenge, **client)
        message = data + hashlib.sha256(words).digest()
        match self.algorithm:
            case -7:
                signature = self.key.sign(message, ec.ECDSA(hashes.SHA256()))
            case -8:
                signature = self.key.sign(message)
            case _:
                signature = self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        return {
            "credential": base64url(self.identifier),
            "client_data": base64url(words),
            "authenticator_data": base64url(data),
            "signature": base64url(signature),
            "user_handle": self.user_handle,
            **(changes or {}),
        }
