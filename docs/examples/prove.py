"""Signs what a device signs: prove.py PRIVATE_KEY PURPOSE ORIGIN CHANNEL SENDER_ID SIGNED_AT NONCE

Without arguments it checks itself against the test vectors of docs/device-developers.md. Needs `cryptography`.
"""

import base64
import json
import sys

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# The private key of RFC 8032 §7.1, test 1.
PRIVATE_KEY = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
NONCE = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
VECTORS = [
    (
        ("pair", "https://nodes.example.org", "web", "tablet-reception-01", "1767225600000"),
        "z-dD9LnIyrHOzCbnMZoeyW-_217XpodN8pIn-AnfDuyiwKUiJlG0sPuBoZv7o9oTCWvJ63TIjyTlupZfH9HUCA",
    ),
    (
        ("status", "http://127.0.0.1:8080", "mobile", "F81D4FAE-7DEC", "1767225600001"),
        "uxI7a7dGa11qw1xmOl0JgcYNDYEdfSJy20xNKSYLKj2RvUBbyk6npsVni0t9NtX_eMbdfxAJn_mDZX4eArYQAg",
    ),
    (
        ("connect", "https://nodes.example.org:8443", "iot", "pump:7@hall", "1767225600002"),
        "YRIfwSWwNVVtGSsIbvqd6o3hElmmtHpHouJPQfeUUSCV9HLhlIYAKuwLKxTuReS7LA9sp2sCwwZdyemL-MK6DQ",
    ),
]


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def prove(private_key: str, purpose: str, origin: str, channel: str, sender_id: str, signed_at: str, nonce: str) -> dict:
    key = Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(private_key + "="))
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    text = "|".join(("nodes-v1", purpose, origin, channel, sender_id, base64url(raw), signed_at, nonce))
    return {"publicKey": base64url(raw), "text": text, "signature": base64url(key.sign(text.encode()))}


if __name__ == "__main__":
    if len(sys.argv) == 8:
        print(json.dumps(prove(*sys.argv[1:]), indent=2))
    else:
        for fields, signature in VECTORS:
            assert prove(PRIVATE_KEY, *fields, NONCE)["signature"] == signature, fields
        print(f"{len(VECTORS)} test vectors agree")
