"""`make run`: builds, starts everything, keeps it running until Ctrl-C, and stops it in order."""

import argparse
import codecs
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time

from .process import Supervisor
from .stack import ADMINISTRATOR, ROOT, Failure, Stack, merged

VARIABLES = """\
variables:
  PORT            where nginx listens on 127.0.0.1 (8080)
  STATUS_PORT     where health and metrics are, on 127.0.0.1 (PORT + 1)
  STATE           the folder of everything that lasts (.nodes); its channels.config.json, where you write one, is the
                  channels.config of every process
  GATEWAYS        how many gateways (1)
  KERNELS         how many kernels (1)
  ADMIN_PASSWORD  the password of the account "admin", when it is created: 12 to 1024 bytes
  DATABASE_URL    use this PostgreSQL instead of a private one
  SETTINGS        a JSON file that is merged into the configuration of every process, at every start
  NODES_BUILD_CONFIGURATION  "release", or "debug" for a build that is quick to make and slow to run (release)
  GATEWAY_PAIRING_CODE_TTL and the like: every setting that `nodesctl config` lists
"""


def number(name: str, default: int, highest: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= highest:
        raise Failure(f"{name} is “{text}”; expected a number from 1 to {highest}")
    return int(text)


def password() -> str | None:
    # Taken out, not read: whatever is started from here on inherits the environment. `make run ADMIN_PASSWORD=…`
    # puts it into make's own variables as well.
    text = os.environ.pop("ADMIN_PASSWORD", None) or None
    for name in ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES"):
        os.environ.pop(name, None)
    if text is not None and not 12 <= len(os.fsencode(text)) <= 1024:
        raise Failure("ADMIN_PASSWORD is expected to be 12 to 1024 bytes long")
    return text


def settings(state: pathlib.Path) -> dict:
    """What is added to every process's configuration: the channels' own in STATE/channels.config.json, where there is
    one, and over it the file of SETTINGS."""
    kept = state / "channels.config.json"
    channels = json_object(kept, kept.name) if kept.exists() else {}
    name = os.environ.get("SETTINGS")
    read = json_object(pathlib.Path(name), "SETTINGS") if name else {}
    database = read.get("database")
    if isinstance(database, dict) and "url" in database:
        raise Failure(f"SETTINGS: {name} sets database.url; give DATABASE_URL instead")
    return merged({"channels": {"config": channels}} if channels else {}, read)


def json_object(path: pathlib.Path, label: str) -> dict:
    """The JSON object of a file that somebody wrote."""
    try:
        data = path.read_bytes()
        if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise Failure(f"{label}: {path} is UTF-16; expected UTF-8: save it as that")
        # Some editors begin UTF-8 with a byte order mark.
        read = json.loads(data.decode("utf-8-sig"))
    except OSError as error:
        raise Failure(f"{label}: {path} cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise Failure(f"{label}: {path} is not JSON: {error}") from None
    if not isinstance(read, dict):
        raise Failure(f'{label}: {path} is expected to be a JSON object, such as {{"gateway": {{}}}}')
    return read


def swift(*arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(["swift", *arguments], cwd=ROOT, stdin=subprocess.DEVNULL, text=True, **options)


def configuration() -> str:
    name = os.environ.get("NODES_BUILD_CONFIGURATION") or "release"
    if name not in ("release", "debug"):
        raise Failure(f"NODES_BUILD_CONFIGURATION is “{name}”; expected release or debug")
    return name


def binaries() -> pathlib.Path:
    shown = swift("build", "-c", configuration(), "--show-bin-path", stdout=subprocess.PIPE)
    if shown.returncode != 0:
        raise Failure("swift does not understand Package.swift; its messages are above")
    return pathlib.Path(shown.stdout.strip())


def build() -> None:
    print("building (the first time takes some minutes) …")
    if configuration() == "release":
        # What is built for debugging is built again and again, and of no commit.
        subprocess.run([str(ROOT / "scripts/record-commit")], check=False, stdin=subprocess.DEVNULL)
    if swift("build", "-c", configuration()).returncode != 0:
        raise Failure("the build failed; its messages are above")


def main() -> None:
    argparse.ArgumentParser(
        prog="scripts/run", description=__doc__, epilog=VARIABLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()  # fmt: skip
    # Plugins in a folder that a group may write are refused.
    os.umask(0o022)
    port = number("PORT", 8080, 65534)
    given = password()
    state = pathlib.Path(os.environ.get("STATE") or ROOT / ".nodes")
    stack = Stack(
        state,
        port=port,
        status_port=number("STATUS_PORT", port + 1, 65535),
        gateways=number("GATEWAYS", 1, 64),
        kernels=number("KERNELS", 1, 64),
        database_url=os.environ.get("DATABASE_URL") or None,
        administrator_password=given,
        settings=settings(state),
        binaries=binaries(),
    )

    def interrupt(*_) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    try:
        stack.reserve()
        build()
        made = stack.start()
        if made is not None:
            # What was printed may be kept: only a password that nobody knows yet is shown.
            shown = made if given is None else "the one in ADMIN_PASSWORD"
            print(f"administrator: {ADMINISTRATOR}\npassword: {shown}")
        elif stack.administrator_password is not None:
            print(f"ADMIN_PASSWORD is not used: the accounts are there already (nodesctl admin passwd {ADMINISTRATOR})")
        configuration, program = stack.config / "nodesctl.json", stack.binaries / "nodesctl"
        print(f"nodesctl: NODES_CONFIG={shlex.quote(str(configuration))} {shlex.quote(str(program))}")
        print(f"logs: {stack.log}; health: http://127.0.0.1:{stack.status_port}/gateway/0/readyz")
        print(f"ready: {stack.origin}/nodes", flush=True)
        supervisor = Supervisor()
        while True:
            supervisor.look(stack.processes)
            time.sleep(0.2)
    except KeyboardInterrupt:
        # A second Ctrl-C must not leave half of it running.
        for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        print("stopping …", flush=True)
    finally:
        stack.stop()
    print("stopped")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"error: {failure}")
