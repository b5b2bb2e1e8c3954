"""Settings given as text, checked against the dataclass that they are for."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeVar

from hypernoise.errors import HnError
from hypernoise.registry import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

Settings = TypeVar("Settings")


def _convert(text: str, like: Any, name: str) -> Any:
    kind = type(like)
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise HnError(f"{name} is {text!r} but must be true or false.")
        return text.lower() == "true"
    try:
        value = kind(text)
    except ValueError:
        raise HnError(f"{name} is {text!r} but must be of type {kind.__name__}.") from None
    if kind is float and not isfinite(value):
        raise HnError(f"{name} is {text!r} but must be finite.")
    return value


def overridden(settings: Settings, changes: Mapping[str, str], owner: str) -> Settings:
    """`settings` (a frozen dataclass) with some fields replaced by values given as text.

    Raises:
        HnError: for an unknown field, a value of another type, or one that the dataclass refuses.
    """
    known = {field.name: getattr(settings, field.name) for field in fields(settings)}  # type: ignore[arg-type]
    values = {}
    for name, text in changes.items():
        if name not in known:
            raise HnError(f"{owner} has no setting {name!r}: {nearest(name, list(known))}")
        values[name] = _convert(text, known[name], f"{owner}.{name}")
    try:
        return replace(settings, **values)  # type: ignore[type-var]
    except ValueError as error:
        raise HnError(f"{owner} cannot run with these settings: {error}.") from None


def whole_numbers(text: str, option: str, example: str) -> list[int]:
    """Numbers of an option given as text, such as "1,5,20,50": each once, in rising order.

    Raises:
        HnError: if they are not whole numbers from 1 on; the sentence shows the example.
    """
    words = text.split(",")
    if not all(word.strip().isdecimal() and int(word) > 0 for word in words):
        raise HnError(f"{option} is {text!r} but must be whole numbers from 1 on, such as {example}.")
    return sorted({int(word) for word in words})


def as_dict(settings: Any) -> dict[str, Any]:
    """A settings dataclass as plain data."""
    return asdict(settings)
