"""docs/operations.md: a section for each alert, links that lead somewhere, figures and commands that are right."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from modelport import layout, serverconfig
from modelport.manifest import Manifest
from modelport.repository import Repository
from modelport_serving import Options
from tests.monitoring.files import CONFIG, ROOT, RULES, alert_names, dashboard

TEXT = (ROOT / "docs" / "operations.md").read_text()
ALERTS = TEXT.partition("\n## Alerts\n")[2].partition("\n## ")[0]


def anchors(text: str) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_each_alert_has_its_section_and_no_other():
    assert re.findall(r"^### (\w+)$", ALERTS, re.MULTILINE) == alert_names()


def test_each_alert_leads_to_its_section_and_has_its_severity():
    rules = re.findall(r"- alert: (\w+)\n.*?severity: (\w+).*?runbook: (\S+)\n", RULES.read_text(), re.DOTALL)
    assert [name for name, _, _ in rules] == alert_names()
    words = {"critical": "Critical", "warning": "Warning", "info": "For information"}
    for name, severity, runbook in rules:
        assert runbook == f"docs/operations.md#{name.lower()}"
        assert re.search(rf"^### {name}\n\n{words[severity]}", ALERTS, re.MULTILINE), name


def test_links_and_panels_exist():
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert {link[1:] for link in links if link.startswith("#")} <= anchors(TEXT)
    assert [link for link in links if link[0] != "#" and not (ROOT / "docs" / link).exists()] == []
    titles = {panel["title"] for panel in dashboard()["panels"]} | {dashboard()["title"]}
    named = {" ".join(name.split()) for name in re.findall(r"(?<!\*)\*([A-Z\w][^*]+)\*(?!\*)", TEXT)}
    assert named <= titles


def test_the_limits_are_the_servers():
    rows = re.findall(r"^\| `--(\w+)` \| (\S+) \|", TEXT, re.MULTILINE)
    assert len(rows) == 10
    assert {name: str(getattr(Options(), name)) for name, _ in rows} == dict(rows)
    batching = serverconfig.parse_batching(serverconfig.read(CONFIG / "batching.config"))
    assert f"| {batching.max_batch_size}, {batching.max_enqueued_batches}, then UNAVAILABLE |" in TEXT
    assert set(re.findall(r"`--(\w+)[=`]", TEXT)) - {"delete"} <= set(Options.__dataclass_fields__)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def shell(folder: Path, heading: str) -> str:
    """Run the `sh` blocks below a heading."""
    section = TEXT.partition(f"\n### {heading}\n")[2].partition("\n#")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    assert blocks, heading
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks)],
        cwd=folder,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def publish(root: Path, content: bytes) -> int:
    with Repository(root).stage("digits") as staging:
        (staging.path / "saved_model.pb").write_bytes(content)
        return staging.commit(Manifest("digits")).version


@pytest.fixture
def backed_up(tmp_path) -> dict[str, bytes]:
    """Versions 1 and 2, and a third in the making, were backed up; gives what was whole."""
    for content in (b"one", b"two"):
        publish(tmp_path / "models", content)
    whole = tree(tmp_path / "models")
    with Repository(tmp_path / "models").stage("digits") as staging:
        (staging.path / "saved_model.pb").write_bytes(b"half")
        shell(tmp_path, "Backup")
    return whole


def test_all_is_restored_after_a_loss(tmp_path, backed_up):
    (tmp_path / "models").rename(tmp_path / "lost")
    (tmp_path / "models").mkdir()
    said = shell(tmp_path, "Restore")
    assert said.splitlines() == ["digits 1 is whole", "digits 2 is whole"]
    del backed_up[layout.PROBED]  # another disk is tried anew
    assert tree(tmp_path / "models") == backed_up
    assert publish(tmp_path / "models", b"three") == 3


def test_one_version_is_restored_beside_newer_ones(tmp_path, backed_up):
    publish(tmp_path / "models", b"three")
    kept = tree(tmp_path / "models")
    (tmp_path / "models" / "digits" / "2").rename(tmp_path / "lost")
    shell(tmp_path, "Restore")
    assert tree(tmp_path / "models") == kept


def test_a_withdrawn_version_is_no_version_and_keeps_its_number(tmp_path, backed_up):
    shell(tmp_path, "Withdrawing a version")
    assert Repository(tmp_path / "models").versions("digits") == [1]
    assert publish(tmp_path / "models", b"three") == 3


def test_a_damaged_backup_is_found_out(tmp_path, backed_up):
    [archive] = (tmp_path / "backup").iterdir()
    data = archive.read_bytes()
    assert data.count(b"two") == 1
    archive.write_bytes(data.replace(b"two", b"2wo"))
    (tmp_path / "models").rename(tmp_path / "lost")
    (tmp_path / "models").mkdir()
    with pytest.raises(AssertionError, match="DataLoss"):
        shell(tmp_path, "Restore")
    assert list((tmp_path / "models").iterdir()) == [tmp_path / "models" / ".restored"]
