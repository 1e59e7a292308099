"""None of many kinds of bad versions is served, no request fails meanwhile, and each is refused with its reason."""

import re
from pathlib import Path

import pytest

from tests.system import bad_versions

pytestmark = pytest.mark.slow  # a minute and a half

DOCUMENT = Path(__file__).parents[2] / "docs" / "bad-versions.md"


@pytest.mark.timeout(400)
def test_bad_versions(tmp_path):
    found, asked, failed = bad_versions.outcomes(tmp_path)
    assert len(found) >= 25
    assert failed == 0
    assert asked > 1000
    for one in found:
        assert one.reason, one
        assert "Traceback" not in one.reason
    listed = re.findall(r"^\| ([^|]+?) \| (offered|dropped)", DOCUMENT.read_text("utf-8"), re.M)
    assert listed == [(one.kind, one.how) for one in found]
