"""What becomes of versions once they are in the repository: which one answers, the way back, and who decided it.

promote, rollback ← promoting ← configuration; `modelport.history` keeps what was decided.
"""

from modelport_release.promotion.promoting import promote
from modelport_release.promotion.rollback import rollback

__all__ = ["promote", "rollback"]
