"""Traces: a stand-in collector receives what requests led to, linked by their numbers, and its absence hurts nobody."""

import http.client
import json
import re
import secrets
import socket
import threading
import time

import pytest

from support.agents import Agent, document, says
from support.completions import client, paired, say
from support.deployment import Deployment, deployed, eventually

# Another class's server that takes POSTs is all that a collector is.
TAKEN = document({"partialSuccess": {}})


class Collector:
    """Takes OTLP/HTTP in JSON, as `/v1/traces`."""

    def __init__(self) -> None:
        self.server = Agent(TAKEN)
        self.endpoint = self.server.url.removesuffix("/v1")

    def spans(self, trace: str | None = None) -> list[dict]:
        found = []
        for headers, body in list(self.server.requests):
            assert headers["Content-Type"] == "application/json"
            for resource in json.loads(body)["resourceSpans"]:
                facts = attributes(resource["resource"])
                for span in (span for scope in resource["scopeSpans"] for span in scope["spans"]):
                    found.append({**span, "program": facts["service.name"], "facts": attributes(span)})
        return [span for span in found if trace in (None, span["traceId"])]

    def wait_for(self, name: str, trace: str | None = None) -> dict:
        return eventually(
            lambda: next((span for span in self.spans(trace) if span["name"] == name), None),
            f"a span {name} of {trace}; there are {[(s['name'], s['traceId']) for s in self.spans()]}",
        )


def attributes(holder: dict) -> dict:
    return {entry["key"]: next(iter(entry["value"].values())) for entry in holder["attributes"]}


def parent(*, flags: str = "01") -> tuple[str, str, str]:
    """A header as a client that records would send it, with its numbers."""
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    return f"00-{trace}-{span}-{flags}", trace, span


@pytest.fixture(scope="module")
def collector():
    made = Collector()
    with made.server:
        yield made


@pytest.fixture(scope="module")
def support():
    with Agent(says("Here you are.")) as agent:
        yield agent


@pytest.fixture(scope="module")
def nodes(collector, support):
    settings = {
        "agents": {"support": {"type": "openai", "model": "m", "url": support.url}},
        "channels": {"default_agents": {"web": "support"}},
        # Only what whoever sends it wants recorded: nothing else is, so that what came is what was asked for.
        "tracing": {"otlp_endpoint": collector.endpoint, "sampled_percent": 0, "traces_per_second": 1000},
    }
    with deployed(gateways=1, kernels=1, settings=settings) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def administrator(nodes):
    return nodes.administrator()


def test_a_page_is_a_part_of_what_its_request_says_down_to_what_postgresql_shows(nodes: Deployment, administrator, collector):
    header, trace, span = parent()
    blocker = nodes.db()
    blocker.autocommit = False
    with blocker.cursor() as cursor:
        cursor.execute("LOCK TABLE pairing_requests IN ACCESS EXCLUSIVE MODE")
    pages = []
    reader = threading.Thread(
        target=lambda: pages.append(administrator.get("/nodes?filter=secret", traceparent=header)), daemon=True
    )
    reader.start()
    shown = eventually(
        lambda: nodes.rows(
            "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE %s", f"nodes-kernel {trace}%"
        ),
        "PostgreSQL shows what its work is a part of",
    )
    blocker.rollback()
    reader.join(30)
    assert pages[0].status == 200
    page = collector.wait_for("GET /nodes", trace)
    assert page["program"] == "nodes-kernel" and page["kind"] == 2 and page["parentSpanId"] == span
    assert page["facts"]["url.path"] == "/nodes" and page["facts"]["http.response.status_code"] == "200"
    # The query of a page may hold a secret.
    assert "secret" not in json.dumps(collector.spans())
    statements = [other for other in collector.spans(trace) if other["name"] == "postgresql"]
    assert statements and {other["parentSpanId"] for other in statements} == {page["spanId"]}
    assert shown[0][0].split("-")[-1] in {other["spanId"] for other in statements}
    assert all(other["facts"]["db.query.text"] for other in statements)
    # Nothing of it stays on the connections.
    assert nodes.rows("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE %s", f"%{trace}%") == [(0,)]


