"""`/device`: a browser as a device, in a real Chromium."""

import base64
import functools
import http.server
import json
import re
import shutil
import subprocess
import threading

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from pyzbar.pyzbar import decode
from support.agents import Agent
from support.browser import sign_in
from support.deployment import ROOT, Deployment, deployed


class Talker(Agent):
    """Streams a chat completion of which the test says when it goes on."""

    def __init__(self) -> None:
        self.words: list[str] = ["Good morning. ", "Your parcel ", "waits at ", "the desk."]
        self.hold_before: int | None = None
        self.goes_on = threading.Event()
        super().__init__(self._answer)

    def _answer(self, handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()
        for index, word in enumerate(self.words):
            if index == self.hold_before:
                self.goes_on.wait(60)
            delta = {"choices": [{"index": 0, "delta": {"content": word}}]}
            handler.wfile.write(f"data: {json.dumps(delta)}\n\n".encode())
            handler.wfile.flush()
        handler.wfile.write(b"data: [DONE]\n\n")
        handler.close_connection = True


@pytest.fixture(scope="module")
def agent():
    with Talker() as agent:
        yield agent


@pytest.fixture(scope="module")
def app_origin(tmp_path_factory):
    """Where an app of somebody else's is served, the module among its files."""
    folder = tmp_path_factory.mktemp("app")
    shutil.copy(ROOT / "templates/static/nodes-device.js", folder)
    (folder / "index.html").write_text("<!DOCTYPE html><title>App</title>")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_) -> None:
            pass

    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def hall(agent, app_origin):
    """A deployment whose tablets talk to that agent."""
    settings = {
        "gateway": {"device_origins": [app_origin]},
        "agents": {"support": {"type": "openai", "url": agent.url, "model": "m"}},
        "channels": {"default_agents": {"web": "support"}},
    }
    with deployed(gateways=1, kernels=1, settings=settings) as deployment:
        yield deployment


@pytest.fixture
def visit(chromium, hall: Deployment):
    """Opens `/device` in a browser profile of its own: `visit(color_scheme="dark")`. Whatever went wrong on it fails
    the test, and so does a byte from elsewhere."""
    opened, problems = [], []

    def watch(page: Page) -> None:
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: message.type == "error" and problems.append(message.text))
        page.on("request", lambda request: request.url.startswith(hall.origin) or problems.append(request.url))

    def open_page(**options) -> Page:
        context = chromium.new_context(base_url=hall.origin, **options)
        opened.append(context)
        context.on("page", watch)
        page = context.new_page()
        page.goto("/device")
        return page

    yield open_page
    for context in opened:
        context.close()
    assert not [problem for problem in problems if "WebSocket" not in problem]


def ask(page: Page, name: str) -> str:
    """Presses the button, and returns the code that is shown."""
    page.get_by_label("Name of this device").fill(name)
    page.get_by_role("button", name="Ask to pair").click()
    expect(page.get_by_role("heading", name="Waiting for approval")).to_be_visible()
    return page.locator("#code").inner_text()


def pair(page: Page, hall: Deployment, name: str) -> None:
    code = ask(page, name)
    ((request_id,),) = hall.rows("SELECT request_id::text FROM pairing_requests WHERE sender_id = %s", name)
    hall.administrator().approve(request_id, code)
    expect(page.get_by_role("status")).to_have_text("Connected")


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def scanned(page: Page) -> str:
    """What a phone reads off the code."""
    modules = page.locator("#qr svg").evaluate(
        """(svg) => { const size = svg.viewBox.baseVal.width;
             return [size, [...svg.innerHTML.matchAll(/M(\\d+) (\\d+)h/g)].map(([, x, y]) => [+x, +y])]; }"""
    )
    return read_code(*modules)


def read_code(size: int, dark: list, scale: int = 4) -> str:
    pixels = bytearray(b"\xff" * (size * scale) ** 2)
    for x, y in dark:
        for line in range(scale):
            start = (y * scale + line) * size * scale + x * scale
            pixels[start : start + scale] = bytes(scale)
    (code,) = decode((bytes(pixels), size * scale, size * scale))
    return code.data.decode()


