"""What the loss of a host, its disk, its network or etcd does, with devices sending all the time (I3, I4, I5).

Runs in the lab of scripts/lab. Each scenario ends with the account of `make chaos`: what was told to be accepted is
answered, and what was told to be pushed has arrived, each once and in its order.
"""

import argparse
import collections
import contextlib
import json
import os
import pathlib
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import psycopg2

from .administrator import Administrator
from .chaos import Broken, Crowd, Sender
from .deployment import ROOMY, ROOT, binaries, eventually, free_ports
from .device import Device, Socket, TokenCredential

# How long until devices are served again, and until every host is part of it again: the lab's times of Patroni, on a
# machine that does other things as well.
SERVED_WITHIN = 90
WHOLE_WITHIN = 180


class LabDeployment:
    """The lab, with what the devices of `make chaos` need of a deployment."""

    def __init__(self, folder: pathlib.Path, *, asynchronous: bool = False) -> None:
        self.state = folder / "lab"
        settings = folder / "settings.json"
        settings.write_text(json.dumps(ROOMY))
        port = free_ports(1)[0]
        self.lab(
            "up", "--port", str(port), "--settings", str(settings), *(["--asynchronous"] if asynchronous else []),
            timeout=600,
        )  # fmt: skip
        self.origin = f"http://127.0.0.1:{port}"
        self.password = (self.state / "password").read_text().strip()

    def lab(self, *arguments: str, timeout: float = 120) -> str:
        """`scripts/lab …`"""
        done = subprocess.run(
            [str(ROOT / "scripts/lab"), "--state", str(self.state), *arguments],
            env={**os.environ, "NODES_BINARIES": str(binaries())}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip
        if done.returncode != 0:
            raise AssertionError(f"scripts/lab {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def status(self) -> dict[str, dict]:
        return {host["host"]: host for host in json.loads(self.lab("status", "--json"))}

    def primary(self) -> str | None:
        found = [name for name, host in self.status().items() if host["role"] in ("master", "primary")]
        return found[0] if len(found) == 1 else None

    def is_whole(self) -> bool:
        hosts = self.status().values()
        serving = all(host["gateway"] and host["kernel"] and host["etcd"] for host in hosts)
        roles = collections.Counter("primary" if host["role"] in ("master", "primary") else host["role"] for host in hosts)
        if not serving or roles != {"primary": 1, "replica": 2}:
            return False
        with contextlib.suppress(psycopg2.Error):
            return self.rows("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == [(2,)]
        return False

    # What the crowd asks of it.

    def nodesctl(self, *arguments: str, host: str = "front", timeout: float = 120, check: bool = True):
        """`nodesctl`, in a host's network or in front of all."""
        done = subprocess.run(
            [str(ROOT / "scripts/lab"), "--state", str(self.state), "exec", host,
             str(binaries() / "nodesctl"), *arguments],
            env={**os.environ, "NODES_CONFIG": str(self.state / "nodesctl.json")}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stderr
        return done

    def administrator(self) -> Administrator:
        return Administrator(self.origin).sign_in("admin", self.password)

    def socket(self, gateway: None = None, **options) -> Socket:
        return Socket(self.origin, **options)

    def device(self, channel: str = "web", sender_id: str | None = None, credential=None) -> Device:
        return Device(self, channel, sender_id, credential)

    def rows(self, statement: str, *values) -> list[tuple]:
        """Asked of the primary, as PostgreSQL's own account."""
        url = f"host={','.join(str(self.state / name / 'postgres') for name in 'abc')} dbname=nodes user=postgres"
        with contextlib.closing(psycopg2.connect(url + " target_session_attrs=read-write connect_timeout=2")) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
                return cursor.fetchall() if cursor.description else []

    def stop(self, keep: bool) -> None:
        self.lab("down", *(["--keep"] if keep else []))


@contextlib.contextmanager
def lab(*, asynchronous: bool = False):
    """A lab that is gone afterwards; where something was wrong, its logs are kept and named."""
    # Short, for the sockets in it, and open to the accounts of PostgreSQL and nginx.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lab-"))
    folder.chmod(0o755)
    failed = True
    try:
        nodes = LabDeployment(folder, asynchronous=asynchronous)
        try:
            yield nodes
            failed = False
        finally:
            nodes.stop(keep=failed)
    finally:
        if failed:
            print(f"the logs are in {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


class Clock:
    """When acknowledgements came: how long there was none after something was done."""

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.began = time.monotonic()
        self.gaps: list[float] = []
        self.last = self.began
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        known = self.crowd.total("acknowledged")
        while not self.ending.wait(0.05):
            total, now = self.crowd.total("acknowledged"), time.monotonic()
            if total > known:
                self.gaps.append(now - self.last)
                known, self.last = total, now

    def wait_for_service(self) -> float:
        """Until something is acknowledged that was asked for after now; the seconds."""
        start = time.monotonic()
        before = self.crowd.total("acknowledged")
        eventually(
            lambda: self.crowd.total("acknowledged") > before + len(self.crowd.senders) / 2,
            "devices are served again", SERVED_WITHIN,
        )  # fmt: skip
        return time.monotonic() - start

    def stop(self) -> float:
        """The longest time without an acknowledgement."""
        self.ending.set()
        self.thread.join()
        return max([*self.gaps, time.monotonic() - self.last])


def attach(nodes: LabDeployment, crowd: Crowd, host: str) -> list[Sender]:
    """Has a part of the crowd dial that host's own gateway, which no network stands before."""
    attached = crowd.senders[: max(1, len(crowd.senders) // 10)]
    for sender in attached:
        sender.dialling = {
            "unix": True, "path": str(nodes.state / host / "run/gateway.sock"),
            "additional_headers": {"X-Real-IP": "127.0.0.1"},
        }  # fmt: skip
    return attached


# The scenarios: each does its harm and returns what it wants to say. Whoever was harmed is healed afterwards.


def kill_the_primary(nodes: LabDeployment, crowd: Crowd, clock: Clock, primary: str) -> dict:
    nodes.lab("kill", "--postgres", primary)
    eventually(lambda: (nodes.primary() or primary) != primary, "another host is the primary", SERVED_WITHIN)
    clock.wait_for_service()
    return {}


def cut_the_primary_off(nodes: LabDeployment, crowd: Crowd, clock: Clock, primary: str) -> dict:
    device = nodes.device(credential=TokenCredential())
    device.pair(nodes.administrator())
    device.close()
    attached = attach(nodes, crowd, primary)
    own = [sender for sender in crowd.senders if sender in attached]
    attached_at = time.monotonic()
    eventually(
        lambda: all(sender.acknowledged_at > attached_at for sender in own), "those on it are acknowledged", SERVED_WITHIN
    )
    nodes.lab("cut", primary)
    cut_at = time.monotonic()
    # An operator on that host, whose nodesctl reaches that host's PostgreSQL alone.
    revoked = nodes.nodesctl("revoke", device.sender_id, "--yes", host=primary, check=False)
    eventually(lambda: (nodes.primary() or primary) != primary, "another host is the primary", SERVED_WITHIN)
    clock.wait_for_service()
    # That the side that was cut off goes on accepting nothing has no event.
    time.sleep(5)
    latest = max(sender.acknowledged_at for sender in own)
    # What was sent before may have been answered a moment later.
    if latest > cut_at + 1:
        raise Broken(f"{primary} accepted something {latest - cut_at:.1f} s after it was cut off")
    if revoked.returncode == 0:
        raise Broken(f"nodesctl said on {primary}, which was cut off: {revoked.stdout}")
    for sender in own:
        sender.dialling = {}
    state = nodes.rows("SELECT state FROM paired_devices WHERE sender_id = %s", device.sender_id)
    if state != [("active",)]:
        raise Broken(f"what was refused on {primary} was done: {state}")
    return {"attached_to_it": len(own), "last_acknowledged_by_it_after_s": round(max(0.0, latest - cut_at), 2)}


def kill_the_whole_host(nodes: LabDeployment, crowd: Crowd, clock: Clock, primary: str) -> dict:
    nodes.lab("kill", primary)
    killed_at = time.monotonic()
    # Nobody else takes over before Patroni's `ttl` is over.
    eventually(
        lambda: not any(host["gateway"] or host["kernel"] for host in nodes.status().values()),
        "every gateway and kernel says that it is not ready", 15,
    )  # fmt: skip
    red = time.monotonic() - killed_at
    eventually(lambda: (nodes.primary() or primary) != primary, "another host is the primary", SERVED_WITHIN)
    clock.wait_for_service()
    return {"all_not_ready_after_s": round(red, 1)}


def fill_the_disk(nodes: LabDeployment, crowd: Crowd, clock: Clock, primary: str) -> dict:
    """Patroni leaves a primary where it is that can write no more, unless PostgreSQL ends for it."""
    refused = sum(sum(sender.refusals.values()) for sender in crowd.senders)
    nodes.lab("fill", primary)
    eventually(
        lambda: sum(sum(sender.refusals.values()) for sender in crowd.senders) > refused + len(crowd.senders),
        "whoever sends is refused", SERVED_WITHIN,
    )  # fmt: skip
    # It stays full for as long as Patroni's leader key lives, so that whatever follows from it has followed.
    time.sleep(20)
    nodes.lab("heal", primary)
    return {"served_after_it_was_emptied_s": round(clock.wait_for_service(), 1)}


def stop_etcd(nodes: LabDeployment, crowd: Crowd, clock: Clock, primary: str) -> dict:
    nodes.lab("stop", "etcd")
    # Longer than Patroni's leader key lives.
    time.sleep(30)
    clock.wait_for_service()
    return {"primary_stayed": nodes.primary() == primary}


SCENARIOS = {
    "kill": kill_the_primary,
    "cut": cut_the_primary_off,
    "host": kill_the_whole_host,
    "disk": fill_the_disk,
    "etcd": stop_etcd,
}


def run(nodes: LabDeployment, scenario, *, devices: int, pause: float = 1.0, say=print) -> dict:
    """One scenario, from a whole lab to a whole lab, and its account."""
    eventually(nodes.is_whole, "the lab is whole", WHOLE_WITHIN)
    seed = secrets.randbelow(10**8)
    crowd = Crowd(nodes, devices, pause, seed)
    eventually(lambda: crowd.total("acknowledged") >= 2 * devices, "every device sends")
    primary = nodes.primary()
    say(f"  the primary is {primary}; {crowd.total('acknowledged')} messages acknowledged so far")
    clock = Clock(crowd)
    began = time.monotonic()
    said = scenario(nodes, crowd, clock, primary)
    without = clock.stop()
    harmed = time.monotonic() - began
    healed = time.monotonic()
    nodes.lab("heal")
    eventually(nodes.is_whole, "every host is back by itself", WHOLE_WITHIN)
    whole = time.monotonic() - healed
    crowd.settle()
    refusals = sum((sender.refusals for sender in crowd.senders), collections.Counter())
    stored = nodes.rows(
        "SELECT count(*) FROM messages WHERE direction = 'in' AND sender_key LIKE %s", f"chaos-{seed}-%"
    )[0][0]
    counts = {
        **said,
        "primary": f"{primary} → {nodes.primary()}",
        "seconds_without_an_acknowledgement": round(without, 1),
        "slowest_answer_s": round(max(sender.slowest_answer for sender in crowd.senders), 1),
        "seconds_harmed": round(harmed, 1),
        "seconds_from_healed_to_whole": round(whole, 1),
        "acknowledged": crowd.total("acknowledged"),
        "stored": stored,
        "answered": crowd.total("answered"),
        "pushed": crowd.total("pushed"),
        "received": crowd.total("received"),
        "repeats": crowd.total("repeats"),
        "connects": crowd.total("connects"),
        "refusals": dict(refusals),
    }
    if not counts["acknowledged"] == counts["answered"] == stored or counts["pushed"] != counts["received"]:
        raise Broken(f"what was acknowledged, stored and answered is not the same: {counts}")
    return counts


def main() -> None:
    """`make lab-test`: the variables are those of scripts/lab-test."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=int(os.environ.get("DEVICES") or 200))
    parser.add_argument("scenario", nargs="*", choices=[*SCENARIOS, []], help=f"{', '.join(SCENARIOS)}: all, where none is named")
    given = parser.parse_args()
    results = {}
    with lab() as nodes:
        for name in given.scenario or SCENARIOS:
            print(f"{name}: {SCENARIOS[name].__name__.replace('_', ' ')}, {given.devices} devices", flush=True)
            results[name] = run(nodes, SCENARIOS[name], devices=given.devices)
            print(json.dumps(results[name], indent=2, ensure_ascii=False), flush=True)
    print(f"{len(results)} passed, 0 failed")


if __name__ == "__main__":
    main()
