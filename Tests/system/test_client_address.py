"""Where a client comes from is what nginx saw, whatever the client says of itself."""

import pytest
from support.deployment import Deployment
from support.device import TokenCredential

INVENTED = "203.0.113.9"
HEADERS = {
    "X-Real-IP": INVENTED,
    "X-Forwarded-For": INVENTED,
    "Forwarded": f"for={INVENTED}",
    "X-Client-IP": INVENTED,
    "Remote-Addr": INVENTED,
}


@pytest.mark.parametrize("header", HEADERS)
def test_a_device_cannot_choose_the_address_that_it_is_seen_at(nodes: Deployment, administrator, header: str):
    device = nodes.device(credential=TokenCredential())
    headers = {header: HEADERS[header]}
    device.dial(address="127.0.0.80", headers=headers)
    request = device.ask()
    page = administrator.get(f"/nodes/requests/{request['requestId']}/approve")
    assert "127.0.0.80" in page.text and INVENTED not in page.text
    administrator.approve(request["requestId"], request["code"])
    device.socket.event("device.pair.resolved")
    device.reconnect(address="127.0.0.81", headers=headers)
    page = administrator.get(f"/nodes/devices/{device.sender_id}")
    assert "127.0.0.81" in page.text and INVENTED not in page.text
    assert nodes.rows(
        "SELECT DISTINCT address FROM events WHERE sender_id = %s AND actor_kind = 'device'", device.sender_id
    ) == [("127.0.0.80",)]


@pytest.mark.parametrize("header", HEADERS)
def test_an_administrator_cannot_choose_the_address_that_is_recorded(nodes: Deployment, header: str):
    administrator = nodes.administrator(address="127.0.0.82")
    request = nodes.device(credential=TokenCredential()).ask()
    path = f"/nodes/requests/{request['requestId']}/approve"
    form = administrator.get(path).form(path)
    form.fields["code"] = request["code"]
    page = administrator.post(form.action, form.fields, {header: HEADERS[header]})
    assert page.status == 303, page.text
    assert nodes.rows(
        "SELECT address FROM events WHERE request_id = %s AND event = 'pairing.approved'", request["requestId"]
    ) == [("127.0.0.82",)]
