"""Network namespaces without a name, and the bridge between them: all of it is gone with the process that made it."""

import ctypes
import os
import pathlib
import signal
import subprocess

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000

BRIDGE = "lab"
PREFIX = 24

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def leave_the_machine() -> None:
    """Gives this process a network and mounts of its own: what it sets up is neither seen nor kept outside."""
    _checked(_libc.unshare(CLONE_NEWNS | CLONE_NEWNET))
    _checked(_libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))


def ip(*arguments: str, inside: "Namespace | None" = None) -> None:
    command = ["ip", *arguments] if inside is None else inside.command("ip", *arguments)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed: {done.stderr.strip()}")


def make_bridge(address: str) -> None:
    ip("link", "set", "lo", "up")
    ip("link", "add", BRIDGE, "type", "bridge")
    ip("address", "add", f"{address}/{PREFIX}", "dev", BRIDGE)
    ip("link", "set", BRIDGE, "up")


class Namespace:
    """A host's network: one card, with its cable in the bridge. It lives for as long as this process has it open."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.port = f"to-{name}"
        # It answers once it is in a namespace of its own.
        first = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            first.stdin.write(b"\n")
            first.stdin.flush()
            first.stdout.readline()
            self.descriptor = os.open(f"/proc/{first.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            self.inode = os.fstat(self.descriptor).st_ino
            ip("link", "add", self.port, "type", "veth", "peer", "name", "eth0", "netns", str(first.pid))
        finally:
            first.stdin.close()
            first.wait()
        ip("link", "set", self.port, "up")
        ip("link", "set", "lo", "up", inside=self)
        ip("address", "add", f"{address}/{PREFIX}", "dev", "eth0", inside=self)
        ip("link", "set", "eth0", "up", inside=self)
        self.plug()

    @property
    def path(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self.descriptor}"

    def command(self, *command: str) -> list[str]:
        """What runs `command` in here."""
        return ["nsenter", f"--net={self.path}", "--", *command]

    def plug(self) -> None:
        ip("link", "set", self.port, "master", BRIDGE)

    def unplug(self) -> None:
        """Nobody hears of it: the card still has its link, and what it sends goes nowhere."""
        ip("link", "set", self.port, "nomaster")

    def processes(self) -> list[int]:
        """Everything that runs in here, whoever started it."""
        found = []
        for folder in pathlib.Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    inode = os.stat(folder / "ns/net").st_ino
                except OSError:
                    continue
                if inode == self.inode:
                    found.append(int(folder.name))
        return found

    def end_processes(self) -> None:
        """As when the power fails."""
        while found := self.processes():
            for process in found:
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            # Children of ours stay until they are waited for.
            found = [p for p in found if not _is_zombie(p)]
            if not found:
                return


def _is_zombie(process: int) -> bool:
    try:
        text = pathlib.Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return True
    return text.rpartition(")")[2].split()[0] in ("Z", "X")