def test_a_message_is_followed_from_its_socket_to_the_agent_that_answers_it(nodes, administrator, collector, support):
    device = nodes.device("web")
    device.pair(administrator)
    device.socket.close()
    header, trace, span = parent()
    device.socket = nodes.socket(headers={"traceparent": header})
    device.connect()
    device.socket.request("message.send", {"messageId": "traced", "message": {"type": "text", "text": "hello"}})
    assert device.socket.event("message")["message"]["text"].split() == ["Here", "you", "are."]

    connect = collector.wait_for("connect", trace)
    assert connect["program"] == "nodes-gateway" and connect["parentSpanId"] == span
    # A socket lasts for days: what it asks then is a trace of its own, linked to the socket's.
    send = collector.wait_for("message.send")
    assert send["traceId"] != trace and "parentSpanId" not in send
    assert send["links"] == [{"traceId": trace, "spanId": span}]
    agent = collector.wait_for("agent", send["traceId"])
    assert agent["parentSpanId"] == send["spanId"] and agent["kind"] == 3
    assert agent["facts"] == {"nodes.agent": "support", "nodes.attempt": "1"} and "status" not in agent
    # The agent goes on with it.
    assert support.requests[-1][0]["traceparent"] == f"00-{send['traceId']}-{agent['spanId']}-01"
    eventually(
        lambda: send["spanId"] in {s.get("parentSpanId") for s in collector.spans() if s["name"] == "postgresql"},
        "the statements that stored the message",
    )


def test_a_device_that_speaks_http_and_its_agent_are_one_trace(nodes, administrator, collector, support):
    header, trace, span = parent()
    device = paired(nodes, administrator, agents=["support"])
    api = client(nodes, device.credential.token)
    api.chat.completions.create(model="default", messages=say("hello"), extra_headers={"traceparent": header})
    send = collector.wait_for("message.send", trace)
    assert send["parentSpanId"] == span
    agent = collector.wait_for("agent", trace)
    assert support.requests[-1][0]["traceparent"] == f"00-{trace}-{agent['spanId']}-01"


def test_what_nobody_wants_recorded_is_not_and_no_agent_hears_of_it(nodes, administrator, collector, support):
    header, trace, _ = parent(flags="00")
    assert administrator.get("/channels", traceparent=header).status == 200
    # Nonsense is replaced by nginx, and does no harm where it is not.
    assert administrator.get("/channels", traceparent="00-" + "0" * 32 + "-x").status == 200
    device = nodes.device("web")
    device.pair(administrator)
    device.socket.request("message.send", {"messageId": "m", "message": {"type": "text", "text": "hello"}})
    device.socket.event("message")
    assert "traceparent" not in support.requests[-1][0]
    # Something that is recorded comes later than all of it would.
    marker, wanted, _ = parent()
    administrator.get("/channels", traceparent=marker)
    collector.wait_for("GET /channels", wanted)
    assert collector.spans(trace) == []
    assert [s["traceId"] for s in collector.spans() if s["name"] == "GET /channels"] == [wanted]


def dropped(nodes: Deployment, process: str) -> float:
    text = nodes.status(f"{process}/metrics")[1]
    return float(re.search(r'^trace_spans_total\{outcome="dropped"\} ([\d.]+)', text, re.M).group(1))


def test_a_collector_that_is_away_costs_spans_and_nothing_else(deploy):
    """First nobody listens, then somebody who never answers; every page comes as fast as without, and drops count."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = {"tracing": {"otlp_endpoint": endpoint, "sampled_percent": 100, "traces_per_second": 10_000}}
        nodes = deploy(gateways=1, kernels=1, settings=settings)
        administrator = nodes.administrator()
        administrator.get("/nodes")
        eventually(lambda: dropped(nodes, "kernel/0") > 0, "spans are dropped")
        device = nodes.device("mobile")
        device.pair(administrator)
        eventually(lambda: dropped(nodes, "gateway/0") > 0, "spans are dropped")
        silent.listen()
        start = time.monotonic()
        for _ in range(20):
            assert administrator.get("/nodes").status == 200
        # A tenth of what one waits for a collector: none of them did.
        assert (time.monotonic() - start) / 20 < 1
        connection = http.client.HTTPConnection("127.0.0.1", nodes.port, timeout=10)
        connection.request("GET", "/login", headers={"traceparent": parent()[0]})
        assert connection.getresponse().status == 200
