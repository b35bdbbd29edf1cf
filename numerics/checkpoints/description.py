"""checkpoint.toml: what stands beside the weights, read strictly; every fault is one InputError line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import InputError
from ..support import reading
from ..support.limits import LIMITS

FILE = "checkpoint.toml"
FORMAT = 1
Gives = Literal["data", "noise", "v", "flow"]
Sides = Annotated[list[Annotated[int, Field(ge=1, le=LIMITS["shape"].high)]], Field(min_length=1, max_length=8)]
_AnyModel = TypeVar("_AnyModel", bound=BaseModel)


class Table(BaseModel):
    """A table of the file: no other keys, no other types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def read_toml(folder: Path) -> dict[str, Any]:
    """The document; InputError if there is none, it is no TOML, or it is of another format."""
    path = folder / FILE
    data = reading.read_toml(path, "checkpoint")
    if data.get("format") != FORMAT:
        raise InputError(f"{path.name}: format", data.get("format"), f"{FORMAT} is the one this version reads")
    return data


def validated(model: type[_AnyModel], data: dict[str, Any]) -> _AnyModel:
    """The document as a record; InputError for its first fault."""
    try:
        return model.model_validate(data)
    except ValidationError as faults:
        fault = faults.errors(include_url=False)[0]
        where = ".".join(map(str, fault["loc"]))
        value: Any = None if fault["type"] == "missing" else fault["input"]
        if fault["type"] == "too_long":
            value = f"{len(value)} entries"
        raise InputError(f"{FILE}: {where}", value, fault["msg"].replace("Input should", "must")) from None


def toml(data: dict[str, Any]) -> str:
    """A document of plain values and of tables of them, as TOML; every string and number as JSON writes it."""
    plain = {key: value for key, value in data.items() if not isinstance(value, dict)}
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in plain.items())
    for key, table in data.items():
        if isinstance(table, dict) and table:
            text += f"\n[{key}]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in table.items())
    return text
