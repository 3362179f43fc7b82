"""`nodesctl channel dev`: a channel's folder, and a system that runs what is in it, after every save.

Builds the channel, holds it to the rules of its ABI, installs it into a system of its own and restarts that system's
servers: at the start, and whenever a source file changes. What the channel logs stands between. A version that does
not build or does not keep the rules is not installed: the one before goes on.
"""

import argparse
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time

from .__main__ import number, settings
from .process import Supervisor
from .stack import ADMINISTRATOR, ROOT, Failure, Stack, merged

# Whatever a build makes is no source.
SKIPPED = {".build", ".git", ".nodes", "target", "zig-out", ".zig-cache", "__pycache__", "node_modules"}
MADE = {".so", ".o", ".a", ".d", ".swp", ".swx", ".tmp"}
# An editor writes several files for one save.
SETTLED = 0.15


def say(text: str) -> None:
    print(f"dev: {text}", flush=True)


class Project:
    """A folder with a channel's sources, and how it is built."""

    def __init__(self, folder: pathlib.Path, build: str | None, library: str | None) -> None:
        self.folder = folder
        self.library = (folder / library) if library else None
        self.command = shlex.split(build) if build else self._command()

    def _command(self) -> list[str]:
        if (self.folder / "Package.swift").exists():
            return ["swift", "build"]
        if (self.folder / "Makefile").exists() or (self.folder / "makefile").exists():
            return ["make"]
        if (self.folder / "Cargo.toml").exists():
            return ["cargo", "build"]
        if self.library:
            # It is built elsewhere, by somebody else's command: only its file is looked at.
            return []
        raise Failure(
            f"{self.folder} has no Package.swift, Makefile or Cargo.toml. Name the folder of a channel's sources (nodesctl "
            "channel new writes one), say how it is built with --build, or name a library that is built already with "
            "--library."
        )

    def files(self) -> dict[str, tuple[int, int]]:
        """What decides whether something was saved: of each file when, and how long it is."""
        found = {}
        for folder, folders, names in os.walk(self.folder):
            folders[:] = [name for name in folders if name not in SKIPPED]
            for name in names:
                path = os.path.join(folder, name)
                is_source = pathlib.Path(name).suffix not in MADE and not name.endswith("~") and not name.startswith(".#")
                if is_source or (not self.command and path == str(self.library)):
                    try:
                        status = os.stat(path)
                    except OSError:
                        continue
                    found[path] = (status.st_mtime_ns, status.st_size)
        if not self.command and self.library and str(self.library) not in found and self.library.exists():
            status = self.library.stat()
            found[str(self.library)] = (status.st_mtime_ns, status.st_size)
        return found

    def build(self) -> bool:
        if not self.command:
            return True
        say(f"building: {shlex.join(self.command)}")
        environment = {**os.environ, "NODES": os.environ.get("NODES") or str(ROOT)}
        try:
            return subprocess.run(self.command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL).returncode == 0
        except OSError as error:
            raise Failure(f"{self.command[0]} cannot be run ({error.strerror}); say how it is built with --build") from None

    def find_library(self) -> pathlib.Path:
        """What the build made: the newest library that exports a channel's entry."""
        if self.library:
            if not self.library.exists():
                raise Failure(f"{self.library} is not there; --library names the file that the build makes")
            return self.library
        pattern = {"swift": ".build/debug/lib*.so", "cargo": "target/debug/*.so"}.get(self.command[0], "*.so")
        found = [path for path in self.folder.glob(pattern) if b"goclaw_channel_entry" in path.read_bytes()]
        # A library for a sanitizer is for the check alone.
        found = [path for path in found if b"__asan_init" not in path.read_bytes()]
        if not found:
            raise Failure(
                f"{shlex.join(self.command)} made no library {pattern} that exports goclaw_channel_entry; name the file "
                "with --library"
            )
        return max(found, key=lambda path: path.stat().st_mtime_ns)


class Log:
    """What the servers write of a channel, as it comes."""

    def __init__(self, stack: Stack) -> None:
        self.paths = {process.name: process.log for process in stack.gateways + stack.kernels}
        self.read = {name: path.stat().st_size if path.exists() else 0 for name, path in self.paths.items()}
        self.channel: str | None = None

    def follow(self) -> None:
        for name, path in self.paths.items():
            if not path.exists():
                continue
            size = path.stat().st_size
            if size < self.read[name]:
                self.read[name] = 0
            if size == self.read[name]:
                continue
            with path.open("rb") as file:
                file.seek(self.read[name])
                text = file.read()
            whole = text[: text.rfind(b"\n") + 1]
            self.read[name] += len(whole)
            for line in whole.decode(errors="replace").splitlines():
                if self._concerns(line):
                    print(f"{name} | {line}", flush=True)

    def _concerns(self, line: str) -> bool:
        if self.channel is None:
            return False
        own = re.search(rf"channel=\"?{re.escape(self.channel)}\b", line) or f"/{self.channel}.so" in line
        # What ended a process is the channel's affair, as a rule.
        return bool(own) or "Fatal error" in line or "AddressSanitizer" in line or " crashed" in line


