"""Asks an agent over HTTP: ask.py URL STATE_FILE TEXT

    python3 ask.py http://127.0.0.1:8080 tablet.json Is the door shut?

Needs Python 3.10 and nothing else. STATE_FILE is that of device.py, whose device was paired with --token; its token is
the key. The answer is printed while it comes. A connection that breaks is repeated under the same name, so that the
agent is asked once.
"""

import json
import pathlib
import secrets
import sys
import time
import urllib.error
import urllib.request


def ask(url: str, token: str, text: str, name: str) -> None:
    """Prints the answer; raises what `urllib` raises, and `RuntimeError` where the server says that it failed."""
    body = {"model": "default", "messages": [{"role": "user", "content": text}], "stream": True}
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Idempotency-Key": name}
    request = urllib.request.Request(f"{url}/v1/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        for line in answer:
            if not line.startswith(b"data: "):
                continue
            data = line[len("data: "):].strip()
            if data == b"[DONE]":
                return print()
            event = json.loads(data)
            if "error" in event:
                raise RuntimeError(event["error"]["message"])
            print(event["choices"][0]["delta"].get("content") or "", end="", flush=True)
    raise ConnectionError("the stream ended before the answer did")


def main(url: str, state: str, *words: str) -> None:
    token = json.loads(pathlib.Path(state).read_text())["token"]
    name = secrets.token_urlsafe(16)
    for attempt in range(5):
        try:
            return ask(url, token, " ".join(words), name)
        except urllib.error.HTTPError as refusal:
            error = json.loads(refusal.read())["error"]
            wait = refusal.headers.get("Retry-After")
            if refusal.code not in (429, 502, 503) or wait is None:
                sys.exit(f"{refusal.code} {error['code']}: {error['message']}")
            time.sleep(int(wait))
        except RuntimeError as failure:
            sys.exit(f"\n{failure}")
        except (ConnectionError, TimeoutError, urllib.error.URLError) as failure:
            print(f"\n{failure}; asking again", file=sys.stderr)
            time.sleep(2**attempt)
    sys.exit("no answer")


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