def test_the_tablet_of_the_specification_asks_is_approved_chats_and_is_revoked(visit, chromium, hall, agent):
    tablet = visit(viewport={"width": 820, "height": 1100})
    desk = chromium.new_context(base_url=hall.origin).new_page()
    # Opening the page asks nobody for anything.
    expect(tablet.get_by_role("status")).to_have_text("Not paired")
    assert hall.rows("SELECT count(*) FROM pairing_requests") == [(0,)]
    code = ask(tablet, "tablet-reception-01")
    assert re.fullmatch("[A-Z2-9]{4}-[A-Z2-9]{4}", code)

    # The administrator's phone reads the code of the screen: it opens the request, where the code is compared.
    address = scanned(tablet)
    sign_in(desk)
    desk.goto(address)
    expect(desk.get_by_role("heading", name="Approve this device?")).to_be_visible()
    for shown in ("web", "tablet-reception-01", code):
        expect(desk.get_by_text(shown, exact=True)).to_be_visible()
    # Reloading the tablet meanwhile changes nothing of what is compared.
    tablet.reload()
    expect(tablet.locator("#code")).to_have_text(code)
    desk.get_by_role("button", name="Approve").click()
    expect(desk.get_by_role("status")).to_contain_text("Approved. tablet-reception-01")
    expect(tablet.get_by_role("status")).to_have_text("Connected")

    # It chats; the answer is shown while it comes.
    agent.hold_before = 2
    say(tablet, "Where is my parcel?")
    row = tablet.get_by_role("listitem").last
    expect(row).to_contain_text("Good morning. Your parcel")
    expect(tablet.get_by_role("log")).to_have_attribute("aria-busy", "true")
    agent.goes_on.set()
    expect(row).to_have_text("supportGood morning. Your parcel waits at the desk.")
    expect(tablet.get_by_role("log")).to_have_attribute("aria-busy", "false")

    # A reload: the same device, the same conversation, and it goes on.
    tablet.reload()
    expect(tablet.get_by_role("status")).to_have_text("Connected")
    expect(tablet.get_by_role("listitem")).to_have_count(2)
    agent.hold_before = None
    say(tablet, "Thank you")
    expect(tablet.get_by_role("listitem")).to_have_count(4)
    # To its end, or the agent would be held in this answer.
    expect(tablet.get_by_role("listitem").last).to_contain_text("the desk.")

    # Revoked in mid-answer: the stream stops, and the page says so.
    agent.goes_on.clear()
    agent.hold_before = 2
    say(tablet, "And the other one?")
    row = tablet.get_by_role("listitem").last
    expect(row).to_contain_text("Your parcel")
    desk.goto("/nodes")
    desk.get_by_role("link", name="Revoke tablet-reception-01").click()
    desk.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(tablet.get_by_role("heading", name="Revoked")).to_be_visible()
    expect(tablet.get_by_label("Message", exact=True)).to_be_hidden()
    agent.goes_on.set()
    expect(row).to_contain_text("Cut off here.")
    expect(row).not_to_contain_text("the desk")

    # So it stays, and what was said is kept nowhere; asking again is up to its owner, with the same key.
    tablet.reload()
    expect(tablet.get_by_role("heading", name="Revoked")).to_be_visible()
    expect(tablet.get_by_role("listitem")).to_have_count(0)
    tablet.get_by_role("button", name="Ask to pair again").click()
    expect(tablet.get_by_role("heading", name="Waiting for approval")).to_be_visible()
    keys = hall.rows("SELECT count(*), count(DISTINCT public_key) FROM pairing_requests")
    assert keys == [(2, 1)]
    desk.context.close()


def test_a_denial_a_taken_name_and_another_page_of_the_same_device_are_said_plainly(visit, hall):
    page = visit()
    code = ask(page, "Tablet Überall")
    ((request_id, name),) = hall.rows(
        "SELECT request_id::text, display_name FROM pairing_requests WHERE sender_id = 'tablet-uberall'"
    )
    assert name == "Tablet Überall"
    # Another browser wants the same name.
    rival = visit()
    rival.get_by_label("Name of this device").fill("tablet-uberall")
    rival.get_by_role("button", name="Ask to pair").click()
    expect(rival.get_by_role("heading", name="Taken")).to_be_visible()
    hall.administrator().deny(request_id, code)
    expect(page.get_by_role("heading", name="Denied")).to_be_visible()
    page.get_by_role("button", name="Use another name").click()
    expect(page.get_by_role("heading", name="Make this browser a device")).to_be_visible()

    # Who stops asking and asks again finds the same request.
    first = ask(page, "kiosk-1")
    page.get_by_role("button", name="Stop asking").click()
    assert ask(page, "kiosk-1") == first


def test_tabs_of_a_browser_are_one_device(visit, hall):
    first = visit()
    pair(first, hall, "kiosk-2")
    second = first.context.new_page()
    second.goto("/device")
    expect(second.get_by_role("heading", name="Open in another tab")).to_be_visible()
    second.get_by_role("button", name="Use it here").click()
    expect(second.get_by_role("status")).to_have_text("Connected")
    expect(first.get_by_role("heading", name="Open in another tab")).to_be_visible()
    # The tab that is left goes on.
    second.close()
    expect(first.get_by_role("status")).to_have_text("Connected")


def test_a_gateway_that_restarts_is_waited_for_and_what_was_typed_meanwhile_arrives(visit, hall, agent):
    agent.hold_before = None
    page = visit()
    pair(page, hall, "kiosk-3")
    (gateway,) = [process for process in hall.processes if process.name.startswith("gateway")]
    hall.kill(gateway)
    expect(page.get_by_role("status")).to_contain_text("No connection")
    say(page, "Is anybody there?")
    expect(page.get_by_role("listitem").first).to_contain_text("Sending…")
    page.reload()
    hall.restart(gateway)
    expect(page.get_by_role("status")).to_have_text("Connected")
    expect(page.get_by_role("listitem").last).to_contain_text("the desk.")
    expect(page.get_by_role("listitem").first).to_have_text("Is anybody there?")


