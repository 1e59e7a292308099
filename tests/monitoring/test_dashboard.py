"""The dashboard: what it asks for is what the server exports."""

import re
import urllib.request

from tests.monitoring.files import GRAFANA, dashboard, metric_names, panel_queries, recorded_names, rule_expressions

OF_PROMETHEUS = {"up", "ALERTS"}  # its own series


def exported(page: str) -> set[str]:
    """The series' names on a metrics page: histograms have three."""
    kinds = dict(re.findall(r"^# TYPE (\S+) (\w+)$", page, re.MULTILINE))
    endings = {"histogram": ("_bucket", "_sum", "_count")}
    return {name + ending for name, kind in kinds.items() for ending in endings.get(kind, ("",))}


def test_names_are_found():
    found = metric_names('sum by (a, le) (rate(:x:y_bucket{b="c{"}[5m])) / on (d) group_left up offset 10m > 1e6 or z')
    assert found == {":x:y_bucket", "up", "z"}


def test_alerts_and_dashboard_name_only_what_the_server_exports(watched, ask):
    ask()
    with urllib.request.urlopen(f"{watched.rest_address}/monitoring/prometheus/metrics", timeout=10) as answer:
        known = exported(answer.read().decode())
    expressions = rule_expressions() + [query for _, query in panel_queries()]
    variables = [re.match(r"label_values\((\S+), ", v["definition"])[1] for v in dashboard()["templating"]["list"]]
    named = set().union(*map(metric_names, expressions + variables)) - recorded_names() - OF_PROMETHEUS
    assert len(named) > 15
    assert named - known == set()


def test_prometheus_accepts_the_queries(promtool, tmp_path):
    from tests.monitoring.test_rules import run

    rules = [f"    - {{ record: 'q{n}', expr: '{query}' }}" for n, (_, query) in enumerate(panel_queries())]
    (tmp_path / "queries.yml").write_text("groups:\n- name: q\n  rules:\n" + "\n".join(rules) + "\n")
    assert f"{len(rules)} rules found" in run(promtool, "check", "rules", str(tmp_path / "queries.yml"))


def test_grafana_finds_the_dashboard_and_its_data():
    source = (GRAFANA / "datasources" / "prometheus.yml").read_text()
    provider = (GRAFANA / "dashboards" / "provider.yml").read_text()
    uid = re.search(r"^\s+uid: (\S+)", source, re.MULTILINE)[1]
    assert re.search(r"^\s+path: /etc/grafana/provisioning/dashboards$", provider, re.MULTILINE)
    board = dashboard()
    assert board["uid"] == "modelport-serving"
    named = [t["datasource"]["uid"] for p in board["panels"] for t in p.get("targets", [])]
    named += [v["datasource"]["uid"] for v in board["templating"]["list"]]
    assert set(named) == {uid}


def test_panels_neither_share_ids_nor_overlap():
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells


def test_every_panel_says_what_it_shows():
    assert [p["title"] for p in dashboard()["panels"] if p["type"] != "row" and not p["description"]] == []
