"""The model card as a part of the report: made by the stage train, kept as a document, checked before it is shown."""

from xml.etree import ElementTree

from markupsafe import Markup

from jobs.pages.report.documents import Known

_TAGS = frozenset({"div", "h3", "p", "table", "thead", "tbody", "tr", "th", "td"})
_ATTRIBUTES = frozenset({"class", "scope"})


def card_part(card: Known) -> Markup | None:
    """Returns the part that was kept; None if there is none, or it is something else than text and tables."""
    html = card.at("html").value
    if not isinstance(html, str):
        return None
    try:
        tree = ElementTree.fromstring(f"<div>{html}</div>")
    except ElementTree.ParseError:
        return None
    sound = all(part.tag in _TAGS and part.attrib.keys() <= _ATTRIBUTES for part in tree.iter())
    return Markup(html) if sound else None
