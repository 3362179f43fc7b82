"""The alerts and the dashboard of docs/monitoring: valid, tested, and of metrics that there are."""

import json
import re
import shutil
import subprocess

import pytest

from support.deployment import ROOT, Deployment

FOLDER = ROOT / "docs/monitoring"
ALERTS = (FOLDER / "alerts.yml").read_text()
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
# Prometheus's own, of every target.
UP = {"up"}
METRIC = re.compile(r"\b(?:gateway|kernel|postgres|channel|metrics|agent|messages|webhooks?|trace)_[a-z_]+\b|\bup\b")


def promtool(*arguments: str) -> str:
    program = shutil.which("promtool")
    assert program, "promtool is not on this machine; scripts/install-dependencies test installs it"
    done = subprocess.run([program, *arguments], cwd=FOLDER, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def metrics_of_the_sources() -> set[str]:
    names = {"metrics_series_dropped_total"}
    for path in (ROOT / "Sources").rglob("*.swift"):
        for kind, label in re.findall(r'\b(Counter|Gauge|Timer)\(\s*label: "([^"]+)"', path.read_text()):
            name = label.replace(".", "_")
            if kind == "Timer":
                names |= {f"{name}_seconds_{part}" for part in ("bucket", "sum", "count")}
            else:
                names.add(name + {"Counter": "_total", "Gauge": ""}[kind])
    return names


def named(text: str) -> set[str]:
    """The metrics in an expression: what stands in quotes or braces is labels."""
    return set(METRIC.findall(re.sub(r"\{[^}]*\}|\([a-z, ]+\) \(|by \([a-z, ]+\)", "(", text)))


def expressions_of_the_alerts() -> list[str]:
    folded = re.findall(r"^ +expr: >-\n((?: {10}.*\n)+)", ALERTS, re.M)
    return folded + re.findall(r"^ +expr: (?!>-)(.*)$", ALERTS, re.M)


def test_every_metric_that_an_alert_or_a_panel_names_is_one_of_the_sources():
    alerts = expressions_of_the_alerts()
    assert len(alerts) == len(re.findall(r"- alert: ", ALERTS)) > 10 and len(EXPRESSIONS) > 15
    known = metrics_of_the_sources() | UP
    for expression in alerts + EXPRESSIONS:
        names = named(expression)
        assert names, f"no metric in {expression}"
        assert names <= known, expression


def test_every_metric_is_on_the_dashboard():
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for text in EXPRESSIONS for name in named(text)}
    there = {re.sub(r"_(bucket|sum|count)$", "", name) for name in metrics_of_the_sources() if "\\(" not in name}
    assert sorted(there - shown) == []


def test_the_alerts_and_the_configuration_of_prometheus_are_valid():
    assert "SUCCESS" in promtool("check", "rules", "alerts.yml")
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml")


def test_each_alert_comes_when_it_should_and_none_where_all_is_well():
    assert "SUCCESS" in promtool("test", "rules", "alerts-test.yml")
    tests = (FOLDER / "alerts-test.yml").read_text()
    for alert in re.findall(r"- alert: (\w+)", ALERTS):
        assert f"alertname: {alert}, exp_alerts: []" in tests
        assert re.search(rf"alertname: {alert}\n +exp_alerts:\n +- exp_labels", tests), alert


def test_every_panel_asks_what_prometheus_understands(tmp_path):
    rules = [
        {"record": f"panel:{index}", "expr": re.sub(r"\$__rate_interval", "5m", text).replace("$instance", ".*")}
        for index, text in enumerate(EXPRESSIONS)
    ]
    path = tmp_path / "panels.yml"
    # JSON is YAML, too.
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(path))


def test_panels_lie_beside_one_another():
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@pytest.mark.parametrize("process", ["gateway/0", "kernel/0"])
def test_what_a_process_reports_is_what_prometheus_reads(nodes: Deployment, process):
    text = nodes.status(f"{process}/metrics")[1]
    program = shutil.which("promtool")
    done = subprocess.run([program, "check", "metrics"], input=text, capture_output=True, text=True)
    # It finds fault with style (no HELP), with 3; what cannot be read ends it with 1.
    assert done.returncode in (0, 3), done.stderr
    assert "error while linting" not in done.stderr
