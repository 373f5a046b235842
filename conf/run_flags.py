"""Flags of a run: these fields define the options of the job and the parameters of the DAG.

A field's docstring is the help text; its type determines the form of the option:

    bool            --publish-old                     a switch
    float | None    --audience-share 0.25             a number, or omitted
    dict            --override NAME=REASON            once per key; the name is singular

pydantic and the standard library only: `dags/run_flags.py` is a link to this file.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema


class RunFlags(BaseModel):
    """Flags kept in the manifest; a resumed run must have the same ones."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    first: bool = False
    """The first run of the product: no run to compare with."""
    publish_old: bool = False
    """Publish although a run of a later day serves."""
    refresh: bool = False
    """Keep the factors that serve, and fold in new users."""
    overrides: dict[str, Annotated[str, Field(min_length=1)]] = {}
    """Expectations that may fail, each with the reason."""


class RunParameters(RunFlags):
    """All flags of a run; of the share the manifest keeps only the result."""

    audience_share: Annotated[
        float | None, WithJsonSchema({"type": ["null", "number"], "minimum": 0, "maximum": 1})
    ] = None
    """Fraction of the audience, e.g. 0.25; default: as the ramp of the open experiment decided, else rollout.share."""


def option_of(name: str) -> str:
    """Returns the name of a field's command line option."""
    one = name.removesuffix("s") if isinstance(RunParameters.model_fields[name].default, dict) else name
    return "--" + one.replace("_", "-")


def command_line(values: Mapping[str, Any]) -> Iterator[str]:
    """Yields the command line of the job for values of the fields of `RunParameters`."""
    for name in RunParameters.model_fields:
        option, value = option_of(name), values[name]
        if isinstance(value, Mapping):
            for key, text in value.items():
                yield from (option, f"{key}={text}")
        elif value is True:
            yield option
        elif value is not None and value is not False:
            yield from (option, str(value))
