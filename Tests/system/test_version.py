"""What the programs say of themselves, and where they know their commit from."""

import os
import re
import shutil
import subprocess

import pytest

from support.deployment import ROOT


@pytest.mark.parametrize("program", ["nodesctl", "nodes-kernel", "nodes-gateway"])
def test_a_program_names_its_version_its_commit_and_what_it_runs_on(built, program):
    done = subprocess.run([built / program, "--version"], capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert re.fullmatch(r"\d+\.\d+\.\d+\S* \(commit ([0-9a-f]{40}(-modified)?|unknown)\)", first)
    assert re.fullmatch(r"Swift \d+\.\d+(\.\d+)?, libpq \d+\.\d+, OpenSSL \d+\.\d+\.\d+\S*", second)


def test_the_commit_is_recorded_for_the_next_build_and_only_where_it_changed(tmp_path):
    shutil.copytree(ROOT / "Sources/CNodesBuild", tmp_path / "Sources/CNodesBuild")
    (tmp_path / "Sources/CNodesBuild/commit.h").unlink(missing_ok=True)
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/record-commit", tmp_path / "scripts")
    source, header = (tmp_path / "Sources/CNodesBuild" / name for name in ("nodes_build.c", "commit.h"))
    program = tmp_path / "main.c"
    program.write_text('#include <stdio.h>\n#include "nodes_build.h"\nint main(void) { puts(nodes_build_commit()); }\n')

    def git(*arguments: str) -> str:
        names = ["-c", "user.name=n", "-c", "user.email=n@example.org"]
        done = subprocess.run(["git", *names, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def recorded(**environment: str) -> str:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environment}
        subprocess.run([tmp_path / "scripts/record-commit"], env=environment, check=True)
        return built()

    def built() -> str:
        include = ["-I", str(source.parent / "include")]
        subprocess.run(["cc", *include, str(program), str(source), "-o", str(tmp_path / "shown")], check=True)
        return subprocess.run([tmp_path / "shown"], capture_output=True, text=True, check=True).stdout.strip()

    assert built() == "unknown"
    assert recorded() == "unknown", "a tree that is no repository"
    git("init", "--quiet")
    (tmp_path / ".gitignore").write_text("commit.h\nshown\n")
    git("add", ".")
    git("commit", "--quiet", "-m", "one")
    commit = git("rev-parse", "HEAD")
    assert recorded() == commit
    stamps = [path.stat().st_mtime_ns for path in (source, header)]
    assert recorded() == commit
    assert [path.stat().st_mtime_ns for path in (source, header)] == stamps, "a build without a change is made again"
    program.write_text(program.read_text() + "\n")
    assert recorded() == commit + "-modified"
    assert recorded(NODES_COMMIT="0" * 40) == "0" * 40
    with pytest.raises(subprocess.CalledProcessError):
        recorded(NODES_COMMIT='";')
