"""A whole sensor: sensor.py URL SENDER_ID STATE_FILE [--every SECONDS] [--repair]

    python3 sensor.py ws://127.0.0.1:8080/ws sensor-hall-1 sensor.json --every 60

A device of the channel `iot` with an Ed25519 key. It takes a reading each period, connected or not, and sends every one
until it is accepted, under the same `messageId`, also after a restart; and it carries commands out. The rest of it is
device.py, which lies beside this file and says what they need.
"""

import argparse
import json
import pathlib
import random
import secrets
import threading
import time

from device import Device, State, run_to_the_end

# So many readings are kept while there is no connection; then the oldest go.
KEPT = 10_000


class Sensor(Device):
    def __init__(self, url: str, sender_id: str, state: State, period: float, repairs: bool) -> None:
        super().__init__(url, "iot", sender_id, state, [], repairs)
        self.period = period
        self.outbox = state.values.get("outbox", [])
        reading = {"name": "temperature", "unit": "Cel", "type": "number", "periodMs": int(period * 1000)}
        self.metadata = {"model": "Python example", "readings": [reading]}
        self.changing = threading.Lock()
        threading.Thread(target=self.measure, daemon=True).start()

    def measure(self) -> None:
        while True:
            reading = {"temperature": round(random.uniform(20, 25), 1)}
            self.keep(secrets.token_hex(16), {"readings": reading, "at": int(time.time() * 1000)})
            time.sleep(self.period)

    def keep(self, identifier: str, message: dict) -> None:
        with self.changing:
            self.outbox.append({"messageId": identifier, "message": message})
            del self.outbox[:-KEPT]
            self.state.save(outbox=self.outbox)

    def happened(self, event: str, payload: dict) -> None:
        is_new = payload.get("messageSeq", 0) > self.state.values["received"]
        if event == "command" and is_new:
            # The same command again gets the same acknowledgement, which is then one message.
            done = {"type": "ack", "command": payload["message"]["command"], "ok": True}
            self.keep(f"did-{payload['messageSeq']}", done)
        super().happened(event, payload)

    def serve(self) -> None:
        while True:
            while self.outbox:
                message = self.outbox[0]
                self.send(message)
                with self.changing:
                    if message in self.outbox:
                        self.outbox.remove(message)
                    self.state.save(outbox=self.outbox)
            try:
                frame = json.loads(self.socket.recv(timeout=min(self.period, 1)))
            except TimeoutError:
                continue
            if frame["type"] == "event":
                self.happened(frame["event"], frame["payload"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("sender_id")
    parser.add_argument("state", type=pathlib.Path)
    parser.add_argument("--every", type=float, default=60, metavar="SECONDS")
    parser.add_argument("--repair", action="store_true")
    given = parser.parse_args()
    state = State(given.state, uses_token=False)
    run_to_the_end(Sensor(given.url, given.sender_id, state, given.every, given.repair))


if __name__ == "__main__":
    main()
