"""Doing what docs/channel-authors.md says, as it stands there."""

import pathlib
import re
import subprocess

from .deployment import ROOT, Deployment, eventually

DOCUMENT = (ROOT / "docs/channel-authors.md").read_text()
EXAMPLES = ROOT / "Plugins/Examples"


def section(heading: str) -> str:
    """What stands under a heading, as far as the next one of its level or above."""
    level, text = re.search(rf"^(##+) {heading}$(.*)", DOCUMENT, re.M | re.S).groups()
    return re.split(rf"^#{{2,{len(level)}}} ", text, maxsplit=1, flags=re.M)[0]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def restart_servers(nodes: Deployment) -> None:
    for process in nodes.gateways + nodes.kernels:
        nodes.restart(process)


class Walk:
    """A terminal in which the document's commands run, with `home` for the reader's folder."""

    def __init__(self, nodes: Deployment, home: pathlib.Path, **environment: str) -> None:
        # The first block of the walk in C says where things are.
        self.where = blocks(section("Fifteen minutes in C"), "sh")[0]
        self.folder = home / "my-channel"
        self.nodes = nodes
        self.ours = {
            "~/goclaw-nodes": str(ROOT),
            "$NODES/.nodes": str(nodes.state),
            "$NODES/.build/release": str(nodes.binaries),
            "~/my-": f"{home}/my-",
            "ws://127.0.0.1:8080": nodes.origin.replace("http", "ws"),
        }
        for theirs in list(self.ours)[:4]:
            assert theirs in self.where, theirs
        self.environment = {**nodes.environment, **environment}

    def command(self, block: str) -> list[str]:
        commands = self.where + block
        for theirs, ours in self.ours.items():
            commands = commands.replace(theirs, ours)
        return ["bash", "-euo", "pipefail", "-c", commands]

    def run(self, block: str) -> str:
        done = subprocess.run(
            self.command(block), env=self.environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def pair(self, block: str, sender_id: str, output: pathlib.Path) -> str:
        """Runs a device until it is paired: what the page shows the administrator who approves it."""
        with open(output, "w") as stream:
            device = subprocess.Popen(self.command(block), env=self.environment, stdout=stream, stderr=stream)
        try:
            statement = "SELECT request_id::text, code FROM pairing_requests WHERE sender_id = %s"
            [row] = eventually(lambda: self.nodes.rows(statement, sender_id), "the device asks")
            code = f"{row[1][:4]}-{row[1][4:]}"
            eventually(lambda: code in output.read_text(), "the device shows its code")
            administrator = self.nodes.administrator()
            page = administrator.get(f"/nodes/requests/{row[0]}/approve").text
            administrator.approve(row[0], code)
            assert device.wait(60) == 0, output.read_text()
            return page
        finally:
            device.kill()
            device.wait()
