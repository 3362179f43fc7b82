"""nginx behind another proxy on a unix socket: clients have the address that proxy says, or everybody is told why not."""

import http.client
import pathlib
import re
import shutil
import socket
import subprocess
import urllib.parse

import pytest
from support.administrator import Page
from support.deployment import PASSWORD, Deployment, eventually

CLIENT = "198.51.100.23"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: pathlib.Path) -> None:
        super().__init__("127.0.0.1")
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(self.path))


@pytest.fixture
def front(nodes: Deployment, tmp_path: pathlib.Path):
    """Starts the deployment's nginx once more, on a unix socket: `front("set_real_ip_from unix:; …")`."""
    started: list[subprocess.Popen] = []
    folder = nodes.run / "nginx-unix"

    def start(directives: str = "") -> pathlib.Path:
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
        path = folder / f"front-{len(started)}.sock"
        text = (nodes.config / "nginx.conf").read_text()
        text = re.sub(rf"listen 127\.0\.0\.1:{nodes.port}[^;]*;", f'listen "unix:{path}" default_server;', text)
        text = re.sub(r"listen 127\.0\.0\.1:\d+[^;]*;", f'listen "unix:{folder}/other-{len(started)}.sock";', text)
        text = text.replace(f'pid "{nodes.run}/nginx.pid"', f'pid "{folder}/{len(started)}.pid"')
        text = text.replace("http {", "http {\n" + directives, 1)
        # The proxy in front shows what was dialled.
        config = nodes.config / f"nginx-unix-{len(started)}.conf"
        config.write_text(text)
        program = shutil.which("nginx", path="/usr/local/sbin:/usr/sbin:/usr/bin")
        started.append(
            subprocess.Popen(
                [program, "-e", str(nodes.log / "unix-error.log"), "-p", str(nodes.run / "nginx"), "-c", str(config)]
            )
        )
        eventually(path.exists, "nginx listens on its unix socket")
        return path

    yield start
    for process in started:
        process.terminate()
        process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def send(nodes: Deployment, path: pathlib.Path, method: str, target: str, body: str = "", **headers: str):
    connection = UnixConnection(path)
    connection.request(
        method, target, body,
        {"Host": urllib.parse.urlsplit(nodes.origin).netloc, "X-Forwarded-For": CLIENT, **headers},
    )  # fmt: skip
    answer = connection.getresponse()
    return answer, Page(answer) if method == "POST" or target == "/login" else answer.read().decode()


def sign_in(nodes: Deployment, path: pathlib.Path):
    answer, page = send(nodes, path, "GET", "/login")
    form = page.form("/login")
    form.fields.update({"username": "admin", "password": PASSWORD})
    cookie = answer.headers["Set-Cookie"].split(";")[0]
    return send(
        nodes, path, "POST", "/login", urllib.parse.urlencode(form.fields),
        Origin=nodes.origin, Cookie=cookie, **{"Content-Type": "application/x-www-form-urlencoded"},
    )  # fmt: skip


UPGRADE = {
    "Upgrade": "websocket", "Connection": "upgrade", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}  # fmt: skip


def test_behind_a_proxy_that_nginx_believes_clients_have_their_own_address(nodes: Deployment, front):
    path = front("set_real_ip_from unix:; real_ip_header X-Forwarded-For;")
    assert sign_in(nodes, path)[0].status == 303
    assert send(nodes, path, "GET", "/ws", **UPGRADE)[0].status == 101
    assert nodes.rows("SELECT 1 FROM events WHERE event = 'admin.signed_in' AND address = %s", CLIENT)


def test_behind_a_proxy_that_nginx_does_not_believe_answer_and_log_say_what_to_write(nodes: Deployment, front):
    path = front()
    advice = "set_real_ip_from unix:;"
    answer, page = sign_in(nodes, path)
    assert answer.status == 500 and advice in page.text, page.text
    answer, text = send(nodes, path, "GET", "/ws", **UPGRADE)
    assert answer.status == 400 and advice in text
    logs = [nodes.log_of(process) for process in nodes.processes if "kernel" in process.name or "gateway" in process.name]
    assert sum(advice in log for log in logs) >= 2
