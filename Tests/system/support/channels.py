"""Building channels outside the package, and checking them with `nodesctl channel check`."""

import json
import pathlib
import re
import subprocess

from .deployment import ROOT

HEADERS = ROOT / "Sources/CGoClawChannel/include"


def compile_c(
    source: pathlib.Path, library: pathlib.Path, *flags: str, headers: pathlib.Path = HEADERS
) -> pathlib.Path:
    """Builds a plugin of one file."""
    done = subprocess.run(
        [
            "gcc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread",
            "-I", str(headers), str(source), "-o", str(library), *flags,
        ],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return library


def compile_swift(
    binaries: pathlib.Path, module: str, sources: list[pathlib.Path], library: pathlib.Path
) -> pathlib.Path:
    """Builds a channel in Swift against the ChannelKit that is built already, which takes a moment.

    `swift build` would do the same after having built ChannelKit again.
    """
    linked = (binaries / "WebChannel.product/Objects.LinkFileList").read_text().split("\n")
    objects = [path for path in linked if re.search(r"/(ChannelKit|CGoClawChannel)\.build/", path)]
    done = subprocess.run(
        [
            "swiftc", "-swift-version", "6", "-warnings-as-errors", "-parse-as-library", "-emit-library",
            "-module-name", module, "-I", str(binaries / "Modules"),
            "-Xcc", f"-fmodule-map-file={binaries}/CGoClawChannel.build/module.modulemap",
            *map(str, sources), *objects, "-o", str(library),
            "-Xlinker", f"--version-script={ROOT}/Plugins/channel.exports",
        ],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return library


def check(binaries: pathlib.Path, library: pathlib.Path, *options: str) -> tuple[int, dict]:
    """The exit status and the report; the checks by their names."""
    done = subprocess.run(
        [str(binaries / "nodesctl"), "channel", "check", str(library), "--json", *options],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    report["checks"] = {result["name"]: result for result in report["checks"]}
    return done.returncode, report


def not_passed(report: dict) -> dict:
    return {
        name: result["seen"] for name, result in report["checks"].items() if result["outcome"] in ("failed", "warning")
    }
