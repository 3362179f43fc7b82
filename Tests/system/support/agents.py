"""Agents as strangers run them: HTTP servers on loopback, from the description of their interfaces alone."""

import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import threading
import time


class Agent:
    """Answers requests in order with the given functions, each of which gets the handler; the last is repeated."""

    def __init__(self, *answers) -> None:
        self.requests: list[tuple[dict, bytes]] = []
        self._answers = list(answers)
        self._lock = threading.Lock()
        agent = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with agent._lock:
                    agent.requests.append((dict(self.headers), body))
                    answer = agent._answers[min(len(agent.requests), len(agent._answers)) - 1]
                self.request_body = body
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    answer(self)

            def log_message(self, *_) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> "Agent":
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()


def respond(handler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def status(code: int, message: str = "", **headers: str):
    """Answers with a status, and what a chat server says of itself then."""
    body = json.dumps({"error": {"message": message}}).encode()
    return lambda handler: respond(handler, code, body, Content_Type="application/json", **headers)


def document(value):
    """Answers with a JSON document."""
    return lambda handler: respond(handler, 200, json.dumps(value).encode(), Content_Type="application/json")


def hang(seconds: float = 60):
    """Answers nothing."""
    return lambda handler: time.sleep(seconds)


def raw(body: bytes, length: int | None = None):
    """Answers with these bytes, and ends the connection; a greater `length` promises more than comes."""

    def answer(handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = True

    return answer


GARBAGE = raw(b"\x00\xff<html>" * 100)
TEN_MEGABYTES = raw(b"data: " + b"x" * (10 << 20))
DIES_HALF_WAY = raw(b'data: {"choices":[{"delta":{"content":"Hel"}}]}\n\n', length=100_000)


def says(text) -> "callable":
    """Streams a chat completion, a word a chunk; `text` may be made from the request's body."""

    def answer(handler) -> None:
        said = text(json.loads(handler.request_body)) if callable(text) else text
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()

        def event(data: str) -> None:
            chunk = f"data: {data}\n\n".encode()
            handler.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")

        for word in said.split(" "):
            event(json.dumps({"choices": [{"index": 0, "delta": {"content": word + " "}}]}))
        event(json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
        event("[DONE]")
        handler.wfile.write(b"0\r\n\r\n")

    return answer


def is_signed(headers: dict, body: bytes, secret: str, now: float | None = None) -> bool:
    """Whether a web hook is signed as Standard Webhooks 1.0.0 describes it."""
    fields = {name.lower(): value for name, value in headers.items()}
    identifier, timestamp = fields["webhook-id"], fields["webhook-timestamp"]
    if abs((time.time() if now is None else now) - int(timestamp)) > 300 or "." in identifier:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    code = hmac.new(key, f"{identifier}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    expected = "v1," + base64.b64encode(code).decode()
    return any(hmac.compare_digest(expected, given) for given in fields["webhook-signature"].split(" "))