def test_a_browser_without_ed25519_has_a_token(visit, hall):
    page = visit()
    page.add_init_script("crypto.subtle.generateKey = () => Promise.reject(new Error('not here'));")
    page.reload()
    pair(page, hall, "kiosk-4")
    page.reload()
    expect(page.get_by_role("status")).to_have_text("Connected")
    assert hall.rows("SELECT public_key IS NULL FROM paired_devices WHERE sender_id = 'kiosk-4'") == [(True,)]


def test_a_browser_that_keeps_nothing_is_told_so(chromium, hall):
    page = chromium.new_page(base_url=hall.origin)
    page.add_init_script("Object.defineProperty(window, 'indexedDB', { value: { open() { throw new Error('no'); } } });")
    page.goto("/device")
    expect(page.get_by_role("heading", name="This browser keeps nothing")).to_be_visible()
    page.close()


def test_the_key_of_a_browser_can_not_be_read(visit, hall):
    page = visit()
    pair(page, hall, "kiosk-5")
    kept = page.evaluate(
        """async () => {
             const { browserStore } = await import("/static/nodes-device.js");
             const { key, token } = await browserStore().get();
             return [key.extractable, token, await crypto.subtle.exportKey("jwk", key).catch((error) => error.name)];
           }"""
    )
    assert kept == [False, None, "InvalidAccessError"]


def test_an_app_of_another_origin_is_a_device_and_comes_near_nothing_else(chromium, hall, app_origin):
    page = chromium.new_page()
    page.goto(app_origin)
    state = page.evaluate(
        """async (url) => {
             const { Device, browserStore } = await import("./nodes-device.js");
             return new Promise((resolve) => {
               const state = (state) => state.name !== "connecting" && state.name !== "unpaired" && resolve(state);
               const device = new Device({ url, channel: "web", store: browserStore(), on: { state } });
               device.start().then(() => device.ask({ senderId: "app-1" }));
             });
           }""",
        hall.origin + "/ws",
    )
    assert state["name"] == "waiting" and state["request"]["code"], state
    assert hall.rows("SELECT public_key IS NOT NULL FROM pairing_requests WHERE sender_id = 'app-1'") == [(True,)]
    for path in ("/nodes", "/device", "/events"):
        fetched = page.evaluate(
            "(url) => fetch(url, { credentials: 'include' }).then(() => 'read', (error) => error.name)",
            hall.origin + path,
        )
        assert fetched == "TypeError", path
    page.close()


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_sticks_out(visit, hall, agent, scheme: str, width: int):
    agent.hold_before = None
    page = visit(color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True)

    def check() -> None:
        results = Axe().run(page)
        assert results.violations_count == 0, results.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    expect(page.get_by_role("status")).to_have_text("Not paired")
    check()
    # By keyboard alone: the field, the button, and later the message.
    page.get_by_label("Name of this device").focus()
    name = f"kiosk-{scheme}-{width}-{'w' * 40}"
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Waiting for approval")).to_be_focused()
    check()
    ((request_id,),) = hall.rows("SELECT request_id::text FROM pairing_requests WHERE sender_id = %s", name)
    administrator = hall.administrator()
    administrator.approve(request_id, page.locator("#code").inner_text())
    expect(page.get_by_role("status")).to_have_text("Connected")
    check()
    say(page, "A word " + "w" * 200)
    expect(page.get_by_role("listitem").last).to_contain_text("the desk.")
    check()
    administrator.revoke(name)
    expect(page.get_by_role("heading", name="Revoked")).to_be_visible()
    check()


def test_every_length_of_an_address_becomes_a_code_that_can_be_read():
    texts = [("https://nodes.example.org/nodes/requests/" * 6)[:length] for length in range(1, 214)]
    script = f"""
        import {{ qrCode }} from "data:text/javascript;base64,%s";
        console.log(JSON.stringify({json.dumps(texts)}.map(qrCode)));
        try {{ qrCode("x".repeat(214)); }} catch (error) {{ console.log(error.name); }}
    """
    module = base64.b64encode((ROOT / "templates/static/qr.js").read_bytes()).decode()
    done = subprocess.run(
        ["node", "--input-type=module"], input=script % module, capture_output=True, text=True, check=True, timeout=60
    )
    codes, refused = done.stdout.splitlines()
    assert refused == "RangeError"
    for text, rows in zip(texts, json.loads(codes), strict=True):
        dark = [(x + 4, y + 4) for y, row in enumerate(rows) for x, is_dark in enumerate(row) if is_dark]
        assert read_code(len(rows) + 8, dark) == text
