"""Who gets shadow lists: a sample of the users outside of a run's share; what they do shows what users find anyway."""

from typing import Self

from conf.base import Strict
from conf.ids import UserId, arm_of
from conf.share import EVERYBODY, NOBODY, Share

SHADOW = "shadow"
"""Name of the table of shadow lists in a run's folder, of the fact of stage topn, and of the arm in outcomes."""


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

    @property
    def own_salt(self) -> str:
        """The salt of the sample: another one than that of the arms makes it independent of these."""
        return f"{SHADOW}|{self.salt}"

    def holds(self, user_id: UserId) -> bool:
        """Returns whether a user is in the sample."""
        return arm_of(user_id, self.salt) >= int(self.covered_bp) and arm_of(user_id, self.own_salt) < int(
            self.share_bp
        )
