"""Which users get shadow lists: what they do without having got these shows what users find anyway."""

from typing import Self

from pyspark.sql import Column

from conf.base import Strict
from conf.share import EVERYBODY, NOBODY, Share
from features.hash_columns import arm_column

SHADOW = "shadow"
"""Name of their table in a run's folder, and of the fact of stage topn."""


class ShadowSample(Strict):
    """A sample of the users outside of a run's share; the same ones from run to run, whatever the share."""

    covered_bp: Share
    """Share of the audience that the run serves."""
    salt: str
    """Salt of the arms."""
    share_bp: Share
    """Share of the audience in the sample, as far as the run does not serve it."""

    @classmethod
    def of(cls, covered: Share, salt: str, share: Share) -> Self | None:
        """Returns the sample; None if there is nobody in it."""
        if covered == EVERYBODY or share == NOBODY:
            return None
        return cls(covered_bp=covered, salt=salt, share_bp=share)

    def holds(self, user_id: Column) -> Column:
        """Returns whether a user is in the sample; another salt than that of the arms makes it independent of these."""
        is_sampled = arm_column(user_id, f"shadow|{self.salt}") < int(self.share_bp)
        return is_sampled & (arm_column(user_id, self.salt) >= int(self.covered_bp))
