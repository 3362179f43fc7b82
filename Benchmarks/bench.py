"""What `make bench` measures. Every figure is printed with a peer's of the same run, as a ratio where it has one."""

import argparse
import asyncio
import hashlib
import os
import pathlib
import platform
import re
import resource
import secrets
import select
import statistics
import subprocess
import sys
import time

import psycopg2

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "Tests" / "system"))

from support.deployment import Deployment, deployed, eventually  # noqa: E402
from support.device import base64url  # noqa: E402

from dialects import dialects  # noqa: E402
from messages import fill, pushes, throughput  # noqa: E402
from strangers import strangers  # noqa: E402
from streaming import Agent, streaming  # noqa: E402
from wire import close_all, open_all  # noqa: E402

ROOMY = {
    "gateway": {
        "sockets": 20_000,
        "unauthenticated_sockets": 19_000,
        "unauthenticated_sockets_per_address": 19_000,
        "signatures_per_second": 100_000,
        "frames_per_second": 10_000,
        "frames_burst": 100_000,
        "shutdown_spread": "0s",
    },
    "log": {"level": "warning"},
}


def describe_machine() -> None:
    model = next(
        (line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown"
    )
    memory = re.search(r"MemTotal:\s+(\d+)", open("/proc/meminfo").read())
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    print(f"machine: {os.cpu_count()} cores ({model}), {int(memory[1]) // 1024} MiB, Linux {platform.release()}")
    print(f"         open files of a process: {files}; load and servers share these cores\n")


def seed(nodes: Deployment, count: int, prefix: str) -> list[tuple[str, str]]:
    """Paired devices, straight into the database: each with a token, as an approval would have left it."""
    devices = [(f"{prefix}-{index:06d}", secrets.token_bytes(32)) for index in range(count)]
    store(nodes, devices)
    return [(name, base64url(token)) for name, token in devices]


def store(nodes: Deployment, devices: list[tuple[str, bytes]], channel: str = "web", metadata: str = "{}") -> None:
    """The same for devices whose tokens are there already."""
    with psycopg2.connect(nodes.database_url) as connection, connection.cursor() as cursor:
        cursor.execute(
            """
            WITH device AS (SELECT * FROM unnest(%s::text[], %s::bytea[]) AS d (sender_id, token_hash)),
            stream AS (INSERT INTO device_streams (sender_key, generation, active)
                SELECT sender_id, 1, true FROM device)
            INSERT INTO paired_devices (request_id, sender_key, sender_id, channel, generation, token_hash,
                display_name, metadata, detail_labels, detail_values, paired_at, paired_by)
            SELECT gen_random_uuid(), sender_id, sender_id, %s, 1, token_hash, 'Bench ' || sender_id, %s,
                '{}', '{}', clock_timestamp() - random() * interval '90 days', 'admin' FROM device
            """,
            (
                [name for name, _ in devices], [hashlib.sha256(token).digest() for _, token in devices],
                channel, metadata,
            ),
        )
    nodes.rows("ANALYZE")


def connects(devices: list[tuple[str, str]]) -> list[dict]:
    return [
        {
            "type": "req", "id": "1", "method": "connect",
            "params": {"channel": "web", "senderId": name, "deviceToken": token},
        }
        for name, token in devices
    ]


def resident(pid: int) -> int:
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024


def settled(pid: int) -> int:
    """The resident size, once it has stopped changing."""
    last = resident(pid)
    while True:
        time.sleep(2)
        now = resident(pid)
        if abs(now - last) < 256 * 1024:
            return now
        last = now


async def memory_and_connects(nodes: Deployment, devices: list[tuple[str, str]]) -> None:
    host = nodes.origin.split("://", 1)[1]
    port = nodes.direct_ports[0]
    gateway = nodes.gateways[0].pid
    # A few first, so that what any traffic allocates once is not counted as the devices'.
    warm, _ = await open_all(port, host, connects(devices[:50]), 10)
    await close_all(warm)
    none = settled(gateway)
    clients, seconds = await open_all(port, host, connects(devices), 64)
    many = settled(gateway)
    print(f"resident bytes per idle authenticated device: {(many - none) / len(clients):,.0f}")
    print(f"  one gateway: {none / 2**20:.1f} MiB with none, {many / 2**20:.1f} MiB with {len(clients):,}")
    await close_all(clients)
    await asyncio.sleep(2)

    rates = {}
    for name, requests in (
        ("connect", connects(devices[:4000])),
        ("health", [{"type": "req", "id": "1", "method": "health", "params": {}}] * 4000),
    ):
        runs = []
        for _ in range(3):
            clients, seconds = await open_all(nodes.port, host, requests, 64)
            runs.append(len(clients) / seconds)
            await close_all(clients)
            await asyncio.sleep(1)
        rates[name] = statistics.median(runs)
        print(f"{name}: {rates[name]:,.0f} sockets a second through nginx ({', '.join(f'{r:,.0f}' for r in runs)})")
    print(f"  an authenticated connect runs at {rates['connect'] / rates['health']:.2f} of a bare upgrade with health")


class Notification:
    """The peer of a revocation: a commit that notifies, and the LISTEN that hears it."""

    def __init__(self, nodes: Deployment) -> None:
        self.listener, sender = nodes.db(), nodes.db()
        self.listener.cursor().execute("LISTEN peer")
        self.cursor = sender.cursor()
        self.cursor.execute("CREATE TABLE peer (n int)")

    def milliseconds(self) -> float:
        started = time.perf_counter()
        self.cursor.execute("WITH x AS (INSERT INTO peer VALUES (1)) SELECT pg_notify('peer', '')")
        while not self.listener.notifies:
            select.select([self.listener], [], [], 1)
            self.listener.poll()
        self.listener.notifies.clear()
        return (time.perf_counter() - started) * 1000

    def close(self) -> None:
        self.cursor.execute("DROP TABLE peer")


def processor_time() -> tuple[int, int]:
    """What the hypervisor kept for others of these processors' time, and all of it, in ticks."""
    ticks = [int(tick) for tick in open("/proc/stat").readline().split()[1:9]]
    return ticks[7], sum(ticks)


def quantiles(samples: list[float]) -> tuple[float, float, float]:
    """Median, 99th percentile and worst."""
    ordered = sorted(samples)
    return statistics.median(ordered), ordered[int(len(ordered) * 0.99)], ordered[-1]


async def revocations(nodes: Deployment, devices: list[tuple[str, str]]) -> None:
    peer = Notification(nodes)
    host = nodes.origin.split("://", 1)[1]
    clients, _ = await open_all(nodes.direct_ports[1], host, connects(devices), 64)
    session = nodes.administrator(0)
    token = session.csrf_token
    body = f"csrf_token={token}&generation=1".encode()
    cookie = "; ".join(f"{name}={value}" for name, value in session.cookies.items())
    reader, writer = await asyncio.open_connection("127.0.0.1", nodes.direct_ports[0])
    samples, answers, bare = [], [], []
    stolen, ticks = processor_time()
    for (name, _), client in list(zip(devices, clients))[:500]:
        bare.append(peer.milliseconds())
        head = (
            f"POST /nodes/devices/{name}/revoke HTTP/1.1\r\nHost: {host}\r\nOrigin: {nodes.origin}\r\n"
            f"Sec-Fetch-Site: same-origin\r\nCookie: {cookie}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        started = time.perf_counter()
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        answered = time.perf_counter()
        assert b" 303 " in answer.split(b"\r\n", 1)[0], answer
        length = re.search(rb"(?i)content-length: (\d+)", answer)
        if length:
            await reader.readexactly(int(length[1]))
        else:
            while int((await reader.readline()).strip() or b"0", 16):
                pass
            await reader.readline()
        at, code = await asyncio.wait_for(client.closed, 10)
        assert code == 4001, code
        samples.append((at - started) * 1000)
        answers.append((answered - started) * 1000)
    stolen, ticks = (now - before for now, before in zip(processor_time(), (stolen, ticks)))
    writer.close()
    peer.close()
    median, p99, worst = quantiles(samples)
    print(
        f"revocation, POST to close frame on the other gateway, {len(clients):,} devices connected: "
        f"median {median:.2f} ms, 99th percentile {p99:.2f} ms, worst {worst:.2f} ms of {len(samples)}"
    )
    answered, answered_p99, _ = quantiles(answers)
    print(f"  the POST itself is answered after {answered:.2f} ms (median), {answered_p99:.2f} ms (99th percentile)")
    bare_median, bare_p99, _ = quantiles(bare)
    print(
        f"  a bare commit with NOTIFY, before each: {bare_median:.2f} ms (median), {bare_p99:.2f} ms (99th percentile); "
        f"the revocation takes {median / bare_median:.1f} and {p99 / bare_p99:.1f} times that"
    )
    print(f"  meanwhile the hypervisor kept {stolen / ticks:.0%} of the processors' time for others")
    await close_all(clients)


def channels(nodes: Deployment) -> None:
    """What plugins cost: calls, sessions, and their size."""
    program = nodes.binaries / "channel-benchmark"
    folder = nodes.state / "channels"
    echo = ROOT / "Plugins" / "Examples" / "c-echo" / "echo.c"
    library = nodes.state / "echo.so"
    headers = ROOT / "Sources" / "CGoClawChannel" / "include"
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", f"-I{headers}", echo, "-o", library], check=True)
    subprocess.run([ROOT / "scripts" / "install-channels", folder, library], check=True, stdout=subprocess.DEVNULL)

    def figures(*arguments) -> dict[str, float]:
        shown = subprocess.run([program, *arguments], capture_output=True, text=True, check=True).stdout
        return {name: float(value) for name, value in (line.split() for line in shown.splitlines())}

    calls = figures("calls", folder)
    for name, what in (("pass", "passes it on"), ("decode", "decodes it and passes it on")):
        through, direct = calls[f"{name}_through_abi_ns"], calls[f"{name}_direct_ns"]
        print(
            f"receive of a 200-byte message by a channel that {what}: {through:,.0f} ns through the ABI and ChannelKit, "
            f"{direct:,.0f} ns as a Swift call: {through - direct:,.0f} ns more, {through / direct:.2f} of it"
        )
    print(
        f"hand-over to a channel's thread and back, `web`, decoding included: {calls['hand_over_alone_us']:.1f} us alone, "
        f"{calls['hand_over_in_batches_us']:.1f} us each in batches of 64; a bare queue takes {calls['bare_queue_us']:.1f} us"
    )
    sessions = {name: figures("sessions", folder, name)["session_bytes"] for name in ("echo", "web", "mobile", "iot")}
    base = sessions.pop("echo")
    print(
        "memory a session: "
        + ", ".join(f"{name} adds {size - base:,.0f} bytes" for name, size in sessions.items())
        + f" to the host's own {base:,.0f} (which a C channel without session functions has)"
    )
    for name in ("web", "mobile", "iot"):
        stripped = nodes.state / f"{name}.stripped"
        subprocess.run(["strip", "-o", stripped, folder / f"{name}.so"], check=True)
        print(f"  {name}.so: {stripped.stat().st_size // 1024} KiB stripped")


def wrk(nodes: Deployment, path: str, cookie: str, connections: int, seconds: int) -> tuple[float, str]:
    shown = subprocess.run(
        [
            "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-H", f"Cookie: {cookie}",
            f"{nodes.origin}{path}",
        ],
        capture_output=True, text=True, check=True,
    ).stdout
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", shown)
    errors = re.search(r"Socket errors: (.*)", shown)
    latency = re.search(r"99%\s+(\S+)", shown)[1]
    return (
        float(re.search(r"Requests/sec:\s+([\d.]+)", shown)[1]),
        f"99% within {latency}, {failed[1] if failed else 0} answers other than 2xx or 3xx"
        + (f", socket errors: {errors[1]}" if errors else ""),
    )


def pages(nodes: Deployment) -> None:
    session = nodes.administrator()
    cookie = "; ".join(f"{name}={value}" for name, value in session.cookies.items())
    total = nodes.rows("SELECT count(*) FROM paired_devices WHERE state = 'active'")[0][0]
    rate, facts = wrk(nodes, "/nodes", cookie, 8, 10)
    print(f"/nodes, signed in, {total:,} paired devices: {rate:,.0f} pages a second with 8 readers; {facts}")
    peer, _ = wrk(nodes, "/login", "", 8, 5)
    print(f"  /login, which asks the database nothing: {peer:,.0f} a second; /nodes runs at {rate / peer:.2f} of that")
    rate, facts = wrk(nodes, "/nodes", cookie, 64, 10)
    print(f"/nodes, burst of 64 concurrent readers: {rate:,.0f} pages a second; {facts}")


async def streams(count: int) -> None:
    agent = Agent()
    server, url = await agent.serve()
    settings = {
        **ROOMY,
        "agents": {"stream": {"type": "openai", "url": url, "model": "m", "concurrency": count}},
        "channels": {"default_agents": {"web": "stream"}},
    }
    with deployed(settings=settings) as nodes:
        await streaming(nodes, agent, connects(seed(nodes, count, "stream")))
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures a release build on this machine.")
    parser.add_argument("--devices", type=int, default=8000, help="idle devices on one gateway (8000)")
    parser.add_argument("--rows", type=int, default=100_000, help="paired devices in the database (100000)")
    parser.add_argument(
        "--stored", type=int, default=1_000_000, help="messages that are stored when messages are measured again (1000000)"
    )
    parser.add_argument("--streams", type=int, default=200, help="devices that are answered at once (200)")
    parser.add_argument(
        "--only",
        choices=["devices", "messages", "dialects", "revocations", "pages", "channels", "strangers", "streaming"],
        help="measure that alone",
    )
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    describe_machine()

    def wants(part: str) -> bool:
        return options.only in (None, part)

    with deployed(settings=ROOMY) as nodes:
        if wants("devices"):
            asyncio.run(memory_and_connects(nodes, seed(nodes, options.devices, "bench")))
        if wants("messages"):
            senders = seed(nodes, 64, "sender")
            asyncio.run(throughput(nodes, connects(senders), "none"))
            fill(nodes, [name for name, _ in senders], options.stored)
            asyncio.run(throughput(nodes, connects(senders), f"{options.stored:,}"))
            asyncio.run(pushes(nodes, connects(seed(nodes, 1, "receiver"))[0]))
        if wants("dialects"):
            asyncio.run(dialects(nodes, store, max(64, options.devices // 8), 6))
        if wants("revocations"):
            asyncio.run(revocations(nodes, seed(nodes, 2000, "revoked")))
        if wants("pages"):
            present = nodes.rows("SELECT count(*) FROM paired_devices WHERE state = 'active'")[0][0]
            seed(nodes, options.rows - present, "row")
            pages(nodes)
        if wants("channels"):
            channels(nodes)
    if wants("strangers"):
        strangers()
    if wants("streaming"):
        asyncio.run(streams(options.streams))


if __name__ == "__main__":
    main()
