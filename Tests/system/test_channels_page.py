"""The page /channels and `nodesctl channels`: what every process loaded, and what a restart would change."""

import json
import pathlib
import subprocess

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from support.deployment import PASSWORD, ROOT, Deployment, deployed, eventually
from support.device import Refused

ECHO = ROOT / "Plugins/Examples/c-echo/echo.c"
ZOO = ROOT / "Tests/PluginZoo"
HEADERS = ROOT / "Sources/CGoClawChannel/include"


def install(nodes: Deployment, work: pathlib.Path, version: str, name: str = "Echo") -> str:
    """Builds the C example as that version, with that name for people, and installs it; its SHA-256."""
    source = ECHO.read_text().replace('text("1.0.0")', f'text("{version}")').replace('text("Echo")', f'text("{name}")')
    return install_source(nodes, work, "echo", source)


def install_source(nodes: Deployment, work: pathlib.Path, id: str, source: str) -> str:
    (work / f"{id}.c").write_text(source)
    library = str(work / f"{id}.so")
    command = ["gcc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-shared", "-fPIC", "-pthread", f"-I{HEADERS}", f"-I{ZOO}"]
    subprocess.run([*command, str(work / f"{id}.c"), "-o", library], check=True)
    folder = nodes.state / "channels"
    subprocess.run([str(ROOT / "scripts/install-channels"), str(folder), library], check=True, capture_output=True)
    return json.loads((folder / f"{id}.json").read_text())["sha256"]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("echo")


@pytest.fixture(scope="module")
def stage(work):
    """Two gateways and two kernels that loaded the example in C, and refused a plugin of another ABI."""
    with deployed() as nodes:
        digest = install(nodes, work, "1.0.0")
        (nodes.state / "channels/future.so").write_text("from the future")
        sha256 = subprocess.run(
            ["sha256sum", str(nodes.state / "channels/future.so")], capture_output=True, text=True, check=True
        ).stdout.split()[0]
        manifest = {"id": "future", "version": "<b>9</b>", "abi": "9.0", "sha256": sha256}
        (nodes.state / "channels/future.json").write_text(json.dumps(manifest))
        for process in nodes.gateways + nodes.kernels:
            nodes.restart(process)
        yield nodes, digest


def page_of(nodes: Deployment, kernel: int) -> str:
    page = nodes.administrator(kernel).get("/channels")
    assert page.status == 200
    return page.text


def listed(nodes: Deployment) -> dict:
    return json.loads(nodes.nodesctl("channels", "--json").stdout)


def reports(nodes: Deployment, id: str) -> list[dict]:
    """What every gateway says of a channel."""
    return [
        channel
        for gateway in listed(nodes)["gateways"]
        for channel in (gateway["report"] or {"channels": []})["channels"]
        if channel["id"] == id
    ]


def test_the_page_shows_what_is_loaded_in_every_process_and_what_was_refused(stage):
    nodes, digest = stage
    eventually(lambda: len(reports(nodes, "echo")) == 2, "both gateways report")
    for kernel in (0, 1):
        page = page_of(nodes, kernel)
        for shown in ("Echo", "echo", digest, str(nodes.state / "channels/echo.so"), "expires after 10 min"):
            assert shown in page, shown
        for process in ("gateway-0", "gateway-1", f"kernel-{kernel} kernel, shows this page"):
            assert process in page, process
        assert f"kernel-{1 - kernel} " not in page
        assert "future.so's manifest speaks channel ABI 9.0, this process 1.2" in page
        assert "A restart would" not in page and "not loaded the same" not in page


def test_a_gateways_counters_appear_on_the_page_and_in_nodesctl(stage):
    nodes, _ = stage
    before = [channel["values"].get("reviews_passed", 0) for channel in reports(nodes, "echo")]
    device = nodes.device("echo", sender_id=f"echo-{sum(before)}")
    device.ask()
    eventually(
        lambda: sum(channel["values"].get("reviews_passed", 0) for channel in reports(nodes, "echo"))
        == sum(before) + 1,
        "the review was counted",
    )
    assert "reviews_passed" in page_of(nodes, 0) and "reviews_passed" in page_of(nodes, 1)
    assert "reviews_passed" in nodes.nodesctl("channels").stdout


def test_a_replaced_plugin_is_announced_and_changes_nothing_until_the_restart(stage, work):
    nodes, old = stage
    new = install(nodes, work, "1.1.0")
    try:
        eventually(
            lambda: [channel["afterRestart"].get("plugin", {}).get("sha256") for channel in reports(nodes, "echo")]
            == [new, new],
            "both gateways see the new library",
        )
        # The kernel that shows the page looks for itself.
        page = eventually(
            lambda: (text := page_of(nodes, 0)).count("In gateway-0 , gateway-1 , kernel-0") and text,
            "the page names every process",
        )
        assert "A restart would load another library: version 1.1.0." in page
        assert old in page and new in page
        assert {channel["version"] for channel in reports(nodes, "echo")} == {"1.0.0"}
        assert {channel["sha256"] for channel in reports(nodes, "echo")} == {old}
        assert "a restart would load another library of echo: version 1.1.0" in nodes.nodesctl("channels").stdout
        nodes.device("echo", sender_id="echo-meanwhile").ask()
        with pytest.raises(Refused):
            nodes.device("echo", sender_id="parrot").ask()

        nodes.restart(nodes.gateways[0])
        eventually(
            lambda: sorted(channel["version"] for channel in reports(nodes, "echo")) == ["1.0.0", "1.1.0"],
            "one gateway has the new version",
        )
        assert "The processes have not loaded the same library." in page_of(nodes, 0)
    finally:
        for process in [nodes.gateways[1], *nodes.kernels]:
            nodes.restart(process)
    eventually(
        lambda: [channel["sha256"] for channel in reports(nodes, "echo")] == [new, new], "both have the new version"
    )
    page = page_of(nodes, 1)
    assert new in page and old not in page
    assert "A restart would" not in page and "not loaded the same" not in page
    nodes.device("echo", sender_id="echo-after").ask()


