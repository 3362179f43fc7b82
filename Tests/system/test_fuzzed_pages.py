"""Paths, query strings, forms and cookies at random, seeded: an answer each, soon, without a failure and without markup.

`make test` sends some; `FUZZ_PAGES=100000` sends as many, and `FUZZ_SEED` repeats what a failure names.
"""

import http.client
import os
import random
import re
import socket
import time
import urllib.parse

import pytest
from support.administrator import Administrator
from support.deployment import ADMINISTRATOR, PASSWORD, Deployment
from support.device import Refused

COUNT = int(os.environ.get("FUZZ_PAGES", "1000"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
# A page takes milliseconds; this is for a machine on which everything is tested at once.
SLOW = 10
MARK = "<zz onload=1>"
SPICE = [
    MARK, f"\"'>{MARK}", "%3Czz%3E", "<script>alert(1)</script>", "javascript:alert(1)", "\0", "%00", "%", "%zz", "%c3%28",
    "%ed%a0%80", "%F0%9F%98%80", "ü", "\u202e", "\ufeff", "'", "' OR 1=1--", "\\", "/", "//evil.example", "..", "../..",
    "%2f", "%2e%2e%2f", ";", "&", "&&", "=", "#", "?", "+", " ", "\t", "[]", "{}", "{{csrfToken}}", "null", "true", "-1",
    "0", "1e999", "9223372036854775808", "99999999999999999999999999", "2026-13-45", "a" * 300, "A" * 5000, "\x7f", "\x1b[2J",
]  # fmt: skip
FIELDS = {
    "q": ["tablet", "name", "ABCD-EFGH"], "channel": ["web", "iot"], "connected": ["yes", "no"], "agent": ["echo"],
    "paired": ["today", "over-30d"], "by": ["admin"], "sort": ["name", "-seen"], "after": ["x"], "before": ["x"],
    "requests": ["x"], "devices": ["x"], "next": ["/nodes", "//evil.example"], "what": ["devices", "requests", "audit"],
    "format": ["csv", "json"], "step": ["code", "passkey"], "notice": ["approved"], "event": ["pairing.approved"],
    "from": ["2026-01-01"], "until": ["2026-12-31"], "actor": ["admin"], "address": ["127.0.0.1"], "code": ["ABCD-EFGH"],
    "generation": ["1", "2"], "reason": ["lost"], "decision": ["approve", "deny", "revoke"], "window": ["always"],
    "label": ["Hall"], "note": ["x"], "expiry": ["never", "30d"], "username": ["eve"], "role": ["viewer"],
    "new_password": ["x"], "url": ["https://hooks.example.org/x"], "events": ["*"], "session": ["1"], "name": ["key"],
    "sender": ["kiosk-1"], "lifetime": ["1d"], "count": ["3"], "credential": ["AAAA"], "client_data": ["e30"],
    "authenticator_data": ["AAAA"], "signature": ["AAAA"], "user_handle": ["AAAA"], "attestation": ["oA"], "password": ["guessed"],
    "passkey": ["00000000-0000-4000-8000-000000000000"], "show": ["text"],
    "action": ["end-session", "offer-codes", "stop-codes", "add-passkey", "rename-passkey", "remove-passkey", "passkey",
               "clear", "withdraw", "test", "rotate", "disable", "role"],
}  # fmt: skip


class Generator:
    """Requests, the same for the same seed."""

    def __init__(self, seed: str, paths: list[str], csrf: str, cookies: str) -> None:
        self.random = random.Random(seed)
        self.paths = paths
        self.csrf, self.cookies = csrf, cookies

    def damaged(self, text: str, most: int = 3) -> str:
        for _ in range(self.random.choice([0, 0, 1, most])):
            place, end = sorted(self.random.randint(0, len(text)) for _ in range(2))
            match self.random.randrange(4):
                case 0:
                    text = text[:place] + self.random.choice(SPICE) + text[place:]
                case 1:
                    text = text[:place] + text[min(end, place + 8):]
                case 2:
                    text = text[:place] + chr(self.random.randrange(1, 0x300)) + text[place + 1 :]
                case _:
                    text = text[:place] + text[place:end] + text[place:]
        return text

    def fields(self) -> str:
        names = self.random.sample(list(FIELDS), self.random.randrange(6))
        pairs = [(self.damaged(name, 1), self.damaged(self.random.choice(FIELDS[name]))) for name in names]
        if self.random.random() < 0.5:
            return urllib.parse.urlencode(pairs)
        return "&".join(f"{name}={value}" for name, value in pairs)

    def request(self) -> bytes:
        path = self.random.choice(self.paths)
        # A sign-in takes longer than a hundred pages: whoever leads there leads there less often.
        if path == "/logout" and self.random.random() < 0.9:
            path = "/nodes"
        if self.random.random() < 0.25:
            path = self.damaged(path)
        query, body = self.fields(), b""
        target = path + ("?" + query if query and self.random.random() < 0.6 else "")
        # A target ends where a blank or a control character is: the rest would be another header.
        target = re.sub(r"[\0-\x20\x7f]", "", target) or "/"
        cookies = self.cookies if self.random.random() < 0.7 else self.damaged(self.cookies)
        lines = [f"Host: {HOST}", "Cookie: " + re.sub(r"[\r\n\0]", "", cookies)]
        method = self.random.choice(["GET", "GET", "POST", "POST", "HEAD"])
        if method == "POST":
            token = self.csrf if self.random.random() < 0.8 else self.damaged(self.csrf)
            body = f"csrf_token={token}&{self.fields()}".encode("utf-8", "surrogatepass")
            lines += [
                f"Origin: http://{HOST}", "Content-Type: application/x-www-form-urlencoded",
                f"Content-Length: {len(body)}",
            ]  # fmt: skip
        head = "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""])
        return head.encode("utf-8", "surrogatepass") + body


HOST = ""


class Wire:
    """One connection, opened anew where the server ended it."""

    def __init__(self, port: int) -> None:
        self.port, self.socket = port, None

    def exchange(self, request: bytes) -> tuple[int, http.client.HTTPMessage, bytes, float]:
        for _ in range(3):
            began = time.monotonic()
            try:
                self.socket = self.socket or socket.create_connection(("127.0.0.1", self.port), timeout=60)
                self.socket.sendall(request)
                answer = http.client.HTTPResponse(self.socket, method=request.split(b" ", 1)[0].decode())
                answer.begin()
                body = answer.read()
            except (ConnectionError, http.client.RemoteDisconnected):
                # It was closed while this was on its way, as a server may (RFC 9112 §9.6).
                self.close()
                continue
            took = time.monotonic() - began
            if answer.will_close:
                self.close()
            return answer.status, answer.headers, body, took
        raise AssertionError(f"no answer to {request[:400]!r}")

    def close(self) -> None:
        if self.socket:
            self.socket.close()
        self.socket = None


def test_whatever_is_asked_of_the_pages_is_answered_soon_without_a_failure_and_without_markup(
    nodes: Deployment, administrator: Administrator
):
    global HOST
    HOST = administrator.host
    hostile = "\"><script>alert(1)</script>" + MARK
    waiting, paired = nodes.device(), nodes.device()
    told = {"displayName": hostile, "metadata": {"userAgent": hostile, "platform": hostile}}
    request = waiting.ask(**told)
    decided = paired.ask(**told)
    administrator.approve(decided["requestId"], decided["code"])
    with pytest.raises(Refused):
        nodes.device(sender_id=waiting.sender_id).ask(**told)
    requests, device = f"/nodes/requests/{request['requestId']}", f"/nodes/devices/{paired.sender_id}"
    paths = [
        "/", "/login", "/logout", "/nodes", "/nodes/", "/nodes/requests", "/nodes/export", "/nodes/selection",
        "/nodes/window", "/nodes/invitations", f"{requests}/approve", f"{requests}/deny", device, f"{device}/revoke",
        "/channels", "/agents", "/account", "/accounts", "/accounts/admin", "/accounts/admin/remove", "/hooks", "/audit",
        "/hooks/00000000-0000-4000-8000-000000000000", "/device", "/static/pages.css",
    ]  # fmt: skip
    # Guessed passwords lock out who guesses, and that is another test's.
    nodes.rows("DELETE FROM sign_in_failures")
    wire, session = Wire(administrator.port), administrator.cookie_name("session")
    times, statuses, person = [], {}, administrator

    def generator(part: int) -> Generator:
        cookies = "; ".join(f"{name}={value}" for name, value in person.cookies.items())
        return Generator(f"{SEED}/{part}", paths, person.csrf_token, cookies)

    source, has_signed_out = generator(0), False
    for number in range(COUNT):
        if number % 10_000 == 9999:
            print(f"{number + 1} requests: {dict(sorted(statuses.items()))}, slowest {max(times) * 1000:.0f} ms", flush=True)
        if number % 500 == 499 or has_signed_out:
            # Some of it changed what the account may, or signed out: the rest is to reach the pages again.
            nodes.rows("UPDATE admins SET role = 'administrator', disabled_at = NULL WHERE username = %s", ADMINISTRATOR)
            nodes.rows("DELETE FROM sign_in_failures")
            nodes.rows("DELETE FROM webhooks")
            if person.get("/nodes").status != 200:
                person = Administrator(nodes.origin).sign_in(ADMINISTRATOR, PASSWORD)
            source = generator(number)
        sent = source.request()
        status, headers, body, took = wire.exchange(sent)
        what = f"FUZZ_SEED={SEED}, request {number}: {sent[:2000]!r}\n{status}: {body[:2000]!r}"
        assert status < 500, what
        assert took < SLOW, f"{took:.1f} s, {what}"
        kind = headers.get("Content-Type", "")
        if kind.startswith("text/html"):
            lowered = body.lower()
            assert b"<zz" not in lowered and b"<script>" not in lowered, what
            assert "'none'" in headers.get("Content-Security-Policy", ""), what
        has_signed_out = any(cookie.startswith(f"{session}=;") for cookie in headers.get_all("Set-Cookie") or [])
        times.append(took)
        statuses[status] = statuses.get(status, 0) + 1
    wire.close()
    nodes.rows("UPDATE admins SET role = 'administrator', disabled_at = NULL WHERE username = %s", ADMINISTRATOR)
    nodes.rows("UPDATE pairing_window SET mode = 'always', until = NULL")
    times.sort()
    print(f"{COUNT} requests, seed {SEED}: {dict(sorted(statuses.items()))}; median {times[len(times) // 2] * 1000:.1f} ms,"
          f" 99 % {times[len(times) * 99 // 100] * 1000:.1f} ms, slowest {times[-1] * 1000:.0f} ms")  # fmt: skip
    # Most of it reached the pages.
    assert statuses.get(200, 0) > COUNT / 10 and statuses.get(400, 0) > 0
    # And everything stands.
    assert Administrator(nodes.origin).sign_in(ADMINISTRATOR, PASSWORD).get("/nodes").status == 200
