"""`nodesctl channel new` writes a project that builds with one command and keeps the rules."""

import json
import os
import pathlib
import re
import subprocess

from support.channels import check, compile_swift, not_passed
from support.deployment import ROOT


def new(built: pathlib.Path, folder: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(built / "nodesctl"), "channel", "new", *arguments], cwd=folder, capture_output=True, text=True
    )


def test_a_new_channel_in_c_builds_with_one_command_and_passes(built, tmp_path):
    done = new(built, tmp_path, "parrot_2", "--language", "c")
    assert done.returncode == 0, done.stderr
    steps = [line.strip() for line in done.stdout.splitlines() if line.startswith("  ")]
    assert steps == ["make", "make check", "make install"]
    project = tmp_path / "parrot_2"
    assert (project / "goclaw_channel.h").read_bytes() == (
        ROOT / "Sources/CGoClawChannel/include/goclaw_channel.h"
    ).read_bytes()
    path = {**os.environ, "PATH": f"{built}:{os.environ['PATH']}"}
    made = subprocess.run(steps[0], shell=True, cwd=project, env=path, capture_output=True, text=True)
    assert made.returncode == 0 and made.stderr == "", made.stdout + made.stderr
    checked = subprocess.run(steps[1], shell=True, cwd=project, env=path, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert re.search(r"^\d+ passed, 0 failed, 0 with warnings", checked.stdout, re.M)
    # A member is found wherever it stands, and nothing that only looks like it.
    metadata = '{"a": {"model": 1}, "model\\"": 2, "x": ["model", {"model": 3}], "y": "model", "model" : "T, {1}" }'
    for text, seen in ((metadata, "Credential, Model"), (metadata.replace('"model" :', '"Model" :'), "Credential")):
        _, report = check(built, project / "parrot_2.so", "--metadata", text)
        assert f"The administrator sees {seen}." in report["checks"]["review.ordinary"]["seen"], report
    installed = subprocess.run(
        steps[2], shell=True, cwd=project, capture_output=True, text=True,
        env={**path, "NODES": str(ROOT), "CHANNELS": str(tmp_path / "channels")},
    )  # fmt: skip
    assert installed.returncode == 0, installed.stderr
    _, report = check(built, tmp_path / "channels/parrot_2.so")
    assert report["checks"]["manifest"]["outcome"] == "passed"


def test_the_shortest_way_of_the_document_leads_to_a_channel_that_passes(built, tmp_path):
    document = (ROOT / "docs/channel-authors.md").read_text()
    [commands] = re.findall(r"^## The shortest way$.*?^```sh\n(.*?)^```$", document, re.M | re.S)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PATH": f"{built}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 failed, 0 with warnings" in done.stdout


def test_a_new_channel_in_swift_builds_and_passes(built, tmp_path):
    done = new(built, tmp_path, "my-sensor", "--language", "swift", "--directory", "elsewhere/sensor", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["directory"] == "elsewhere/sensor" and "swift build" in told["next"]
    project = tmp_path / "elsewhere/sensor"
    written = sorted(str(path.relative_to(project)) for path in project.rglob("*") if path.is_file())
    assert written == sorted(told["files"])
    manifest = subprocess.run(
        ["swift", "package", "describe", "--type", "json"], cwd=project, env={**os.environ, "NODES": ""},
        capture_output=True, text=True,
    )  # fmt: skip
    assert manifest.returncode != 0 and "Set NODES" in manifest.stderr
    package = subprocess.run(
        ["swift", "package", "dump-package"], cwd=project, env={**os.environ, "NODES": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    [product] = json.loads(package.stdout)["products"]
    assert product["name"] == "MySensorChannel" and product["type"] == {"library": ["dynamic"]}
    library = compile_swift(
        built, "MySensorChannel", list((project / "Sources").rglob("*.swift")), tmp_path / "libMySensorChannel.so"
    )
    status, report = check(built, library)
    assert not_passed(report) == {} and status == 0
    assert report["channel"] == {"id": "my-sensor", "displayName": "my-sensor", "version": "0.1.0", "abi": "1.2"}


def test_a_new_channel_is_written_nowhere_else(built, tmp_path):
    (tmp_path / "parrot").mkdir()
    (tmp_path / "parrot/notes").write_text("mine")
    done = new(built, tmp_path, "parrot", "--language", "c")
    assert done.returncode == 65 and "is not empty. Nothing was written" in done.stderr
    assert [path.name for path in (tmp_path / "parrot").iterdir()] == ["notes"]
    done = new(built, tmp_path, "parrot", "--language", "c", "--directory", "parrot/notes/deeper")
    assert done.returncode == 1 and "cannot be made" in done.stderr
    for name, said in {"Parrot": "is not a channel's ID", "": "is not a channel's ID", "web": "choose another"}.items():
        done = new(built, tmp_path, name, "--language", "c")
        assert done.returncode == 64 and said in done.stderr, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parrot"]
    assert new(built, tmp_path, "parrot", "--language", "cobol").returncode == 64
