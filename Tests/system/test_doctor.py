"""`nodesctl doctor` has nothing to say of a deployment that is well, and finds every mistake that is planted in one."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess

import pytest

from nodes_stack.accounts import web_account
from support.deployment import Deployment, free_ports

ROLE = "patient"


class Patient:
    """What an operator has in their hands, as copies that a test may spoil; the servers run undisturbed."""

    def __init__(self, nodes: Deployment, folder: pathlib.Path) -> None:
        self.nodes = nodes
        self.folder = folder
        self.configuration = folder / "nodes.json"
        self.channels = folder / "channels"
        shutil.copytree(nodes.state / "channels", self.channels)
        self.values = json.loads((nodes.config / "gateway-0.json").read_text())
        self.values["database"]["url"] = nodes.database_url.replace("://nodes@", f"://{ROLE}@")
        self.values["channels"]["directory"] = str(self.channels)
        self.values["kernel"] = {"socket": str(nodes.socket_path("kernel-0"))}
        # What fits whatever the machine allows.
        self.values["gateway"] |= {"sockets": 1000, "unauthenticated_sockets": 500}
        self.configuration.touch(mode=0o640)
        self.save()
        shutil.copytree(nodes.config / "snippets", folder / "snippets")
        self.nginx = folder / "nginx.conf"
        shutil.copy(nodes.config / "nginx.conf", self.nginx)
        self.certificate("90")
        self.change(self.nginx, "backlog=4096 default_server;", "backlog=4096 default_server;\n"
                    "ssl_certificate certificate.pem;\nssl_certificate_key key.pem;")  # fmt: skip
        self.cleanup = contextlib.ExitStack()

    def save(self) -> None:
        self.configuration.write_text(json.dumps(self.values))

    def certificate(self, days: str) -> None:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", days, "-subj", "/CN=127.0.0.1",
             "-keyout", str(self.folder / "key.pem"), "-out", str(self.folder / "certificate.pem")],
            check=True, capture_output=True,
        )  # fmt: skip

    def change(self, path: pathlib.Path, found: str, put: str) -> None:
        text = path.read_text()
        assert found in text, f"{path} has no {found}"
        path.write_text(text.replace(found, put))

    def listener(self, name: str, mode: int) -> pathlib.Path:
        """A socket that listens, in the place of a gateway."""
        path = self.folder / name
        server = self.cleanup.enter_context(socket.socket(socket.AF_UNIX))
        server.bind(str(path))
        path.chmod(mode)
        server.listen()
        return path

    def upstream(self, path: pathlib.Path) -> None:
        """One more gateway for nginx."""
        self.change(self.nginx, "least_conn;", f"least_conn;\nserver unix:{path} max_fails=0;")

    def sql(self, statement: str, undo: str) -> None:
        self.nodes.rows(statement)
        self.cleanup.callback(self.nodes.rows, undo)

    def examine(self, *options: str) -> tuple[int, list[dict]]:
        """The exit status and what is wrong."""
        done = self.nodes.nodesctl(
            "doctor", "--json", "--config", str(self.configuration), "--nginx", str(self.nginx), *options, check=False
        )
        assert done.stdout, done.stderr
        findings = json.loads(done.stdout)["findings"]
        return done.returncode, [found for found in findings if found["severity"] in ("error", "warning")]


@pytest.fixture(scope="module")
def role(shared_deployment: Deployment):
    """A role for the servers alone, with the rights that doctor itself says it lacks."""
    shared_deployment.rows(f"CREATE ROLE {ROLE} LOGIN")
    yield ROLE
    shared_deployment.rows(f"DROP OWNED BY {ROLE}")
    shared_deployment.rows(f"DROP ROLE {ROLE}")


@pytest.fixture
def patient(nodes: Deployment, role, tmp_path):
    subject = Patient(nodes, tmp_path)
    _, findings = subject.examine()
    for found in findings:
        assert found["check"] == "database.schema", findings
        grants = re.search(r"Run as its owner: (.*)\.$", found["found"])[1]
        for grant in grants.split("; "):
            nodes.rows(grant)
    with subject.cleanup:
        yield subject


def test_a_deployment_that_is_well_has_no_finding(patient: Patient):
    assert patient.examine("--strict") == (0, [])


def test_the_text_says_what_was_looked_at(patient: Patient):
    done = patient.nodes.nodesctl(
        "doctor", "--config", str(patient.configuration), "--nginx", str(patient.nginx)
    )  # fmt: skip
    assert done.stdout.endswith("\nNothing is wrong in what was looked at.\n")
    for check in ("configuration.file", "socket.listener", "nginx.websocket_timeouts", "database.clock",
                  "channels.plugin"):  # fmt: skip
        assert f"ok: {check}: " in done.stdout


def test_what_make_run_starts_has_no_error(nodes: Deployment):
    done = nodes.nodesctl("doctor", "--json", "--nginx", str(nodes.config / "nginx.conf"))
    findings = json.loads(done.stdout)
    assert findings["errors"] == 0
    # Its private database has one role for everything.
    assert "database.role" in {found["check"] for found in findings["findings"] if found["severity"] == "warning"}


# The mistakes. Each spoils one thing.


def readable_by_all(patient: Patient) -> None:
    patient.configuration.chmod(0o644)


def writable_by_the_group(patient: Patient) -> None:
    patient.configuration.chmod(0o660)


def missing_configuration(patient: Patient) -> None:
    patient.configuration.unlink()


def unknown_key(patient: Patient) -> None:
    patient.values["gateway"]["sokets"] = 7
    patient.save()


def insecure_origin(patient: Patient) -> None:
    patient.values["gateway"]["public_origins"].append(f"http://nodes.example.org:{patient.nodes.port}")
    patient.save()


def origin_without_a_listener(patient: Patient) -> None:
    [port] = free_ports(1)
    patient.values["gateway"]["public_origins"].append(f"http://localhost:{port}")
    patient.save()


def missing_templates(patient: Patient) -> None:
    patient.values["templates"]["directory"] = str(patient.folder / "nowhere")
    patient.save()


def stale_socket(patient: Patient) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(patient.folder / "stale.sock"))
    (patient.folder / "stale.sock").chmod(0o660)
    os.chown(patient.folder / "stale.sock", -1, web_account().gid)
    patient.upstream(patient.folder / "stale.sock")


def missing_socket(patient: Patient) -> None:
    patient.upstream(patient.folder / "missing.sock")


def file_for_a_socket(patient: Patient) -> None:
    (patient.folder / "file.sock").touch()
    patient.upstream(patient.folder / "file.sock")


def long_path(patient: Patient) -> None:
    patient.upstream(patient.folder / ("x" * 110))


def socket_for_all(patient: Patient) -> None:
    patient.upstream(patient.listener("open.sock", 0o666))


def socket_without_the_web_account(patient: Patient) -> None:
    patient.change(patient.nginx, "worker_processes", "user nobody;\nworker_processes")
    text = patient.nginx.read_text()
    patient.nginx.write_text(re.sub(r"^user (?!nobody).*;$", "", text, flags=re.M))


def short_read_timeout(patient: Patient) -> None:
    patient.change(patient.folder / "snippets/gateway.conf", "proxy_read_timeout 360s", "proxy_read_timeout 60s")


def long_silence(patient: Patient) -> None:
    patient.values["gateway"] |= {"silence_timeout": "150s"}
    patient.save()


def forwarded_address_believed(patient: Patient) -> None:
    patient.change(
        patient.folder / "snippets/gateway.conf", "X-Real-IP $remote_addr", "X-Real-IP $http_x_forwarded_for"
    )


def kept_connections(patient: Patient) -> None:
    patient.change(patient.folder / "snippets/kernel.conf", "fastcgi_keep_conn off", "fastcgi_keep_conn on")


def small_body(patient: Patient) -> None:
    patient.change(patient.folder / "snippets/http.conf", "client_max_body_size 64k", "client_max_body_size 1k")


def short_page_timeout(patient: Patient) -> None:
    patient.change(patient.folder / "snippets/kernel.conf", "fastcgi_read_timeout 60s", "fastcgi_read_timeout 5s")


def few_worker_connections(patient: Patient) -> None:
    text = patient.nginx.read_text()
    patient.nginx.write_text(re.sub(r"worker_connections \d+;", "worker_connections 100;", text))


def no_shutdown_timeout(patient: Patient) -> None:
    patient.change(patient.nginx, "worker_shutdown_timeout 5m;", "")


def public_health(patient: Patient) -> None:
    patient.change(
        patient.nginx, f"listen 127.0.0.1:{patient.nodes.status_port}", f"listen {patient.nodes.status_port}"
    )


def missing_include(patient: Patient) -> None:
    (patient.folder / "snippets/site.conf").unlink()


def ending_certificate(patient: Patient) -> None:
    patient.certificate("5")


def no_certificate(patient: Patient) -> None:
    (patient.folder / "certificate.pem").write_text("nothing")


def key_for_all(patient: Patient) -> None:
    (patient.folder / "key.pem").chmod(0o644)


def writable_plugin(patient: Patient) -> None:
    next(patient.channels.glob("*.so")).chmod(0o775)


def changed_plugin(patient: Patient) -> None:
    with open(next(patient.channels.glob("*.so")), "ab") as library:
        library.write(b"x")


def writable_folder_of_plugins(patient: Patient) -> None:
    patient.channels.chmod(0o777)


def no_plugins(patient: Patient) -> None:
    shutil.rmtree(patient.channels)
    patient.channels.mkdir()


def unreachable_database(patient: Patient) -> None:
    patient.values["database"]["url"] = f"postgresql://nobody@/nodes?host={patient.folder}"
    patient.save()


def missing_database(patient: Patient) -> None:
    patient.values["database"]["url"] = patient.values["database"]["url"].replace("/nodes?", "/other?")
    patient.save()


def foreign_encoding(patient: Patient) -> None:
    patient.sql(
        "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0", "DROP DATABASE latin WITH (FORCE)"
    )
    patient.values["database"]["url"] = patient.values["database"]["url"].replace("/nodes?", "/latin?")
    patient.save()


def empty_database(patient: Patient) -> None:
    patient.sql("CREATE DATABASE empty TEMPLATE template0", "DROP DATABASE empty WITH (FORCE)")
    patient.values["database"]["url"] = patient.values["database"]["url"].replace("/nodes?", "/empty?")
    patient.save()


def asynchronous_commits(patient: Patient) -> None:
    patient.sql(f"ALTER ROLE {ROLE} SET synchronous_commit = off", f"ALTER ROLE {ROLE} RESET synchronous_commit")


def read_only(patient: Patient) -> None:
    patient.sql(
        f"ALTER ROLE {ROLE} SET default_transaction_read_only = on",
        f"ALTER ROLE {ROLE} RESET default_transaction_read_only",
    )


def too_many_connections(patient: Patient) -> None:
    patient.values["database"]["pool_size"] = 100
    patient.save()


def missing_right(patient: Patient) -> None:
    patient.sql(f"REVOKE INSERT ON events FROM {ROLE}", f"GRANT INSERT ON events TO {ROLE}")


def role_that_may_delete_events(patient: Patient) -> None:
    patient.sql(f"GRANT DELETE ON events TO {ROLE}", f"REVOKE DELETE ON events FROM {ROLE}")


def superuser(patient: Patient) -> None:
    patient.sql(f"ALTER ROLE {ROLE} SUPERUSER", f"ALTER ROLE {ROLE} NOSUPERUSER")


MISTAKES = [
    (readable_by_all, "configuration.file", "error"),
    (writable_by_the_group, "configuration.file", "error"),
    (missing_configuration, "configuration", "error"),
    (unknown_key, "configuration.values", "error"),
    (insecure_origin, "configuration.origins", "error"),
    (missing_templates, "configuration.templates", "error"),
    (origin_without_a_listener, "nginx.origins", "warning"),
    (stale_socket, "socket.listener", "error"),
    (missing_socket, "socket.path", "error"),
    (file_for_a_socket, "socket.path", "error"),
    (long_path, "socket.path", "error"),
    (socket_for_all, "socket.mode", "error"),
    (short_read_timeout, "nginx.websocket_timeouts", "error"),
    (long_silence, "nginx.websocket_timeouts", "error"),
    (forwarded_address_believed, "nginx.websocket_headers", "error"),
    (kept_connections, "nginx.fastcgi_keep_conn", "error"),
    (small_body, "nginx.body_size", "warning"),
    (short_page_timeout, "nginx.page_timeout", "warning"),
    (few_worker_connections, "nginx.worker_connections", "warning"),
    (no_shutdown_timeout, "nginx.worker_shutdown_timeout", "warning"),
    (missing_include, "nginx.configuration", "error"),
    (public_health, "nginx.status_listener", "error"),
    (ending_certificate, "nginx.certificate", "warning"),
    (no_certificate, "nginx.certificate", "error"),
    (key_for_all, "nginx.certificate_key", "error"),
    (writable_plugin, "channels.plugin", "error"),
    (changed_plugin, "channels.plugin", "error"),
    (writable_folder_of_plugins, "channels.plugin", "error"),
    (no_plugins, "channels.plugin", "error"),
    (unreachable_database, "database.connection", "error"),
    (missing_database, "database.connection", "error"),
    (foreign_encoding, "database.connection", "error"),
    (empty_database, "database.schema", "error"),
    (asynchronous_commits, "database.synchronous_commit", "warning"),
    (read_only, "database.writable", "error"),
    (too_many_connections, "database.max_connections", "warning"),
    (missing_right, "database.schema", "error"),
    (role_that_may_delete_events, "database.role", "warning"),
    (superuser, "database.role", "warning"),
]  # fmt: skip
if os.geteuid() == 0:
    # Otherwise nginx's workers have no account of their own.
    MISTAKES.append((socket_without_the_web_account, "socket.mode", "error"))


@pytest.mark.parametrize(("plant", "check", "severity"), MISTAKES)
def test_a_planted_mistake_is_found_with_what_to_do(patient: Patient, plant, check, severity):
    plant(patient)
    status, findings = patient.examine()
    assert findings, "nothing was found"
    for found in findings:
        assert found["check"].startswith(check), found
        assert found["severity"] == severity
        assert found["found"] and found["expected"] and found["advice"]
    assert status == (1 if severity == "error" else 0)
    assert severity == "error" or patient.examine("--strict")[0] == 1


def test_what_cannot_be_looked_at_is_no_mistake_and_is_said(patient: Patient):
    done = patient.nodes.nodesctl(
        "doctor", "--strict", "--config", str(patient.configuration), "--nginx", str(patient.folder / "elsewhere.conf")
    )
    assert "skipped: nginx.configuration: " in done.stdout and "No such file or directory" in done.stdout


def test_nothing_is_changed(patient: Patient):
    before = {path: path.stat().st_mtime_ns for path in patient.folder.rglob("*")}
    events = patient.nodes.rows("SELECT max(position) FROM events")
    patient.examine()
    assert {path: path.stat().st_mtime_ns for path in patient.folder.rglob("*")} == before
    assert patient.nodes.rows("SELECT max(position) FROM events") == events
