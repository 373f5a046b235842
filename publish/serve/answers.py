"""Answers and problems as JSON. Every id is text: a number beyond 2⁵³ loses digits in JavaScript and others."""

import json
from collections.abc import Sequence
from functools import lru_cache

from publish.errors import MalformedMessage
from publish.read.rules import Answer
from publish.serve.problems import Problem

_AS_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def answer_json(answer: Answer) -> str:
    """Returns an answer as a JSON object; raises MalformedMessage where its scores are no numbers."""
    run = "null" if answer.run is None else _AS_JSON(answer.run)
    age = "null" if answer.age_seconds is None else f"{answer.age_seconds:.3f}"
    return (
        f'{{"user_id":{_AS_JSON(str(answer.user_id))},"arm":"{answer.arm}","share_bp":{answer.share_bp},"run":{run},'
        f'"kind":"{answer.kind}","source_ids":{_ids(answer.source_ids)},"scores":{_scores(answer.scores)},'
        f'"excluded":{answer.excluded},"age_seconds":{age}}}'
    )


def problem_json(problem: Problem, user_id: str | None = None) -> str:
    """Returns a problem as a JSON object, for a batch with its user."""
    document = {} if user_id is None else {"user_id": user_id[:300]}
    return _AS_JSON(document | {"error": problem.word, "message": problem.message})


def batch_json(answers: Sequence[str]) -> str:
    """Returns the answers of a batch, which are JSON already, as one object."""
    return f'{{"answers":[{",".join(answers)}]}}'


def _ids(source_ids: Sequence[int | str]) -> str:
    if source_ids and isinstance(source_ids[0], int):
        return _form_of('"%d"', len(source_ids)) % tuple(source_ids)
    return _AS_JSON(source_ids)


def _scores(scores: Sequence[float]) -> str:
    """Returns the scores with nine digits, which name every 32-bit float exactly."""
    text = _form_of("%.9g", len(scores)) % tuple(scores)
    if "n" in text:  # nan, inf
        raise MalformedMessage("a list has scores that are no numbers")
    return text


@lru_cache(maxsize=2_048)
def _form_of(one: str, length: int) -> str:
    """Returns a form for a list of so many values; filling it in takes half the time of joining them."""
    return f"[{','.join([one] * length)}]"
