"""Fixtures of the system tests; the programs are built before they run (`make test` does)."""

import contextlib
import pathlib
import shutil
import tempfile

import pytest
from playwright.sync_api import expect, sync_playwright

from support.deployment import ADMINISTRATOR, Deployment, binaries, deployed

# How long a page may take on a busy machine, in milliseconds.
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session", autouse=True)
def temporary_files():
    """Keeps what tests and their programs put into the temporary folder together, and removes it: some of them,
    SwiftPM among them, leave it there."""
    folder = tempfile.mkdtemp(prefix="nodes-tests-")
    # PostgreSQL and nginx's workers may run as other accounts, which must reach what is theirs below.
    pathlib.Path(folder).chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def built() -> pathlib.Path:
    """The folder of the programs."""
    return binaries()


@pytest.fixture(scope="session")
def shared_deployment():
    """Two gateways and two kernels on one database, for every test that leaves them as they were."""
    with deployed() as deployment:
        yield deployment


@pytest.fixture
def nodes(shared_deployment: Deployment):
    """The shared deployment, everything of it running."""
    yield shared_deployment
    shared_deployment.close_opened()
    # The next test finds one account.
    for (account,) in shared_deployment.rows("SELECT username FROM admins WHERE username <> %s", ADMINISTRATOR):
        shared_deployment.nodesctl("admin", "remove", account, "--yes")
    for process in shared_deployment.processes:
        assert process.is_running, f"{process.name} did not survive:\n{process.last_lines(60)}"


@pytest.fixture
def deploy():
    """Makes a deployment of the test's own: `deploy(gateways=1, settings={"edition": "lite"})`."""
    with contextlib.ExitStack() as stack:
        yield lambda **options: stack.enter_context(deployed(**options))


@pytest.fixture
def administrator(nodes: Deployment):
    """A session signed in as the first administrator."""
    return nodes.administrator()


@pytest.fixture(scope="session")
def chromium():
    program = shutil.which("chromium")
    assert program, "chromium is not on this machine; scripts/install-dependencies test installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, nodes: Deployment):
    """A browser's page with an empty profile; relative addresses are the deployment's."""
    context = chromium.new_context(base_url=nodes.origin)
    context.set_default_timeout(PATIENCE)
    yield context.new_page()
    context.close()
