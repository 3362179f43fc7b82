"""`make run`, as a person uses it."""

import contextlib
import json
import os
import pathlib
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

from support.administrator import Administrator
from support.deployment import ROOT, eventually, free_ports


class Run:
    """One `make run` and what it has printed."""

    def __init__(self, *arguments: str, **variables: str) -> None:
        port, status_port = free_ports(2)
        self.origin = f"http://127.0.0.1:{port}"
        environment = {
            "NODES_BUILD_CONFIGURATION": "debug", **os.environ, "PORT": str(port), "STATUS_PORT": str(status_port),
            **variables,
        }  # fmt: skip
        environment.pop("MAKEFLAGS", None)
        self.child = subprocess.Popen(
            ["make", "--no-print-directory", "run", *arguments], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self.output = ""

    def read_until(self, pattern: str, timeout: float = 120) -> re.Match:
        deadline = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            selector.register(self.child.stdout, selectors.EVENT_READ)
            while not (found := re.search(pattern, self.output, re.MULTILINE)):
                assert selector.select(max(0, deadline - time.monotonic())), f"no {pattern} in:\n{self.output}"
                data = os.read(self.child.stdout.fileno(), 65536)
                assert data, f"ended without {pattern}:\n{self.output}"
                self.output += data.decode()
        return found

    def wait_ready(self) -> None:
        self.read_until(rf"^ready: {re.escape(self.origin)}/nodes$")

    def children(self, program: str) -> list[int]:
        """The process numbers of a program below this run."""
        shown = subprocess.run(["ps", "-e", "-o", "pid=,ppid=,comm="], capture_output=True, text=True, check=True)
        rows = [line.split(None, 2) for line in shown.stdout.splitlines()]
        below, found = {self.child.pid}, []
        for _ in range(6):
            below |= {int(pid) for pid, parent, _ in rows if int(parent) in below}
        for pid, _, name in rows:
            if int(pid) in below and name.strip() == program[:15]:
                found.append(int(pid))
        return found

    def interrupt(self) -> None:
        """Ctrl-C: every process of the terminal's foreground group gets it."""
        os.killpg(self.child.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            rest, _ = self.child.communicate(timeout=60)
            self.output += rest.decode()


@contextlib.contextmanager
def running(*arguments: str, **variables: str):
    run = Run(*arguments, **variables)
    try:
        run.wait_ready()
        yield run
    finally:
        if run.child.poll() is None:
            run.interrupt()
        if run.child.poll() is None:
            os.killpg(run.child.pid, signal.SIGKILL)
            run.child.wait()


@pytest.fixture
def tmp_path():
    """A folder that every account may enter: where PostgreSQL's account may not, its data would be elsewhere,
    and would stay there."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="nodes-run-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_the_first_run_prints_a_password_and_the_next_finds_the_same_data(tmp_path):
    # A path much longer than a unix socket's may be, with what shells and nginx separate words by.
    state = tmp_path / ("the state; of {mine} " + "x" * 150)

    def database() -> str:
        return json.loads((state / "config" / "nodesctl.json").read_text())["database"]["url"]

    with running(STATE=str(state)) as run:
        password = run.read_until(r"^password: (\S+)$")[1]
        assert re.search(r"^administrator: admin$", run.output, re.MULTILINE)
        Administrator(run.origin).sign_in("admin", password)
        first = database()
        run.interrupt()
        assert "stopped" in run.output

    with running(STATE=str(state), ADMIN_PASSWORD="a password of mine") as run:
        assert "password:" not in run.output
        assert "ADMIN_PASSWORD is not used" in run.output
        # Who follows events finds them again at the same address.
        assert database() == first
        Administrator(run.origin).sign_in("admin", password)


@pytest.mark.parametrize("by", ["environment", "argument"])
def test_the_password_is_in_no_servers_environment_and_in_no_log(tmp_path, by):
    secret = "a-password-of-mine-0123"
    arguments = [f"ADMIN_PASSWORD={secret}"] if by == "argument" else []
    variables = {"ADMIN_PASSWORD": secret} if by == "environment" else {}
    state = tmp_path / "state"
    with running(*arguments, STATE=str(state), **variables) as run:
        Administrator(run.origin).sign_in("admin", secret)
        for program in ("nodes-gateway", "nodes-kernel", "nginx", "postgres"):
            processes = run.children(program)
            assert processes
            for pid in processes:
                with contextlib.suppress(FileNotFoundError):
                    shown = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
                    assert secret.encode() not in shown, f"{program} has it"
        run.interrupt()
        assert secret not in run.output
        assert "password: the one in ADMIN_PASSWORD" in run.output
        for file in [*(state / "log").iterdir(), *(state / "config").glob("*.json")]:
            assert secret.encode() not in file.read_bytes(), file


def test_settings_of_a_file_reach_every_process_and_survive_a_restart(tmp_path):
    settings = tmp_path / "settings.json"
    # As some editors write it, with a byte order mark.
    text = json.dumps({"channels": {"config": {"web": {}}}, "gateway": {"pairing_code_ttl": "7m"}})
    settings.write_text(text, encoding="utf-8-sig")
    state = tmp_path / "state"
    state.mkdir()
    kept = state / "channels.config.json"
    kept.write_text('{"iot": {}}')
    for _ in range(2):
        with running(STATE=str(state), SETTINGS=str(settings), ADMIN_PASSWORD="a password of mine") as run:
            for name in ("gateway-0", "kernel-0", "nodesctl"):
                written = json.loads((state / "config" / f"{name}.json").read_text())
                assert written["gateway"]["pairing_code_ttl"] == "7m"
                assert run.origin in written["gateway"]["public_origins"]
                # What the author keeps in STATE, and over it the file of SETTINGS.
                assert written["channels"]["config"] == {"iot": {}, "web": {}}
                assert written["channels"]["directory"] == str(state / "channels")
    assert kept.read_text() == '{"iot": {}}'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "cannot be read"),
        ("\ufeff{", "is not JSON: Expecting property name"),
        ("{}".encode("utf-16"), "is UTF-16; expected UTF-8"),
        ("{", "is not JSON"),
        ("[]", "is expected to be a JSON object"),
        ('{"database": {"url": "postgresql:///other"}}', "give DATABASE_URL instead"),
        ('{"gateway": {"pairing_code_tll": "7m"}}', "gateway.pairing_code_tll"),
    ],
)
def test_settings_that_cannot_be_used_stop_the_start_and_say_why(tmp_path, text, expected):
    settings = tmp_path / "settings.json"
    if text is not None:
        settings.write_bytes(text if isinstance(text, bytes) else text.encode())
    run = Run(STATE=str(tmp_path / "state"), SETTINGS=str(settings))
    output, _ = run.child.communicate(timeout=120)
    assert run.child.returncode != 0
    assert expected in output.decode()


def test_a_process_that_dies_is_started_again(tmp_path):
    with running(STATE=str(tmp_path / "state"), GATEWAYS="2", KERNELS="2", ADMIN_PASSWORD="a password of mine") as run:
        for program in ("nodes-gateway", "nodes-kernel", "nginx", "postgres"):
            before = set(run.children(program))
            assert before
            # The eldest is nginx's and PostgreSQL's master; the others follow it.
            eldest = min(before)
            os.kill(eldest, signal.SIGKILL)
            eventually(lambda: set(run.children(program)) - before, f"{program} runs again")
            assert eldest not in run.children(program)

        def signed_in() -> bool:
            with contextlib.suppress(OSError, AssertionError):
                return bool(Administrator(run.origin).sign_in("admin", "a password of mine"))
            return False

        eventually(signed_in, "the pages are back")


def test_a_folder_or_a_port_in_use_is_refused_with_the_way_out(nodes, tmp_path):
    for variables, expected in (
        ({"STATE": str(nodes.state)}, "choose another folder with STATE="),
        ({"STATE": str(tmp_path / "state"), "PORT": str(nodes.port)}, "choose another with PORT="),
        ({"STATE": "/proc/nowhere"}, "choose another folder with STATE="),
    ):
        run = Run(**variables)
        output, _ = run.child.communicate(timeout=120)
        assert run.child.returncode != 0
        assert expected in output.decode()


def test_another_postgresql_is_used_when_its_address_is_given(nodes, tmp_path):
    nodes.rows("CREATE DATABASE elsewhere")
    try:
        url = nodes.database_url.replace("/nodes?", "/elsewhere?")
        with running(STATE=str(tmp_path / "state"), DATABASE_URL=url) as run:
            assert not run.children("postgres")
            assert not (tmp_path / "state/postgres").exists()
            assert run.read_until(r"^password: (\S+)$")
    finally:
        nodes.rows("DROP DATABASE elsewhere WITH (FORCE)")


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [("PORT", "http", "PORT"), ("GATEWAYS", "0", "GATEWAYS"), ("KERNELS", "-1", "KERNELS")],
)
def test_a_bad_variable_is_refused_by_its_name(tmp_path, variable, value, expected):
    run = Run(STATE=str(tmp_path / "state"), **{variable: value})
    output, _ = run.child.communicate(timeout=120)
    assert run.child.returncode != 0
    assert f"{expected} is “{value}”" in output.decode()


def test_a_bad_setting_stops_the_start_with_its_key(tmp_path):
    run = Run(STATE=str(tmp_path / "state"), GATEWAY_PAIRING_CODE_TTL="an hour")
    output, _ = run.child.communicate(timeout=120)
    assert run.child.returncode != 0
    assert "gateway.pairing_code_ttl" in output.decode()


def test_help_needs_nothing_installed(tmp_path):
    for program in ("dirname", "env"):
        (tmp_path / program).symlink_to(shutil.which(program))
    (tmp_path / "python3").symlink_to(os.path.realpath(sys.executable))
    done = subprocess.run(
        [ROOT / "scripts/run", "--help"], env={"PATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "ADMIN_PASSWORD" in done.stdout and "12 to 1024 bytes" in done.stdout


def test_a_password_that_no_account_can_have_stops_the_run_before_anything_else(tmp_path):
    done = subprocess.run(
        [ROOT / "scripts/run"], env={**os.environ, "ADMIN_PASSWORD": "short", "STATE": str(tmp_path / "state")},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1 and "ADMIN_PASSWORD is expected to be 12 to 1024 bytes" in done.stderr
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("version, is_enough", [("6.2.4", False), ("6.3", True), ("6.10.1", True), ("", False)])
def test_a_toolchain_that_is_too_old_is_said(tmp_path, version, is_enough):
    swift = tmp_path / "swift"
    swift.write_text(f"#!/bin/sh\necho 'Swift version {version} (swift-{version}-RELEASE)'\n")
    swift.chmod(0o755)
    done = subprocess.run(
        [ROOT / "scripts/install-dependencies"], env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode == 0) == is_enough, done.stderr
    assert is_enough or "Install the Swift 6.3 toolchain" in done.stderr
