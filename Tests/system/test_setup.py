"""`nodesctl setup` on a machine whose /etc is the test's own: it happens in a mount namespace that ends with it.

The whole life of an installation, with a local PostgreSQL and the packages, is `scripts/packaging/try-in-chroot`.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess

import psycopg2
import pytest

from support.deployment import ROOT

HOST = "pair.example.net"


class Machine:
    """Folders that stand in for those of a machine on which the package was just installed."""

    def __init__(self, folder: pathlib.Path, nodesctl: pathlib.Path):
        self.nodesctl = nodesctl
        self.etc = folder / "goclaw-nodes"
        self.nginx = folder / "nginx"
        self.share = folder / "share"
        self.var = folder / "var"
        for place in (self.etc, self.var):
            place.mkdir()
        shutil.copytree("/etc/nginx", self.nginx, symlinks=True)
        shutil.copytree(ROOT / "nginx", self.share / "nginx")
        shutil.copytree(ROOT / "templates", self.share / "templates")
        self.groups = folder / "group"
        self.groups.write_text(pathlib.Path("/etc/group").read_text() + "goclaw-nodes:x:65432:\n")

    def setup(self, *arguments: str) -> subprocess.CompletedProcess:
        mounts = {
            self.etc: "/etc/goclaw-nodes", self.nginx: "/etc/nginx", self.share: "/usr/share/goclaw-nodes",
            self.var: "/var/log/nginx", self.groups: "/etc/group",
        }  # fmt: skip
        steps = "\n".join(f"mount --bind '{source}' {target}" for source, target in mounts.items())
        # The folders that only the package has are made on a layer of memory over those that are there.
        script = f"""
            for place in /etc /usr/share; do
                mkdir -p "$0/$place/upper" "$0/$place/work"
                mount -t overlay overlay -o "lowerdir=$place,upperdir=$0/$place/upper,workdir=$0/$place/work" $place
                mkdir -p $place/goclaw-nodes
            done
            {steps}
            exec "$@"
        """
        layer = self.var.parent / "layer"
        shutil.rmtree(layer, ignore_errors=True)
        layer.mkdir()
        sudo = [] if os.geteuid() == 0 else ["sudo"]
        memory = f"mount -t tmpfs tmpfs '{layer}'\n"
        return subprocess.run(
            [*sudo, "unshare", "--mount", "sh", "-ec", memory + script, layer, self.nodesctl, "setup", *arguments],
            capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip


@pytest.fixture
def machine(tmp_path, built):
    return Machine(tmp_path, built / "nodesctl")


@pytest.fixture
def urls(nodes):
    """An empty database, with a role for the servers beside its owner: what the two connect with."""
    nodes.rows("CREATE ROLE setup_server LOGIN")
    nodes.rows("CREATE DATABASE setup ENCODING 'UTF8' TEMPLATE template0")
    owner = nodes.database_url.replace("/nodes?", "/setup?")
    yield owner, owner.replace("nodes@", "setup_server@")
    nodes.rows("DROP DATABASE setup WITH (FORCE)")
    nodes.rows("DROP ROLE setup_server")


def test_one_command_makes_schema_account_configuration_certificate_and_nginx_of_a_machine(machine, urls):
    owner, servers = urls
    arguments = (
        "--host", HOST, "--database", servers, "--owner-database", owner, "--self-signed", "--gateways", "3",
        "--kernels", "1", "--yes", "--no-start", "--json",
    )  # fmt: skip
    done = machine.setup(*arguments)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["url"] == f"https://{HOST}/nodes" and len(answer["password"]) == 24 and not answer["started"]
    assert owner not in done.stderr and answer["password"] not in done.stderr

    configuration = json.loads((machine.etc / "nodes.json").read_text())
    assert configuration["database"]["url"] == servers
    assert (machine.etc / "nodes.json").stat().st_mode & 0o777 == 0o640
    key = machine.etc / "tls/privkey.pem"
    assert key.stat().st_mode & 0o077 == 0
    certificate = machine.etc / "tls/fullchain.pem"
    shown = subprocess.run(
        ["openssl", "x509", "-in", certificate, "-noout", "-checkhost", HOST], capture_output=True, text=True
    )
    assert "does match" in shown.stdout
    nginx = (machine.nginx / "nginx.conf").read_text()
    assert len(re.findall(r"server unix:/run/goclaw-nodes/gateway-\d\.sock", nginx)) == 3
    assert len(re.findall(r"server unix:/run/goclaw-nodes/kernel-\d\.sock", nginx)) == 1
    assert "include snippets/site.conf" in nginx and (machine.nginx / "snippets/site.conf").exists()
    # The stock file was replaced, and is kept.
    assert (machine.nginx / "nginx.conf.before-setup").read_text() == pathlib.Path("/etc/nginx/nginx.conf").read_text()

    with contextlib.closing(psycopg2.connect(servers)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT username FROM admins")
        assert cursor.fetchall() == [("admin",)]
        cursor.execute("SELECT has_table_privilege('events', 'INSERT'), has_table_privilege('events', 'DELETE')")
        assert cursor.fetchall() == [(True, False)]

    fingerprint, text = certificate.read_bytes(), nginx
    again = machine.setup(*arguments)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["password"] is None
    assert "== write" not in again.stderr
    assert certificate.read_bytes() == fingerprint and (machine.nginx / "nginx.conf").read_text() == text


def test_what_somebody_changed_is_left_alone_and_nothing_is_done(machine, urls):
    owner, servers = urls
    nginx = machine.nginx / "nginx.conf"
    nginx.write_text("# mine\n")
    arguments = ("--host", HOST, "--database", servers, "--owner-database", owner, "--self-signed", "--yes", "--no-start")
    done = machine.setup(*arguments)
    assert done.returncode == 65
    assert "/etc/nginx/nginx.conf is there and says something else" in done.stderr and "--replace" in done.stderr
    assert nginx.read_text() == "# mine\n" and not list(machine.etc.iterdir())
    with contextlib.closing(psycopg2.connect(owner)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('admins')")
        assert cursor.fetchall() == [(None,)]
    done = machine.setup(*arguments, "--replace")
    assert done.returncode == 0, done.stderr
    assert (machine.nginx / "nginx.conf.before-setup").read_text() == "# mine\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--database", "local", "--self-signed", "--yes"], "--host is missing"),
        (["--host", HOST, "--database", "local", "--yes"], "--certificate or --self-signed is missing"),
        (["--host", HOST, "--database", "local", "--self-signed"], "Add --yes"),
        (["--host", "https://x.example", "--database", "local", "--self-signed", "--yes"], "without a scheme"),
        (["--host", HOST, "--database", "db.example.org", "--self-signed", "--yes"], "no connection string"),
        (["--host", HOST, "--database", "local", "--self-signed", "--kernels", "0", "--yes"], "0 kernels cannot be"),
        (["--host", HOST, "--database", "local", "--certificate", "/nowhere", "--yes"], "belong together"),
        (
            ["--host", HOST, "--database", "local", "--certificate", "/no", "--certificate-key", "/no", "--yes"],
            "/no is no file",
        ),
    ],
)
def test_what_is_missing_or_wrong_is_said_before_anything_is_done(machine, arguments, said):
    done = machine.setup(*arguments)
    assert done.returncode == 64 and said in done.stderr, done.stderr
    assert not list(machine.etc.iterdir())


def test_a_database_that_cannot_be_reached_is_said_with_what_was_run(machine):
    nowhere = "postgresql://nobody@127.0.0.1:1/nodes"
    done = machine.setup("--host", HOST, "--database", nowhere, "--self-signed", "--yes", "--no-start")
    assert done.returncode == 1
    assert "nodesctl migrate ended with 69" in done.stderr and "PostgreSQL cannot be reached" in done.stderr
    assert "run the same nodesctl setup again" in done.stderr
