"""nodes-device.js by itself, in Node."""

import os
import shutil
import subprocess

from support.deployment import ROOT


def test_the_module_keeps_the_protocols_rules(tmp_path):
    # Node takes it for a module by its name.
    module = tmp_path / "nodes-device.mjs"
    shutil.copy(ROOT / "templates/static/nodes-device.js", module)
    done = subprocess.run(
        ["node", "--test", "--test-reporter=tap", ROOT / "Tests/system/support/nodes_device.test.mjs"],
        env={**os.environ, "MODULE": str(module)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# pass 8" in done.stdout and "# fail 0" in done.stdout
