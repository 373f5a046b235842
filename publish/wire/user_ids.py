"""Validates user ids of a product and converts them to keys."""

from conf.ids import ID_RULE, IdKind, UserId, is_id, parse_int64
from publish.errors import BadUserId


def user_key(user_id: UserId, ids: IdKind, product: str) -> bytes:
    """Returns the id as UTF-8, as in every key; raises BadUserId if no user of the product can have it."""
    if ids == "int64" and type(user_id) is int and -(2**63) <= user_id < 2**63:
        return b"%d" % user_id
    # Another spelling of the same number would hash to another partition and silently find nothing.
    known = isinstance(user_id, str) and is_id(user_id) if ids == "string" else parse_int64(str(user_id)) is not None
    if not known:
        rule = f" of {ID_RULE}" if ids == "string" else ""
        raise BadUserId(f"user {user_id!r:.300}: users of {product} have {ids} ids{rule}; pass one as it is")
    return str(user_id).encode()
