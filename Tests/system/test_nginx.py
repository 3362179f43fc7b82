"""nginx's configurations: both are valid, and only what is public is reachable."""

import http.client
import pathlib
import re
import shutil
import subprocess

import pytest

from support.deployment import ROOT, free_ports


def check(configuration: pathlib.Path) -> None:
    done = subprocess.run(
        ["nginx", "-t", "-e", "stderr", "-p", str(configuration.parent), "-c", str(configuration)],
        capture_output=True, text=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr, done.stderr


def test_the_production_configuration_is_valid(tmp_path):
    shutil.copytree(ROOT / "nginx/snippets", tmp_path / "snippets")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "1", "-subj", "/CN=nodes.example.org",
         "-keyout", str(tmp_path / "privkey.pem"), "-out", str(tmp_path / "fullchain.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    text = (ROOT / "nginx/production.conf").read_text()
    # Only what belongs to the machine is replaced: paths, and the ports that need root or may be taken.
    plain, tls, status = free_ports(3)
    for found, put in {
        r"/etc/goclaw-nodes/tls": str(tmp_path),
        r"/run/nginx.pid": str(tmp_path / "nginx.pid"),
        r"/var/log/nginx": str(tmp_path),
        r"(listen (?:\[::\]:)?)443 ": rf"\g<1>{tls} ",
        r"(listen (?:\[::\]:)?)80 ": rf"\g<1>{plain} ",
        r"127\.0\.0\.1:8081": f"127.0.0.1:{status}",
        r"(?m)^user .*;$": "",
    }.items():
        text, count = re.subn(found, put, text)
        assert count, f"production.conf has no {found}"
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(text)
    check(configuration)


def test_the_rendered_development_configuration_is_valid(nodes):
    check(nodes.config / "nginx.conf")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/gateway/0/healthz", "/kernel/0/metrics"])
def test_health_and_metrics_are_not_public(nodes, path):
    assert nodes.browser_session().get(path).status == 404


@pytest.mark.parametrize("path", ["healthz", "readyz", "metrics"])
@pytest.mark.parametrize("process", ["gateway/0", "gateway/1", "kernel/0", "kernel/1"])
def test_every_process_has_its_health_and_metrics_on_the_loopback_listener(nodes, process, path):
    status, body = nodes.status(f"{process}/{path}")
    assert status == 200
    assert path != "metrics" or "# TYPE" in body


def test_static_files_are_cached_and_never_sniffed(nodes):
    for file in sorted((ROOT / "templates/static").iterdir()):
        page = nodes.browser_session().get(f"/static/{file.name}")
        assert page.status == 200
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert "max-age=3600" in ",".join(page.headers.get_all("Cache-Control"))


@pytest.mark.parametrize("path", ["/static/", "/static/missing.css", "/static/../nodes.mustache", "/static/%2e%2e/x"])
def test_static_serves_nothing_but_its_own_files(nodes, path):
    assert nodes.browser_session().get(path).status in (302, 303, 400, 403, 404)


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        ("POST", "/login", {"Content-Type": "application/x-www-form-urlencoded"}, b"x" * 70_000, 413),
        ("POST", "/nodes", {"Content-Type": "application/x-www-form-urlencoded"}, b"a=1&" * 20_000, 413),
        ("GET", "/nodes?q=" + "x" * 9_000, {}, None, 414),
        ("GET", "/nodes", {"Cookie": "a=" + "x" * 9_000}, None, 431),
        ("GET", "/ws", {"Cookie": "a=" + "x" * 40_000}, None, 431),
        ("GET", "/nodes", {"Host": "a b"}, None, 400),
        ("GET", "/%", {}, None, 400),
    ],
)
def test_what_the_web_server_refuses_says_what_was_wrong(nodes, method, path, headers, body, status):
    page = nodes.browser_session().send(method, path, body, headers)
    assert page.status == status
    assert f"Status {status}" in page.text and "Nothing was changed." in page.text and "nginx" not in page.body
    assert page.headers.get_all("Cache-Control") == ["no-store"]
    assert page.headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]


def test_the_pages_of_refusals_have_no_address_of_their_own(nodes):
    assert nodes.browser_session().get("/errors/413.html").status == 404


def test_an_unknown_host_is_not_served(nodes):
    connection = http.client.HTTPConnection("127.0.0.1", nodes.port, timeout=60)
    connection.request("GET", "/login", headers={"Host": "evil.example"})
    assert connection.getresponse().status == 421
    connection.close()