def test_a_plugin_that_appears_is_announced_and_a_gateway_that_is_gone_is_not_shown(stage):
    nodes, _ = stage
    folder = nodes.state / "channels"
    (folder / "late.json").write_text("{}")
    try:
        page = eventually(
            lambda: "New in the folder" in (text := page_of(nodes, 0)) and text, "the page shows what is new"
        )
        assert "A restart would refuse it." in page and "late.so is missing" in page
        nodes.gateways[1].stop()
        assert [gateway["name"] for gateway in listed(nodes)["gateways"]] == ["gateway-0"]
        assert "gateway-1" not in page_of(nodes, 0)
    finally:
        (folder / "late.json").unlink()
        nodes.restart(nodes.gateways[1])


@pytest.fixture(scope="module")
def troubled(tmp_path_factory):
    """A gateway with a channel whose calls do not return, one with a hostile name that was replaced since, and
    a refused one."""
    work = tmp_path_factory.mktemp("troubled")
    with deployed(gateways=1, kernels=1) as nodes:
        install(nodes, work, "1.0.0", name=r"<b>A\u202Every</b>" + " long name" * 4)
        install_source(nodes, work, "zoo", (ZOO / "endless_review.c").read_text())
        (nodes.state / "channels" / ("lost" * 30 + ".json")).write_text("{}")
        for process in nodes.gateways + nodes.kernels:
            nodes.restart(process)
        install(nodes, work, "1.1.0-" + "very-long" * 6)
        for _ in range(2):
            with pytest.raises(Refused, match="UNAVAILABLE"):
                nodes.device("zoo", sender_id="endless").ask()
        eventually(lambda: reports(nodes, "zoo")[0]["stuck"], "the gateway says that the channel is stuck")
        eventually(lambda: "version 1.1.0" in page_of(nodes, 0), "the page says that the library was replaced")
        yield nodes


def open_channels(chromium, nodes: Deployment, **options) -> Page:
    page = chromium.new_context(base_url=nodes.origin, **options).new_page()
    page.goto("/login?next=%2Fchannels")
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/channels")
    return page


def card(page: Page, id: str):
    return page.get_by_role("listitem").filter(has=page.get_by_role("table", name=f"{id} in each process"))


def test_a_stuck_channel_and_a_hostile_one_are_shown_as_what_they_are(chromium, troubled):
    page = open_channels(chromium, troubled, java_script_enabled=False)
    menu = page.get_by_role("navigation", name="Main")
    expect(menu.get_by_role("link", name="Channels")).to_have_attribute("aria-current", "page")
    expect(menu.get_by_role("link", name="Nodes")).not_to_have_attribute("aria-current", "page")
    zoo = card(page, "zoo")
    expect(zoo).to_contain_text("Its calls have not returned. If none does, start this process again.")
    expect(zoo.get_by_role("row").filter(has_text="gateway-0")).to_contain_text("2 out of time")
    expect(zoo.get_by_role("row").filter(has_text="kernel-0")).to_contain_text("In service")
    echo = card(page, "echo")
    expect(echo.get_by_role("heading")).to_contain_text("<b>Avery</b> long name")
    expect(echo).to_contain_text("A restart would load another library: version 1.1.0-very-long")
    expect(page.get_by_role("region", name="Refused")).to_contain_text("the library lostlost")
    text = troubled.nodesctl("channels").stdout
    assert "gateway-0: zoo is out of service" in text and "start this process again if none does" in text
    page.get_by_role("link", name="Refresh").click()
    expect(page.get_by_role("heading", name="Channels")).to_be_visible()
    page.context.close()


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_sticks_out(chromium, troubled, scheme: str, width: int):
    page = open_channels(
        chromium, troubled, color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True
    )
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.context.close()


def test_nodesctl_lists_the_folder_also_without_the_database(deploy):
    nodes = deploy(gateways=1, kernels=1)
    assert listed(nodes)["gatewaysProblem"] is None
    with nodes.database_stopped():
        answer = listed(nodes)
        text = nodes.nodesctl("channels").stdout
    assert [channel["id"] for channel in answer["channels"]] == ["iot", "mobile", "openclaw", "web"]
    for channel in answer["channels"]:
        assert len(channel["sha256"]) == 64
        assert {"maximumMessageBytes", "messagesPerSecond", "burst", "heartbeatMs"} < set(channel["limits"])
    assert answer["gateways"] is None and "database" in answer["gatewaysProblem"]
    assert "The running gateways could not be asked" in text
    assert answer["channels"][0]["sha256"] in text and "Largest message" in text


def test_only_administrators_see_the_page_and_the_lite_edition_has_none(deploy):
    nodes = deploy(gateways=1, kernels=1, settings={"edition": "lite"})
    visitor = nodes.browser_session()
    assert visitor.get("/channels").location == "/login?next=%2Fchannels"
    visitor.sign_in("admin", PASSWORD)
    page = visitor.get("/channels")
    assert page.status == 404 and "lite edition has no channels" in page.text
    assert 'href="/channels"' not in page.body
    assert listed(nodes)["channels"] == []
