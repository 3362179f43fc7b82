"""A rolling upgrade from an older commit's programs to this tree's, under devices that send and are pushed to, with the
account of what became of it (I4).

The old programs run first; the new one brings the schema up to date under them; then one process after the other is
replaced, and old and new serve side by side meanwhile.
"""

import argparse
import json
import pathlib
import subprocess
import time

from .chaos import Crowd
from .deployment import ROOT, Deployment, binaries, deployed, eventually

# What an old program says of a schema that it does not know; nothing but this may keep it from starting.
REFUSAL = "newer"


class Refused(SystemExit):
    """What an upgrade must not do."""


def steps(nodes: Deployment) -> int:
    return nodes.rows("SELECT max(number) FROM schema_migrations")[0][0]


def answers(nodes: Deployment, when: str) -> None:
    """Every kernel answers a page, whichever program it is."""
    for index in range(nodes.kernel_count):
        page = nodes.administrator(kernel=index).get("/nodes")
        if page.status != 200:
            raise Refused(f"{when}: kernel {index} answers /nodes with {page.status}")


def sends(crowd: Crowd, when: str) -> None:
    """Messages are still answered, each device's."""
    before = {sender.sender_id: sender.answered for sender in crowd.senders}
    eventually(
        lambda: not crowd.thread.is_alive() or all(s.answered > before[s.sender_id] for s in crowd.senders),
        f"{when}: every device gets answers",
    )
    if not crowd.thread.is_alive():
        raise Refused(f"{when}: devices have given up: {crowd.failures[:3]!r}")


def refuses(command: list[str], environment: dict[str, str] | None) -> str:
    """What an old program says that is started on the new schema; it has to end by itself."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    if done.returncode == 0 or REFUSAL not in done.stderr:
        raise Refused(f"an old program on the new schema ended with {done.returncode} and said:\n{done.stderr}")
    return next(line for line in done.stderr.splitlines() if REFUSAL in line)


def upgrade(
    old: pathlib.Path, templates: pathlib.Path, *, devices: int, pause: float = 0.3, say=print
) -> dict:
    """Carries it out on a deployment of its own, and returns the counts."""
    with deployed(programs=old, settings={"templates": {"directory": str(templates)}}) as nodes:
        first = steps(nodes)
        crowd = Crowd(nodes, devices, pause, seed=1)
        try:
            counts = roll(nodes, crowd, say)
        finally:
            if crowd.thread.is_alive():
                crowd.settle()
        stored = nodes.rows("SELECT count(*) FROM messages WHERE direction = 'in' AND done_at IS NOT NULL")
        verified = json.loads(nodes.nodesctl("backup", "verify", "--json").stdout)
        return counts | {
            "from_step": first,
            "to_step": steps(nodes),
            "acknowledged": crowd.total("acknowledged"),
            "answered": crowd.total("answered"),
            "stored": stored[0][0],
            "pushed": crowd.total("pushed"),
            "received": crowd.total("received"),
            "repeats": crowd.total("repeats"),
            "connects": crowd.total("connects"),
            "refusals": dict(sum((s.refusals for s in crowd.senders), start=type(crowd.senders[0].refusals)())),
            "sound": verified["sound"],
        }


def roll(nodes: Deployment, crowd: Crowd, say) -> dict:
    sends(crowd, "the old programs")
    say(f"the old programs serve, schema step {steps(nodes)}")
    old_command = list(nodes.gateways[0].command)
    nodes.binaries = binaries()
    before = steps(nodes)
    began = time.monotonic()
    nodes.nodesctl("migrate")
    say(f"migrated to step {steps(nodes)} in {time.monotonic() - began:.1f} s, under the old programs")
    sends(crowd, "old programs on the new schema")
    answers(nodes, "old programs on the new schema")
    counts: dict = {}
    if steps(nodes) > before:
        # Not on the socket of the one that runs.
        environment = {**(nodes.gateways[0].environment or {}), "GATEWAY_SOCKET": str(nodes.run / "old.sock")}
        counts["an_old_program_started_now_says"] = refuses(old_command, environment)
    # Templates and channels are the new ones for whoever is started from now on.
    nodes.settings = {k: v for k, v in nodes.settings.items() if k != "templates"}
    nodes._install_channels()
    for process in [*nodes.gateways, *nodes.kernels]:
        kind = process.name.split("-")[0]
        path = nodes._write_configuration(
            process.name, {"instance": {"name": process.name}, kind: {"socket": str(nodes.socket_path(process.name))}}
        )
        began = time.monotonic()
        process.stop()
        process.command = [str(nodes.binaries / f"nodes-{kind}"), "--config", str(path)]
        process.start()
        nodes.wait_until_ready()
        say(f"{process.name} is the new one after {time.monotonic() - began:.1f} s")
        sends(crowd, f"old and new side by side, after {process.name}")
        answers(nodes, f"old and new side by side, after {process.name}")
    return counts


def main() -> None:
    """`make upgrade-test`: scripts/upgrade-test says what the arguments are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binaries", type=pathlib.Path, help="the folder of the old programs")
    parser.add_argument("templates", type=pathlib.Path, help="the old templates")
    parser.add_argument("--devices", type=int, default=40)
    given = parser.parse_args()
    assert given.templates.is_dir() and (ROOT / "templates").is_dir()
    counts = upgrade(given.binaries, given.templates, devices=given.devices)
    print(json.dumps(counts, indent=2))
    if not counts["acknowledged"] == counts["answered"] == counts["stored"] or counts["pushed"] != counts["received"]:
        raise Refused("what was acknowledged, stored and answered is not the same, or what was pushed and received")
    if not counts["sound"]:
        raise Refused("nodesctl backup verify finds contradictions")


if __name__ == "__main__":
    main()
