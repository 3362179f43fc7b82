"""What `make package` makes: packages of the build under test, unpacked beside the system, and their programs run."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from support.deployment import ROOT, binaries

SWIFT = "usr/lib/goclaw-nodes/swift"
LOADER = "/lib64/ld-linux-x86-64.so.2"


def run(*command, **options) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(folder: pathlib.Path) -> list[pathlib.Path]:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000", "PACKAGE_COMPRESSION": "none"}
    shown = run(ROOT / "scripts/packaging/build", binaries(), folder, env=environment)
    return [pathlib.Path(line) for line in shown.splitlines()]


@pytest.fixture(scope="module")
def packages(tmp_path_factory) -> dict[str, pathlib.Path]:
    made = build(tmp_path_factory.mktemp("packages"))
    return {path.name.split("_")[0]: path for path in made}


@pytest.fixture(scope="module")
def tree(packages, tmp_path_factory) -> pathlib.Path:
    """The package goclaw-nodes, unpacked."""
    folder = tmp_path_factory.mktemp("tree")
    run("dpkg-deb", "--raw-extract", packages["goclaw-nodes"], folder)
    return folder


def fields(package: pathlib.Path) -> dict[str, str]:
    text = run("dpkg-deb", "--field", package)
    return dict(re.findall(r"^(\S+): (.*)$", text, re.M))


def test_there_are_two_packages_whose_files_belong_to_root_and_are_writable_by_no_one_else(packages):
    assert sorted(packages) == ["goclaw-nodes", "goclaw-nodes-channel-dev"]
    for package in packages.values():
        for line in run("dpkg-deb", "--contents", package).splitlines():
            mode, owner = line.split()[:2]
            assert owner == "root/root" and mode[5] == "-" and mode[8] == "-", line


def test_made_twice_they_are_the_same_bytes(packages, tmp_path):
    for again in build(tmp_path):
        first = packages[again.name.split("_")[0]]
        assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(first.read_bytes()).digest(), again.name


def test_they_depend_on_debians_packages_alone_and_never_on_a_toolchain(packages):
    depends = fields(packages["goclaw-nodes"])["Depends"]
    for name in ("libc6", "libpq5", "libssl3", "libfcgi0", "adduser"):
        assert name in depends
    assert "swift" not in depends and not re.search(r"\b(clang|gcc|python3|-dev)\b", depends)


@pytest.mark.parametrize("program", ["nodesctl", "nodes-kernel", "nodes-gateway"])
def test_a_program_runs_on_the_swift_runtime_of_the_package_alone(tree, program):
    shown = run("readelf", "-d", tree / "usr/bin" / program)
    assert re.findall(r"\(R(?:UN)?PATH\).*\[(.*)\]", shown) == [f"/{SWIFT}"]
    # The loader is told where the folder lies as long as it is unpacked beside the system.
    environment = {"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": str(tree / SWIFT)}
    listed = run(LOADER, "--list", tree / "usr/bin" / program, env=environment)
    assert "not found" not in listed
    for line in listed.splitlines():
        if "libswift" in line or "Foundation" in line or "libdispatch" in line:
            assert str(tree / SWIFT) in line, line
    assert "libpq" in run(tree / "usr/bin" / program, "--version", env=environment)


def test_the_channels_are_those_that_their_manifests_describe(tree):
    folder = tree / "usr/lib/goclaw-nodes/channels"
    manifests = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
    assert sorted(manifests) == ["iot", "mobile", "openclaw", "web"]
    for name, manifest in manifests.items():
        library = folder / f"{name}.so"
        assert hashlib.sha256(library.read_bytes()).hexdigest() == manifest["sha256"]
        assert f"[/{SWIFT}]" in run("readelf", "-d", library)


def test_what_the_configurations_name_is_in_the_package(tree):
    assert (tree / "usr/share/goclaw-nodes/templates/layout.mustache").exists()
    assert (tree / "usr/share/goclaw-nodes/templates/static/pages.css").exists()
    nginx = tree / "usr/share/goclaw-nodes/nginx"
    for snippet in re.findall(r"include (snippets/\S+);", (nginx / "production.conf").read_text()):
        assert (nginx / snippet).exists(), snippet


def test_the_man_pages_have_every_command_and_option(tree):
    help_text = run(binaries() / "nodesctl", "--help")
    commands = re.findall(r"^  ([a-z]+) +\S", help_text.split("SUBCOMMANDS:")[1].split("\n\n")[0], re.M)
    assert len(commands) > 10
    page = run("gzip", "-dc", tree / "usr/share/man/man1/nodesctl.1.gz")
    for command in commands:
        assert f".SS nodesctl {command}" in page, command
    for program in ("nodes-kernel", "nodes-gateway"):
        assert "\\-\\-config" in run("gzip", "-dc", tree / f"usr/share/man/man8/{program}.8.gz")


@pytest.mark.parametrize(
    ("shell", "place"),
    [("bash", "bash-completion/completions/nodesctl"), ("zsh", "zsh/vendor-completions/_nodesctl"),
     ("fish", "fish/vendor_completions.d/nodesctl.fish")],
)  # fmt: skip
def test_the_shells_complete_every_command(tree, shell, place):
    text = (tree / "usr/share" / place).read_text()
    for command in ("doctor", "revoke", "channels"):
        assert command in text
    if shell == "bash":
        run("bash", "-n", tree / "usr/share" / place)


@pytest.mark.parametrize("script", ["postinst", "prerm", "postrm"])
def test_the_scripts_of_the_package_are_valid_shell(tree, script):
    assert os.access(tree / "DEBIAN" / script, os.X_OK)
    run("sh", "-n", tree / "DEBIAN" / script)


def test_purging_asks_and_keeps_the_configuration_unless_told(tree):
    assert "Default: false" in (tree / "DEBIAN/templates").read_text()
    postrm = (tree / "DEBIAN/postrm").read_text()
    assert 'if [ "$remove" = true ]; then\n        rm -rf /etc/goclaw-nodes' in postrm
    assert "remove=false" in postrm and "DROP DATABASE" not in postrm


@pytest.mark.parametrize("unit", ["goclaw-gateway@.service", "goclaw-kernel@.service"])
def test_the_units_are_valid_and_hardened(tree, unit, tmp_path):
    program = shutil.which("systemd-analyze")
    assert program, "systemd-analyze is not on this machine; scripts/install-dependencies test installs it"
    units = tmp_path / "units"
    shutil.copytree(tree / "lib/systemd/system", units)
    text = (units / unit).read_text()
    command = re.search(r"^ExecStart=(\S+)", text, re.M)[1]
    assert os.access(str(tree) + command, os.X_OK)
    # It looks whether the program is there, which it is once the package is installed.
    (units / unit).write_text(text.replace(command, str(tree) + command).replace("man:", "https://man.example.org/"))
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:"}
    done = subprocess.run(
        [program, "verify", "--man=no", str(units / unit.replace("@", "@0"))], env=environment, capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0 and unit.partition("@")[0] not in done.stderr, done.stderr
    shown = run(program, "security", "--offline=true", "--threshold=25", units / unit)
    level = float(re.search(r"exposure level for .*: ([\d.]+)", shown)[1])
    assert level <= 2.5


def test_the_header_of_the_package_for_authors_builds_its_own_example(packages, tmp_path):
    run("dpkg-deb", "--extract", packages["goclaw-nodes-channel-dev"], tmp_path)
    example = tmp_path / "usr/share/doc/goclaw-nodes-channel-dev/examples/c-echo/echo.c"
    library = tmp_path / "echo.so"
    run("gcc", "-Wall", "-Werror", "-fPIC", "-shared", "-I", tmp_path / "usr/include", example, "-o", library)
    assert "goclaw_channel_entry" in run("readelf", "-Ws", "--dyn-syms", library)
    found = {path.name for path in example.parents[1].iterdir()}
    assert {"c-echo", "rust-gauge", "swift-sensor"} <= found


def test_the_bill_of_materials_names_everything_that_the_package_is_made_of(tree, packages):
    folder = tree / "usr/share/doc/goclaw-nodes"
    document = json.loads((folder / "sbom.spdx.json").read_text())
    assert document["spdxVersion"] == "SPDX-2.3"
    by_identifier = {package["SPDXID"]: package for package in document["packages"]}
    assert len(by_identifier) == len(document["packages"])
    named = {package["name"]: package for package in document["packages"]}
    for pin in json.loads((ROOT / "Package.resolved").read_text())["pins"]:
        package = named[pin["identity"]]
        assert package["versionInfo"] == pin["state"]["version"]
        assert package["downloadLocation"].endswith("@" + pin["state"]["revision"])
        assert package["licenseDeclared"].startswith("Apache-2.0")
    for entry in fields(packages["goclaw-nodes"])["Depends"].split(", "):
        assert entry.split(" ")[0] in named
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?", named["swift-runtime"]["versionInfo"])
    related = {relation["relatedSpdxElement"] for relation in document["relationships"]}
    assert related == set(by_identifier)


def test_the_licences_and_notices_of_others_come_with_the_package(tree):
    text = run("gzip", "-dc", tree / "usr/share/doc/goclaw-nodes/third-party.txt.gz")
    for pin in json.loads((ROOT / "Package.resolved").read_text())["pins"]:
        assert f"{pin['identity']} {pin['state']['version']}: Apache-2.0" in text
    assert "The SwiftNIO Project" in text and "Runtime Library Exception" in text
    assert "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION" in text


def test_a_licence_that_nobody_has_read_stops_the_packaging(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts/packaging"))
    import bill

    with pytest.raises(SystemExit, match="the licence of newcomer is none that"):
        bill.licence("You may do as you please on Tuesdays.", "newcomer")
