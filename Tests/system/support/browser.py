"""What people do first in a real browser."""

from playwright.sync_api import Page

from .deployment import PASSWORD


def sign_in(page: Page) -> None:
    page.goto("/login")
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/nodes")
