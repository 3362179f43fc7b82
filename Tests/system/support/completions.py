"""Devices that speak HTTP: OpenAI's own client, and requests put together by hand."""

import http.client
import json
import threading

import openai

from .device import PATIENCE, TokenCredential


def client(nodes, token: str, gateway: int | None = None, **options) -> openai.OpenAI:
    """OpenAI's client as a device would set it up; it repeats nothing by itself unless told to."""
    headers = {}
    base = nodes.origin
    if gateway is not None:
        headers["Host"] = nodes.origin.split("://")[1]
        base = f"http://127.0.0.1:{nodes.direct_ports[gateway]}"
    return openai.OpenAI(
        api_key=token, base_url=f"{base}/v1", default_headers=headers,
        **{"max_retries": 0, "timeout": PATIENCE, **options},
    )  # fmt: skip


def say(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


class Request:
    """One request by hand, to a gateway's own port or to nginx."""

    def __init__(self, nodes, method: str, path: str, body=None, *, gateway: int | None = None, **headers) -> None:
        port = nodes.direct_ports[gateway] if gateway is not None else int(nodes.origin.rsplit(":", 1)[1])
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        self.connection.request(
            method, path, data, {"Host": nodes.origin.split("://")[1], "Content-Type": "application/json", **headers}
        )

    def answer(self) -> tuple[int, dict, bytes]:
        """The status, the header fields and the body."""
        response = self.connection.getresponse()
        return response.status, dict(response.headers), response.read()

    def error(self) -> tuple[int, dict]:
        status, _, body = self.answer()
        return status, json.loads(body)["error"]

    def cut(self) -> None:
        """Ends the connection without a word."""
        self.connection.sock.close()
        self.connection.close()


def complete(nodes, token: str | None, body, **options) -> Request:
    authorization = {} if token is None else {"Authorization": f"Bearer {token}"}
    return Request(nodes, "POST", "/v1/chat/completions", body, **authorization, **options)


def paired(nodes, administrator, agents=("words", "steps", "echo"), **options):
    """A paired device with a token, without a socket, that may name every agent."""
    device = nodes.device(credential=TokenCredential())
    device.pair(administrator, **options)
    device.close()
    nodes.nodesctl("devices", "set-agent", device.sender_id, *agents)
    return device


class Steps:
    """An agent's answer that is streamed word by word, each when the test says so."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self._steps = [threading.Event() for _ in words]
        self.ended = threading.Event()
        self.was_cut = False

    def go(self, upto: int | None = None) -> None:
        for step in self._steps[:upto]:
            step.set()

    def __call__(self, handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        handler.close_connection = True
        try:
            for word, step in zip(self.words, self._steps):
                while not step.wait(0.05):
                    # A comment: fails once the other side is gone.
                    handler.wfile.write(b": \n\n")
                event = json.dumps({"choices": [{"index": 0, "delta": {"content": word}}]})
                handler.wfile.write(f"data: {event}\n\n".encode())
            handler.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            self.was_cut = True
        finally:
            self.ended.set()
