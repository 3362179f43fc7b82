#!/usr/bin/env python3
"""How many pages a second one kernel renders, and what a page costs it: `/nodes`, signed in, with full lists.

    NODES_BINARIES=FOLDER python3 Benchmarks/pages.py [--seconds 5] [--readers 4] [--devices 10000]

The processor time is the kernel's own, by /proc, so it says more than the rate where the machine does other things.
"""

import argparse
import http.client
import os
import pathlib
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "Tests/system"))

from support.deployment import deployed  # noqa: E402

FILL = """
INSERT INTO paired_devices (request_id, sender_key, sender_id, channel, generation, token_hash, display_name, metadata,
    detail_labels, detail_values, paired_at, paired_by)
SELECT gen_random_uuid(), 'device-' || n, 'device-' || n, 'web', 1, sha256(n::text::bytea), 'Tablet ' || n, '{}',
    '{Browser}', '{Chromium}', now() - n * interval '1 second', 'admin'
FROM generate_series(1, %s) AS n;
INSERT INTO pairing_requests (sender_key, sender_id, channel, code, token_hash, display_name, metadata, detail_labels,
    detail_values, address, created_at, expires_at)
SELECT 'asking-' || n, 'asking-' || n, 'web', 'ABCDEF' || chr(65 + n / 8) || (2 + n %% 8), sha256(n::text::bytea),
    'Tablet', '{}', '{Browser}', '{Chromium}', '192.0.2.7', now(), now() + interval '1 hour'
FROM generate_series(0, 49) AS n;
"""


def processor_time(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--readers", type=int, default=4)
    parser.add_argument("--devices", type=int, default=10_000)
    options = parser.parse_args()
    with deployed(gateways=1, kernels=1) as nodes:
        nodes.rows(FILL, options.devices)
        nodes.rows("ANALYZE")
        administrator = nodes.administrator()
        headers = {
            "Host": administrator.host,
            "Cookie": "; ".join(f"{name}={value}" for name, value in administrator.cookies.items()),
        }
        pid = next(process for process in nodes.processes if process.name == "kernel-0").pid
        latencies: list[float] = []
        size = 0
        ends_at = 0.0

        def read() -> None:
            nonlocal size
            connection = http.client.HTTPConnection("127.0.0.1", nodes.port)
            while (began := time.monotonic()) < ends_at:
                connection.request("GET", "/nodes", headers=headers)
                answer = connection.getresponse()
                body = answer.read()
                assert answer.status == 200 and b"device-25" in body and b"asking-" in body
                latencies.append(time.monotonic() - began)
                size = len(body)

        for measured in (False, True):
            latencies.clear()
            ends_at = time.monotonic() + (options.seconds if measured else 1)
            spent, began = processor_time(pid), time.monotonic()
            readers = [threading.Thread(target=read) for _ in range(options.readers)]
            for reader in readers:
                reader.start()
            for reader in readers:
                reader.join()
            spent, elapsed = processor_time(pid) - spent, time.monotonic() - began
        latencies.sort()
        count = len(latencies)
        print(f"{count / elapsed:8.0f} pages/s, {size} bytes each, {options.readers} readers")
        print(f"{1000 * spent / count:8.3f} ms of the kernel's processor time a page")
        print(f"{1000 * latencies[count // 2]:8.2f} ms median, {1000 * latencies[count * 99 // 100]:.2f} ms 99th percentile")


if __name__ == "__main__":
    main()
