"""An administrator's browser without a screen: cookies, forms, and nothing done by itself."""

import dataclasses
import html.parser
import http.client
import http.cookies
import urllib.parse


@dataclasses.dataclass
class Form:
    action: str
    method: str
    fields: dict[str, str] = dataclasses.field(default_factory=dict)


class _Forms(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.text: list[str] = []
        self._open = False

    def handle_starttag(self, tag: str, attributes: list) -> None:
        values = {name: value or "" for name, value in attributes}
        if tag == "form":
            self.forms.append(Form(values.get("action", ""), values.get("method", "get").lower()))
            self._open = True
        elif tag == "input" and self._open and "name" in values:
            self.forms[-1].fields[values["name"]] = values.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = False

    def handle_data(self, data: str) -> None:
        self.text.append(data)


class Page:
    """An answer: its status, headers, text, and the forms on it."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.body = answer.read().decode("utf-8", errors="replace")
        parser = _Forms()
        parser.feed(self.body)
        self.forms = parser.forms
        self.text = " ".join(" ".join(parser.text).split())

    @property
    def location(self) -> str | None:
        return self.headers.get("Location")

    def form(self, action: str) -> Form:
        """The form that posts to a path that ends so."""
        for form in self.forms:
            if form.method == "post" and urllib.parse.urlsplit(form.action).path.endswith(action):
                return form
        raise AssertionError(f"no form posts to …{action}; there are {[f.action for f in self.forms]}")


class Administrator:
    """One browser session. `port` chooses one kernel; `address` is where the connections come from."""

    def __init__(self, origin: str, *, port: int | None = None, address: str = "127.0.0.1") -> None:
        self.origin = origin
        self.host = origin.split("://", 1)[1]
        self.port = port or int(self.host.rpartition(":")[2])
        self.address = address
        self.cookies: dict[str, str] = {}

    def cookie_name(self, purpose: str) -> str:
        """The name of the cookie with the `session` or the `browser`: it has the port that is dialled."""
        scheme, _, host = self.origin.partition("://")
        port = host.rpartition(":")[2] if host.rstrip("0123456789").endswith(":") else ""
        return ("__Host-" if scheme == "https" else "") + f"nodes_{purpose}" + (f"_{port}" if port else "")

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Page:
        """One request as given, cookies added and kept."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=60, source_address=(self.address, 0)
        )
        sent = {"Host": self.host, **(headers or {})}
        if self.cookies and "Cookie" not in sent:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        try:
            connection.request(method, path, body, {k: v for k, v in sent.items() if v is not None})
            answer = connection.getresponse()
            for text in answer.headers.get_all("Set-Cookie") or []:
                for name, morsel in http.cookies.SimpleCookie(text).items():
                    if morsel["max-age"] == "0" or not morsel.value:
                        self.cookies.pop(name, None)
                    else:
                        self.cookies[name] = morsel.value
            return Page(answer)
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Page:
        return self.send("GET", path, headers=headers)

    def post(self, path: str, fields: dict[str, str], headers: dict[str, str] | None = None) -> Page:
        """Posts a form from the site's own pages; `headers` overrides what the browser would send."""
        sent = {
            "Origin": self.origin,
            "Sec-Fetch-Site": "same-origin",
            "Content-Type": "application/x-www-form-urlencoded",
            **(headers or {}),
        }
        return self.send("POST", path, urllib.parse.urlencode(fields).encode(), sent)

    def submit(self, form: Form, **changes: str) -> Page:
        return self.post(form.action, {**form.fields, **changes})

    def follow(self, page: Page) -> Page:
        """Where a 303 leads."""
        assert page.status == 303, f"{page.status}: {page.text[:500]}"
        return self.get(page.location)

    # What people do.

    def sign_in(self, username: str, password: str) -> "Administrator":
        page = self.submit(self.get("/login").form("/login"), username=username, password=password)
        assert page.status == 303, f"sign-in: {page.status}: {page.text[:500]}"
        return self

    @property
    def csrf_token(self) -> str:
        return self.get("/nodes").form("/logout").fields["csrf_token"]

    def sign_out(self) -> Page:
        return self.submit(self.get("/nodes").form("/logout"))

    def approve(self, request_id: str, code: str) -> Page:
        return self._decide(request_id, "approve", code)

    def deny(self, request_id: str, code: str) -> Page:
        return self._decide(request_id, "deny", code)

    def _decide(self, request_id: str, decision: str, code: str) -> Page:
        path = f"/nodes/requests/{request_id}/{decision}"
        page = self.submit(self.get(path).form(path), code=code)
        assert page.status == 303, f"{decision}: {page.status}: {page.text[:500]}"
        return self.follow(page)

    def revoke(self, sender_id: str) -> Page:
        path = f"/nodes/devices/{urllib.parse.quote(sender_id, safe='')}/revoke"
        page = self.submit(self.get(path).form("/revoke"))
        assert page.status == 303, f"revoke: {page.status}: {page.text[:500]}"
        return self.follow(page)
