"""Many wrong sign-ins at once: those who are signed in, and those who were, notice nothing."""

import collections
import concurrent.futures
import time

from support.deployment import PASSWORD

# What a busy machine may need for one page; without the bound it was the time of all passwords together.
PATIENCE = 10


def test_two_hundred_wrong_sign_ins_at_once_slow_neither_pages_nor_a_known_browser(deploy):
    nodes = deploy(gateways=1, kernels=1)
    signed_in = nodes.administrator(address="127.0.0.40")
    known = nodes.browser_session(address="127.0.0.41")
    browser = signed_in.cookie_name("browser")
    known.cookies = {browser: signed_in.cookies[browser]}

    def wrong(index: int):
        visitor = nodes.browser_session(address=f"127.0.1.{index + 1}")
        form = visitor.get("/login").form("/login")
        return visitor.submit(form, username=f"name-{index}", password="wrong password")

    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        flood = [pool.submit(wrong, index) for index in range(200)]
        # Once the first is refused, the room for strangers is full.
        next(concurrent.futures.as_completed(flood))
        begun = time.monotonic()
        known.sign_in("admin", PASSWORD)
        assert time.monotonic() - begun < PATIENCE
        begun = time.monotonic()
        assert signed_in.get("/nodes").status == 200
        assert time.monotonic() - begun < PATIENCE
        pages = [each.result() for each in flood]
    statuses = collections.Counter(page.status for page in pages)
    assert set(statuses) == {403, 429} and statuses[429] > 100, statuses
    assert all(int(page.headers["Retry-After"]) > 0 for page in pages if page.status == 429)


def test_guesses_from_where_somebody_signed_in_before_come_to_an_end(deploy):
    nodes = deploy(gateways=1, kernels=1)
    nodes.administrator(address="127.0.0.42")
    guesser = nodes.browser_session(address="127.0.0.42")
    form = guesser.get("/login").form("/login")
    statuses = [guesser.submit(form, username="admin", password=f"wrong {index}").status for index in range(13)]
    assert statuses == [403] * 10 + [429] * 3
    assert "nodesctl admin unlock NAME" in guesser.submit(form, username="admin", password="wrong").text
    nodes.nodesctl("admin", "unlock", "admin")
    guesser.sign_in("admin", PASSWORD)
