"""`nodesctl channel dev` has the channel in service as it was last saved, and says why where it has not."""

import json
import os
import pathlib
import re
import signal
import subprocess

import pytest
from support.deployment import ROOT, eventually, free_ports

PASSWORD = "correct horse battery staple"


class Dev:
    def __init__(self, built: pathlib.Path, folder: pathlib.Path, *arguments: str) -> None:
        self.nodesctl = str(built / "nodesctl")
        self.folder = folder
        self.port, status = free_ports(2)
        environment = {**os.environ, "PORT": str(self.port), "STATUS_PORT": str(status), "ADMIN_PASSWORD": PASSWORD}
        environment.pop("NODES", None)
        self.output = folder.parent / "dev.log"
        with self.output.open("w") as stream:
            self.process = subprocess.Popen(
                [self.nodesctl, "channel", "dev", str(folder), *arguments], env={**environment, "NODES": str(ROOT)},
                stdout=stream, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self.seen = 0

    def wait_for(self, text: str) -> str:
        """What was printed from the last time on, up to that text."""

        def found() -> bool:
            assert self.process.poll() is None or text in self.output.read_text()[self.seen :], self.output.read_text()
            return text in self.output.read_text()[self.seen :]

        eventually(found, f"{text!r} is printed", timeout=60)
        printed = self.output.read_text()[self.seen :]
        self.seen += printed.index(text) + len(text)
        return printed[: printed.index(text) + len(text)]

    def save(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def run(self, *arguments: str) -> str:
        environment = {**os.environ, "NODES_CONFIG": str(self.folder / ".nodes/config/nodesctl.json")}
        return subprocess.run(
            [self.nodesctl, *arguments], env=environment, capture_output=True, text=True, check=True
        ).stdout

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(40)


@pytest.fixture
def parrot(built, tmp_path):
    """A new project in C, and what starts `channel dev` on it."""
    # PostgreSQL may run as another account, which must reach what is its own below.
    for folder in [tmp_path, *tmp_path.parents][:4]:
        folder.chmod(folder.stat().st_mode | 0o011)
    subprocess.run([str(built / "nodesctl"), "channel", "new", "parrot", "--language", "c"], cwd=tmp_path, check=True)
    started = []

    def start(*arguments: str) -> Dev:
        started.append(Dev(built, tmp_path / "parrot", *arguments))
        return started[-1]

    yield start
    for dev in started:
        if dev.process.poll() is None:
            dev.process.kill()
            dev.process.wait()


def test_every_save_is_in_service_or_says_why_not(parrot):
    dev = parrot("--message", '{"text": "hello"}')
    first = dev.wait_for("the channel parrot is in service")
    assert "installed: " in first and "parrot 0.1.0" in first and " 0 failed" in first
    heard = dev.folder.parent / "device.log"
    with heard.open("w") as stream:
        device = subprocess.Popen(
            [
                dev.nodesctl, "device", "--url", f"ws://127.0.0.1:{dev.port}/ws", "--channel", "parrot", "--sender",
                "parrot-1", "--state", str(dev.folder.parent / "parrot-1.json"), "--once", "--send", '{"text": "hello"}',
            ],
            stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
        )  # fmt: skip
    try:
        [request] = eventually(lambda: json.loads(dev.run("requests", "list", "--json")), "the device asks")
        dev.run("approve", request["requestId"], "--code", request["code"])
        assert device.wait(60) == 0, heard.read_text()
        assert "hello" in heard.read_text()
    finally:
        device.kill()
        device.wait()
    # What it says is beside it: a refusal, in the log of the process that has it.
    dev.save("parrot.c", 'text("0.1.0")', 'text("0.2.0")')
    second = dev.wait_for("the channel parrot is in service")
    assert "saved: parrot.c" in second and "parrot 0.2.0" in second
    dev.save("parrot.c", 'text("0.2.0")', 'txet("0.3.0")')
    assert "txet" in dev.wait_for("the build failed; its messages are above")
    dev.save("parrot.c", 'txet("0.3.0")', 'text("")')
    failed = dev.wait_for("the check failed, so it was not installed")
    assert "FAILED          describe" in failed and "The version has not 1 to 64 characters" in failed
    listed = json.loads(dev.run("channels", "--json"))
    assert {channel["id"]: channel["version"] for channel in listed["channels"]}["parrot"] == "0.2.0"
    dev.save("parrot.c", 'text("")', 'text("0.4.0")')
    dev.save("parrot.c", "made->host = host;", 'made->host = host;\n    host->log(host, 2, text("polly wants a cracker"));')
    assert re.search(r"(gateway|kernel)-0 \| .*polly wants a cracker", dev.wait_for("is in service"))
    assert dev.stop() == 0
    assert dev.output.read_text().rstrip().endswith("dev: stopped")


def test_a_library_that_is_built_elsewhere_is_taken_with_its_configuration(parrot, built):
    dev = parrot("--build", "make parrot.so", "--library", "parrot.so", "--config", '{"loud": true}')
    assert "remove it from channels.config" in dev.wait_for("the check failed, so it was not installed")
    dev.wait_for("no version of the channel is in service yet")
    # The check and the servers are given the same.
    dev.save("parrot.c", 'configuration.len != 2 || memcmp(configuration.ptr, "{}", 2) != 0', "configuration.len == 0")
    dev.wait_for("the channel parrot is in service")
    written = json.loads((dev.folder / ".nodes/config/gateway-0.json").read_text())
    assert written["channels"]["config"]["parrot"] == {"loud": True}
    assert dev.stop() == 0


@pytest.mark.parametrize(
    ("folder", "environment", "said"),
    [
        ("nowhere", {}, "nowhere is no folder; name the folder of a channel's sources"),
        (".", {}, "has no Package.swift, Makefile or Cargo.toml"),
        (".", {"NODES": "/no/such/repository"}, "NODES is /no/such/repository, which has no scripts/nodes_stack"),
        (".", {"PORT": "many"}, "PORT is “many”; expected a number"),
    ],
)
def test_what_cannot_be_run_is_refused_with_what_to_do(built, tmp_path, folder, environment, said):
    done = subprocess.run(
        [str(built / "nodesctl"), "channel", "dev", folder], cwd=tmp_path, env={**os.environ, **environment},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0 and said in done.stderr, done.stderr
