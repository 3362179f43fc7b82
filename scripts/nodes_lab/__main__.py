"""Three hosts on one machine, to see what the loss of any of them does.

Each host is a network namespace with PostgreSQL under Patroni, etcd, a gateway, a kernel and an nginx; one more nginx
stands in front, on 127.0.0.1. Needs root. Nothing is left of it after `scripts/lab down`: processes, namespaces, bridge
and disks end with the one process that made them.
"""

import argparse
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from nodes_stack.__main__ import json_object
from nodes_stack.stack import ADMINISTRATOR, ROOT, Failure

from .lab import HOSTS, Lab, keep

HOST_HELP = f"{', '.join(HOSTS)}, or primary: whichever is it"


def default_state() -> str:
    return os.environ.get("STATE") or str(pathlib.Path(tempfile.gettempdir()) / "nodes-lab")


def binaries() -> pathlib.Path:
    given = os.environ.get("NODES_BINARIES")
    configuration = os.environ.get("NODES_BUILD_CONFIGURATION") or "release"
    if not given:
        if subprocess.run(["swift", "build", "-c", configuration], cwd=ROOT, stdin=subprocess.DEVNULL).returncode != 0:
            raise Failure("the build failed; its messages are above")
        shown = subprocess.run(
            ["swift", "build", "-c", configuration, "--show-bin-path"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        given = shown.stdout.strip()
    folder = pathlib.Path(given)
    if not (folder / "nodes-gateway").exists():
        raise Failure(f"{folder} has no nodes-gateway: run swift build -c {configuration}")
    return folder


def ask(state: pathlib.Path, timeout: float = 60, **request):
    """What the lab's process answers."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(str(state / "control"))
            with connection.makefile("rw") as file:
                file.write(json.dumps(request) + "\n")
                file.flush()
                answer = json.loads(file.readline() or '{"error": "the lab has ended"}')
    except (FileNotFoundError, ConnectionRefusedError):
        raise Failure(f"no lab runs in {state}; scripts/lab up makes one") from None
    if "error" in answer:
        raise Failure(f"error: {answer['error']}")
    return answer["ok"]


def up(given) -> None:
    if os.geteuid() != 0:
        raise Failure("the lab makes network namespaces, which needs root")
    folder = binaries()
    os.umask(0o022)
    command = [
        sys.executable, "-u", "-m", "nodes_lab", "--state", str(given.state), "keep", "--port", str(given.port),
        "--binaries", str(folder), *(["--asynchronous"] if given.asynchronous else []),
        *(["--settings", given.settings] if given.settings else []),
    ]  # fmt: skip
    # It is not to end with the terminal.
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        for line in child.stdout:
            print(line, end="", flush=True)
            if line.startswith("ready: "):
                where = ask(given.state, do="where")
                print(f"administrator: {ADMINISTRATOR}\npassword: {where['password']}")
                print(f"state: {given.state}; scripts/lab status shows the hosts")
                return
    except KeyboardInterrupt:
        child.terminate()
        child.wait()
        shutil.rmtree(given.state, ignore_errors=True)
        raise
    child.wait()
    raise Failure(f"the lab was not made; what there is of it is in {given.state}")


def keeping(given) -> None:
    settings = json_object(pathlib.Path(given.settings), "--settings") if given.settings else {}
    keep(
        Lab(
            given.state, binaries=given.binaries, port=given.port, is_synchronous=not given.asynchronous, settings=settings,
            say=lambda text: print(text, flush=True),
        )
    )  # fmt: skip


def status(given) -> None:
    hosts = ask(given.state, do="status")
    if given.json:
        print(json.dumps(hosts, indent=2))
        return
    rows = [["HOST", "ADDRESS", "STATE", "ROLE", "POSTGRESQL", "ETCD", "GATEWAY", "KERNEL"]]
    for host in hosts:
        harm = [word for word in ("cut", "full") if host[word]] + [f"without {name}" for name in host["stopped"]]
        role = host["role"] + (", synchronous" if host["synchronous"] else "")
        ready = ["ready" if host[name] else "-" for name in ("etcd", "gateway", "kernel")]
        rows.append(
            [host["host"], host["address"], "off" if not host["on"] else ", ".join(harm) or "on", role, host["postgres"], *ready]
        )
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def down(given) -> None:
    if (given.state / "control").exists():
        ask(given.state, do="down")
        deadline = time.monotonic() + 60
        while (given.state / "control").exists():
            if time.monotonic() > deadline:
                raise Failure(f"the lab does not end; its log is {given.state}/log/lab.log")
            time.sleep(0.1)
    elif not given.state.exists():
        raise Failure(f"no lab runs in {given.state}")
    if not given.keep:
        shutil.rmtree(given.state, ignore_errors=True)


def enter(given) -> None:
    if given.host == "front":
        network = ask(given.state, do="where")["network"]
    else:
        network = ask(given.state, do="enter", host=given.host)["network"]
    if not given.command:
        raise Failure("say what to run, as in: scripts/lab exec a ip address")
    os.execvp("nsenter", ["nsenter", f"--net={network}", "--", *given.command])


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="scripts/lab", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--state", type=pathlib.Path, default=default_state(), help="the folder of everything (STATE, or %(default)s)"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run, help: str | None, **options):
        added = commands.add_parser(name, help=help, description=help, **options) if help else commands.add_parser(name)
        added.set_defaults(run=run)
        return added

    def harm(name: str, help: str, host: bool = True, **fixed):
        added = command(name, lambda given: ask(given.state, do=fixed.get("do", name), host=getattr(given, "host", None),
                                                process=getattr(given, "process", None)), help)  # fmt: skip
        if host:
            added.add_argument("host", help=HOST_HELP)
        return added

    for name, run, help in (("up", up, "Make the lab, and return once everything answers."), ("keep", keeping, None)):
        added = command(name, run, help)
        added.add_argument(
            "--port", type=int, default=int(os.environ.get("PORT") or 8090),
            help="where the nginx in front listens on 127.0.0.1 (PORT, or 8090; 0 for any)",
        )  # fmt: skip
        added.add_argument(
            "--asynchronous", action="store_true", help="replicate asynchronously; docs/operators.md says what that loses"
        )
        added.add_argument("--settings", help="a JSON file that is merged into the configuration of every server")
        if not help:
            added.add_argument("--binaries", type=pathlib.Path, required=True)
    command("status", status, "Show every host: its role, and what is ready.").add_argument("--json", action="store_true")
    harm("kill", "Switch a host off at once; with --postgres, kill only its PostgreSQL.").add_argument(
        "--postgres", dest="process", action="store_const", const="postgres", help="kill -9 of PostgreSQL's first process"
    )
    harm("cut", "Cut a host off the network; everything on it goes on running.")
    harm("fill", "Fill the disk of a host's PostgreSQL and etcd.")
    stop = harm("stop", "Stop a program, on one host or on all, until they are healed.", host=False)
    stop.add_argument("process", choices=("etcd", "patroni", "gateway", "kernel", "nginx"))
    stop.add_argument("host", nargs="?", help=HOST_HELP + " (all)")
    harm("heal", "Undo whatever was done to a host, or to all.", host=False).add_argument(
        "host", nargs="?", help=HOST_HELP + " (all)"
    )
    entered = command("exec", enter, "Run a command in a host's network: scripts/lab exec a ping 10.88.0.12")
    entered.add_argument("host", help=HOST_HELP + ", or front")
    entered.add_argument("command", nargs=argparse.REMAINDER)
    command("down", down, "End everything and leave the machine as it was.").add_argument(
        "--keep", action="store_true", help="keep the folder with the logs"
    )
    given = parser.parse_args()
    given.state = given.state.resolve()
    given.run(given)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(str(failure) if str(failure).startswith("error:") else f"error: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
