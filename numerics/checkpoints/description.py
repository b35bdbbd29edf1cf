"""checkpoint.toml, the description beside the weights, read strictly; every fault is an InputError."""

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
Prediction = Literal["data", "noise", "v", "flow"]
Sides = Annotated[list[Annotated[int, Field(ge=1, le=LIMITS["shape"].high)]], Field(min_length=1, max_length=8)]
_AnyModel = TypeVar("_AnyModel", bound=BaseModel)


class Table(BaseModel):
    """A table of the file; other keys and other types are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def read_toml(folder: Path) -> dict[str, Any]:
    """The document; InputError if it is missing, not valid TOML, or of another format."""
    path = folder / FILE
    data = reading.read_toml(path, "checkpoint")
    if data.get("format") != FORMAT:
        raise InputError(f"{path.name}: format", data.get("format"), f"{FORMAT}, the format that this version reads")
    return data


def validated(model: type[_AnyModel], data: dict[str, Any]) -> _AnyModel:
    """The document as a model; InputError for its first fault."""
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
    """A document of plain values and tables of plain values, as TOML; strings and numbers are written as in JSON."""
    plain = {key: value for key, value in data.items() if not isinstance(value, dict)}
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in plain.items())
    for key, table in data.items():
        if isinstance(table, dict) and table:
            text += f"\n[{key}]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in table.items())
    return text