class Dev:
    def __init__(self, stack: Stack, project: Project, check: list[str]) -> None:
        self.stack = stack
        self.project = project
        self.check = check
        self.log: Log | None = None
        self.installed = b""
        self.channel = ""

    def bring(self) -> bool:
        """From what is in the folder to a library that keeps the rules, in the servers' folder."""
        if not self.project.build():
            say("the build failed; its messages are above")
            return False
        library = self.project.find_library()
        data = library.read_bytes()
        if data == self.installed:
            say(f"{library.name} is what runs already")
            return False
        nodesctl = str(self.stack.binaries / "nodesctl")
        checked = subprocess.run(
            [nodesctl, "channel", "check", str(library), *self.check], stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if checked.returncode != 0:
            print(problems(checked.stdout) + checked.stderr, end="", flush=True)
            say("the check failed, so it was not installed")
            return False
        say(f"checked: {checked.stdout.strip().splitlines()[-1]}")
        done = subprocess.run(
            [str(ROOT / "scripts/install-channels"), str(self.stack.state / "channels"), str(library)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        if done.returncode != 0:
            print(done.stdout, end="", flush=True)
            say("it could not be installed")
            return False
        self.installed = data
        name = re.search(r"([a-z][a-z0-9_-]*)\.so: ", done.stdout)
        self.channel = name[1] if name else library.stem
        say(f"installed: {done.stdout.strip().splitlines()[-1]}")
        return True

    def configure(self, configuration: str | None) -> None:
        """Gives the channel its configuration in every process, from its next start on."""
        if configuration is None:
            return
        more = {"channels": {"config": {self.channel: json.loads(configuration)}}}
        self.stack.settings = merged(self.stack.settings, more)
        for path in self.stack.config.glob("*.json"):
            path.write_text(json.dumps(merged(json.loads(path.read_text()), more), indent=2) + "\n")

    def restart(self) -> None:
        for process in self.stack.gateways + self.stack.kernels:
            process.stop()
            process.start()
        self.stack.wait_until_ready()

    def report(self) -> None:
        """Whether the running servers use it."""
        listed = self.stack.nodesctl("channels", check=False).stdout
        refused = [line.strip() for line in listed.splitlines() if f"/{self.channel}.so: " in line]
        if refused:
            say(f"REFUSED by the servers: {refused[0]}")
        else:
            say(f"the channel {self.channel} is in service; save a file to build it again, Ctrl-C ends everything")


def problems(report: str) -> str:
    """The parts of a report that are to be looked at, and its last line."""
    kept, keep = [], False
    for line in report.splitlines():
        if re.match(r"[a-zA-Z]", line):
            keep = line.startswith(("FAILED", "warning"))
        if keep:
            kept.append(line)
    return "\n".join([*kept, *report.strip().splitlines()[-1:], ""])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nodesctl channel dev", description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--build")
    parser.add_argument("--library")
    parser.add_argument("--config")
    parser.add_argument("--binaries", type=pathlib.Path, required=True)
    for name in ("sender", "metadata", "message", "agent-message"):
        parser.add_argument(f"--{name}")
    return parser.parse_args()


def run(stack: Stack, project: Project, check: list[str], configuration: str | None) -> None:
    dev = Dev(stack, project, check)
    seen = project.files()
    # Before the servers start, so that they find it.
    is_there = dev.bring()
    if is_there:
        dev.configure(configuration)
    made = stack.start()
    dev.log = Log(stack)
    if made is not None:
        print(f"administrator: {ADMINISTRATOR}\npassword: {made}")
    print(f"pages: {stack.origin}/nodes")
    print(f"devices: {stack.origin.replace('http', 'ws')}/ws")
    file = shlex.quote(str(stack.config / "nodesctl.json"))
    print(f"nodesctl: NODES_CONFIG={file} {shlex.quote(str(stack.binaries / 'nodesctl'))}", flush=True)
    supervisor = Supervisor(say)
    if is_there:
        dev.log.channel = dev.channel
        dev.report()
    else:
        say("no version of the channel is in service yet; save a file to build it again")
    while True:
        supervisor.look(stack.processes)
        dev.log.follow()
        found = project.files()
        if found != seen:
            # All that one save writes.
            while True:
                time.sleep(SETTLED)
                settled = project.files()
                if settled == found:
                    break
                found = settled
            changed = sorted(
                os.path.relpath(path, project.folder)
                for path in seen.keys() | found.keys() if seen.get(path) != found.get(path)
            )  # fmt: skip
            seen = found
            say(f"saved: {', '.join(changed[:5])}{' …' if len(changed) > 5 else ''}")
            try:
                if dev.bring():
                    dev.log.channel = dev.channel
                    dev.configure(configuration)
                    dev.restart()
                    dev.log.follow()
                    dev.report()
            except Failure as failure:
                say(str(failure))
            # What the build itself wrote is no save.
            seen = {**seen, **{path: stamp for path, stamp in project.files().items() if path not in seen}}
        time.sleep(0.1)


def main() -> None:
    given = arguments()
    os.umask(0o022)
    folder = pathlib.Path(given.folder).resolve()
    if not folder.is_dir():
        raise Failure(f"{given.folder} is no folder; name the folder of a channel's sources")
    port = number("PORT", 8090, 65534)
    project = Project(folder, given.build, given.library)
    check = []
    for name in ("config", "sender", "metadata", "message", "agent_message"):
        if (value := getattr(given, name)) is not None:
            check += [f"--{name.replace('_', '-')}", value]
    state = pathlib.Path(os.environ.get("STATE") or folder / ".nodes")
    own = settings(state)
    stack = Stack(
        state,
        port=port,
        status_port=number("STATUS_PORT", port + 1, 65535),
        database_url=os.environ.get("DATABASE_URL") or None,
        administrator_password=os.environ.pop("ADMIN_PASSWORD", None) or None,
        settings=own,
        binaries=given.binaries,
    )

    def interrupt(*_) -> None:
        raise KeyboardInterrupt

    # Started in the background by a shell, it would have been told to ignore Ctrl-C's signal.
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    try:
        stack.reserve()
        run(stack, project, check, given.config)
    except KeyboardInterrupt:
        for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        print(flush=True)
        say("stopping …")
    finally:
        stack.stop()
    say("stopped")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"error: {failure}")
    except BrokenPipeError:
        sys.exit(1)
