"""Errors of every program, read by whoever meets them: each says what was wrong, what was expected and what to do (I6)."""

import contextlib
import copy
import http.client
import json
import pathlib
import re
import shutil
import socket
import subprocess

import pytest
from support.deployment import Deployment, eventually, free_ports

NOBODY = "00000000-0000-0000-0000-000000000000"

# What is typed, how the command ends, and what it says: what came, what was expected, what to do.
COMMANDS = {
    "no such command": (["sessions", "list"], 64, ['"sessions"', "devices", "--help"]),
    "no such command of a command": (["agents", "ask"], 64, ['"ask"', "nodesctl agents", "check"]),
    "a request's ID": (["approve", "x", "--code", "ABCD-EFGH"], 64, ["'x'", "UUID", "nodesctl requests list"]),
    "an unknown request": (["approve", NOBODY, "--code", "ABCD-EFGH"], 66, [NOBODY, "list"]),
    "a code": (["deny", NOBODY, "--code", "ABCD-EFG0"], 64, ['"ABCD-EFG0"', "23456789", "ABCD-EFGH"]),
    "no code": (["approve", NOBODY], 64, ["--code XXXX-XXXX"]),
    "a sender ID": (["devices", "show", "a b"], 64, ["'a b'", "letters"]),
    "an unknown device": (["devices", "show", "never-seen"], 66, ["never-seen", "list"]),
    "nobody to revoke": (["revoke", "never-seen"], 66, ["sender ID", "list of paired devices"]),
    "a channel": (["revoke", "never-seen", "--channel", "WEB"], 64, ["WEB", "such as web"]),
    "a generation": (["revoke", "never-seen", "--generation", "x"], 64, ["'x'", "nodesctl devices list"]),
    "a time": (["revoke", "--all-since", "yesterday"], 64, ["'yesterday'", "2026-01-31T14:00:00Z"]),
    "nobody who waits": (["requests", "clear-cooldown", "never-seen"], 66, ["never-seen", "at once"]),
    "an account's name": (["admin", "create", "Bad Name", "--generate"], 64, ['"Bad Name"', "a-z"]),
    "an account twice": (["admin", "create", "admin", "--generate"], 65, ['"admin"', "another name"]),
    "an unknown account": (["admin", "passwd", "nobody", "--generate"], 66, ['"nobody"', "list"]),
    "an unknown account to unlock": (["admin", "unlock", "nobody"], 66, ['"nobody"']),
    "an unknown account to remove": (["admin", "remove", "nobody", "--yes"], 66, ['"nobody"']),
    "an owner": (["token", "create", "t", "--owner", "nobody", "--scope", "read", "--expires", "1d"], 66, ['"nobody"']),
    "a token's life": (["token", "create", "t", "--owner", "admin", "--scope", "read", "--expires", "1s"], 64, ["1 s", "400 days"]),
    "a token's name": (["token", "create", "", "--owner", "admin", "--scope", "read", "--expires", "1d"], 64, ['""', "64"]),
    "a token's number": (["token", "revoke", "x"], 64, ["'x'", "nodesctl token list"]),
    "an unknown token": (["token", "revoke", "999999"], 66, ["999999", "list"]),
    "a position": (["events", "follow", "--from", "x"], 64, ["'x'", "position"]),
    "an agent": (["agents", "check", "nobody"], 66, ["nobody", "nodesctl agents list"]),
    "a push's identifier": (["messages", "push", "never-seen", "1", "--id", "x" * 200], 64, ["pushId", "128"]),
    "a file": (["--config", "/nowhere.json", "requests", "list"], 78, ["/nowhere.json", "No such file or directory"]),
    "a folder": (["--config", "/", "requests", "list"], 78, ["no file", "JSON object"]),
    "metadata": (["device", "--sender", "x", "--state", "/nowhere/x", "--metadata", "{bad"], 64, ["JSON object", "byte 1"]),
    "a URL": (["device", "--sender", "x", "--state", "/nowhere/x", "--url", "http://a"], 64, ["http://a", "ws://"]),
    "a channel's ID": (["channel", "new", "Bad Name", "--language", "c"], 64, ['"Bad Name"', "my-sensor"]),
    "a library": (["channel", "check", "/nowhere.so"], 66, ["/nowhere.so", "No such file"]),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_a_command_that_cannot_be_carried_out_says_why_and_what_to_type(nodes: Deployment, case: str):
    arguments, status, words = COMMANDS[case]
    done = nodes.nodesctl(*arguments, check=False)
    said = done.stderr.replace("\u2019", "'")
    assert done.returncode == status, done
    for word in words:
        assert word in said, said
    assert "Error Domain" not in said and "Optional(" not in said, said


def test_a_device_that_dials_a_page_is_told_where_the_socket_is(nodes: Deployment, tmp_path: pathlib.Path):
    dialled = nodes.origin.replace("http:", "ws:") + "/nodes"
    child = subprocess.Popen(
        [nodes.binaries / "nodesctl", "device", "--sender", "x", "--state", tmp_path / "x.json", "--url", dialled],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    line = child.stdout.readline()
    child.terminate()
    child.communicate()
    assert "303" in line and "the address has to lead to its WebSocket" in line and "/ws" in line, line


# What is changed in a server's configuration, and what its start says.
STARTS = {
    "a socket in use": ({}, ["another running process listens on", "choose another path"]),
    "no folder for the socket": ({"SERVER.socket": "/nowhere/x.sock"}, ["/nowhere/x.sock", "make its folder"]),
    "a file in place of the socket": ({"SERVER.socket": "FILE"}, ["is not a socket", "choose another path"]),
    "a long path": ({"SERVER.socket": "/" + "x" * 120}, ["SERVER.socket", "107 bytes"]),
    "a number": ({"database.pool_size": "many"}, ["database.pool_size", "“many”", "1 to 200"]),
    "a section": ({"database": []}, ["database is refused", "database.url"]),
    "an unknown key": ({"gateway.pairing_ttl": "1m"}, ["gateway.pairing_ttl", "nodesctl config"]),
    "a contradiction": ({"gateway.ping_interval": "80s"}, ["(75s)", "(80s)", "at least twice"]),
    "a default agent": ({"channels.default_agents": {"web": "nobody"}}, ["channels.default_agents.web", '"nobody"', "echo"]),
    "templates": ({"templates.directory": "/nowhere"}, ["/nowhere", "templates.directory"]),
    "a database URL": ({"database.url": "mysql://x:hush@y"}, ["postgresql://"]),
}
RUNNING = {
    "no folder of channels": ({"channels.directory": "/nowhere"}, ["/nowhere", "channels.directory", "install-channels"]),
    "a channel that is not there": ({"channels.config": {"nope": {}}}, ["channels.config", "channel=nope", "install it"]),
}


def changed(nodes: Deployment, server: str, changes: dict, tmp_path: pathlib.Path) -> list:
    """The command that starts the server once more, with something changed."""
    settings = copy.deepcopy(json.loads((nodes.config / f"{server}-0.json").read_text()))
    plain = tmp_path / "plain"
    plain.write_text("x")
    for key, value in changes.items():
        *path, name = key.replace("SERVER", server).split(".")
        place = settings
        for part in path:
            place = place.setdefault(part, {})
        place[name] = str(plain) if value == "FILE" else value
    file = tmp_path / "changed.json"
    file.write_text(json.dumps(settings))
    return [nodes.binaries / f"nodes-{server}", "--config", file]


@pytest.mark.parametrize(
    ("server", "case"),
    # Only kernels have templates.
    [(server, case) for server in ("gateway", "kernel") for case in STARTS if (server, case) != ("gateway", "templates")],
)
def test_a_server_that_cannot_start_says_which_setting_is_wrong(
    nodes: Deployment, tmp_path: pathlib.Path, server: str, case: str
):
    changes, words = STARTS[case]
    done = subprocess.run(changed(nodes, server, changes, tmp_path), capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    last = done.stderr.split("Error: ")[-1]
    for word in words:
        assert word.replace("SERVER", server) in last, done.stderr
    assert "hush" not in done.stderr
    assert "Listening for notifications failed" not in done.stderr + done.stdout


@pytest.mark.parametrize("case", RUNNING)
def test_a_server_that_starts_without_its_channels_says_what_to_do(nodes: Deployment, tmp_path: pathlib.Path, case: str):
    changes, words = RUNNING[case]
    log = tmp_path / "log"
    command = changed(nodes, "kernel", {**changes, "SERVER.socket": str(tmp_path / "k.sock")}, tmp_path)
    with log.open("w") as output:
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        eventually(lambda: "Serving pages" in log.read_text(), "the kernel serves")
    finally:
        child.terminate()
        child.wait()
    for word in words:
        assert word in log.read_text(), log.read_text()


@contextlib.contextmanager
def front(nodes: Deployment, upstream: pathlib.Path):
    """The deployment's nginx once more, in front of that socket instead of any server's; it waits a second."""
    (port,) = free_ports(1)
    folder = nodes.run / "nginx-errors"
    folder.mkdir(exist_ok=True)
    shutil.copytree(nodes.config / "snippets", nodes.config / "snippets-errors", dirs_exist_ok=True)
    for snippet in (nodes.config / "snippets-errors").iterdir():
        snippet.write_text(re.sub(r"_read_timeout \d+s", "_read_timeout 1s", snippet.read_text()))
    text = (nodes.config / "nginx.conf").read_text().replace("snippets/", "snippets-errors/")
    text = re.sub(rf"listen 127\.0\.0\.1:{nodes.port}", f"listen 127.0.0.1:{port}", text)
    text = re.sub(r"listen 127\.0\.0\.1:(?!%d)\d+[^;]*;" % port, f'listen "unix:{folder}/other.sock";', text)
    text = text.replace(f'pid "{nodes.run}/nginx.pid"', f'pid "{folder}/nginx.pid"')
    text = re.sub(r"unix:[^\s;\"]*/(gateway|kernel)-\d\.sock", f"unix:{upstream}", text)
    config = nodes.config / "nginx-errors.conf"
    config.write_text(text)
    program = shutil.which("nginx", path="/usr/local/sbin:/usr/sbin:/usr/bin")
    child = subprocess.Popen(
        [program, "-e", str(nodes.log / "errors-error.log"), "-p", str(nodes.run / "nginx"), "-c", str(config)]
    )

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    eventually(answers, "nginx listens")
    yield port
    child.terminate()
    child.wait()


def fetch(nodes: Deployment, port: int, method: str, path: str, **headers: str) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    host = nodes.origin.split("//")[1]
    connection.request(method, path, headers={"Host": host, **headers})
    answer = connection.getresponse()
    return answer.status, answer.read().decode(), answer.headers.get("Content-Security-Policy") or ""


@pytest.mark.parametrize("path", ["/nodes", "/ws", "/events"])
def test_nobody_behind_the_web_server_is_a_page_that_says_so(nodes: Deployment, tmp_path: pathlib.Path, path: str):
    with front(nodes, nodes.run / "nobody.sock") as port:
        status, page, policy = fetch(nodes, port, "GET", path)
    assert status == 502 and "Status 502" in page and "frame-ancestors 'none'" in policy
    assert "nodesctl doctor" in page and "may have been carried out" in page and "<center>" not in page


@pytest.mark.parametrize("path", ["/nodes", "/ws"])
def test_a_server_that_does_not_answer_is_a_page_that_says_so(nodes: Deployment, path: str):
    silent = nodes.run / "silent.sock"
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        silent.unlink(missing_ok=True)
        listener.bind(str(silent))
        silent.chmod(0o666)
        listener.listen(8)
        with front(nodes, silent) as port:
            status, page, _ = fetch(nodes, port, "GET", path)
    silent.unlink()
    assert status == 504 and "Status 504" in page and "readyz" in page and "<center>" not in page


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/static/missing.css", 404), ("GET", "/readyz", 404), ("GET", "/errors/502.html", 404),
        ("POST", "/static/pages.css", 403), ("TRACE", "/nodes", 405),
    ],
)  # fmt: skip
def test_what_the_web_server_answers_by_itself_is_a_page_of_ours(nodes: Deployment, method: str, path: str, status: int):
    found, page, policy = fetch(nodes, nodes.port, method, path)
    assert found == status and f"Status {status}" in page and "frame-ancestors 'none'" in policy
    assert "nginx" not in page


def test_every_error_that_a_page_is_named_for_has_its_page(nodes: Deployment):
    snippet = (nodes.config / "snippets/site.conf").read_text()
    named = set(re.findall(r"/errors/(\d+)\.html", snippet))
    folder = pathlib.Path(__file__).parents[2] / "templates/errors"
    assert named == {file.stem for file in folder.iterdir()}
    for file in folder.iterdir():
        text = file.read_text()
        assert re.search(r"<h1>[^<]+</h1>\n\s*<p>[^<]+</p>", text), file
