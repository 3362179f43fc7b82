"""What a device says of itself is shown as text on every page, whichever channel takes it (I7)."""

import pytest
from support.deployment import Deployment

# Without a space, so that it is a unit's annotation too.
MARKUP = "\"><script>alert(1)</script>"
READING = {"name": "temperature", "unit": "Cel", "type": "number", "periodMs": 60000}

FIELDS = {
    "web": {
        "browser": {"browser": MARKUP},
        "browser's name": {"browser": {"name": MARKUP, "version": "1"}},
        "browser's version": {"browser": {"name": "Firefox", "version": MARKUP}},
        "platform": {"platform": MARKUP},
        "screen": {"screen": MARKUP},
        "language": {"language": MARKUP},
        "time zone": {"timeZone": MARKUP},
        "user agent": {"userAgent": MARKUP},
    },
    "mobile": {
        "platform": {"platform": MARKUP},
        "model": {"model": MARKUP},
        "version": {"appVersion": MARKUP},
        "locale": {"locale": MARKUP},
    },
    "iot": {
        "model": {"model": MARKUP, "readings": [READING]},
        "firmware": {"firmware": MARKUP, "readings": [READING]},
        "reading's unit": {"readings": [{**READING, "unit": f"{{{MARKUP}}}"}]},
    },
}
CASES = [(channel, field) for channel, fields in FIELDS.items() for field in fields]


@pytest.mark.parametrize(("channel", "field"), CASES)
def test_markup_in_what_a_device_says_of_itself_is_text(nodes: Deployment, administrator, channel: str, field: str):
    device = nodes.device(channel)
    request = device.ask(displayName=MARKUP, metadata=FIELDS[channel][field])
    decisions = f"/nodes/requests/{request['requestId']}"

    def look(path: str, told: int = 2) -> None:
        page = administrator.get(path)
        assert page.status == 200
        # The name and the field, as a browser reads them: neither is an element.
        assert page.text.count(MARKUP) >= told, f"{path}: {page.text}"
        assert "<script>alert" not in page.body, path

    # A card has the name alone; what decides about it has everything.
    look("/nodes", told=1)
    for path in (f"{decisions}/approve", f"{decisions}/deny"):
        look(path)
    administrator.approve(request["requestId"], request["code"])
    assert device.socket.event("device.pair.resolved")["status"] == "paired"
    look(f"/nodes/devices/{device.sender_id}")


def test_a_letter_keeps_few_marks(nodes: Deployment, administrator):
    stacked = "o" + "\u030d" * 62
    request = nodes.device().ask(displayName=stacked, metadata={"userAgent": "u" + "\u030d" * 250})
    page = administrator.get(f"/nodes/requests/{request['requestId']}/approve")
    assert "o" + "\u030d" * 4 in page.text and "\u030d" * 5 not in page.text
