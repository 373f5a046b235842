"""The rules that keep a source out of a list, in the order in which the first one counts."""

from enum import StrEnum


class Rule(StrEnum):
    """Why a source is not in a list; the first that applies, in this order, is the reason that is given."""

    SEEN = "seen"
    SUBSCRIBED = "subscribed"
    BLOCKED = "blocked"
    OWNED = "owned"
    INELIGIBLE = "ineligible"
    UNTRAINED = "untrained"
    """It has no interactions in the windows, hence no factors and no score."""
    CATEGORY_CAP = "category_cap"
    OWNER_CAP = "owner_cap"
    MIN_SCORE = "min_score"
    BEATEN = "beaten"
    """No rule dropped it: the list was full of better ones."""


EXCLUDED = (Rule.SEEN, Rule.SUBSCRIBED, Rule.BLOCKED, Rule.OWNED)
"""The rules of a user's own exclusions, in order."""
