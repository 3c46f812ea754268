"""What a pydantic model holds at a place: sections, tables of named entries, or plain values."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel


def bare(annotation: object) -> object:
    """The annotation without `Annotated` and without a `None` alternative."""
    if get_origin(annotation) is Annotated:
        return bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not types.NoneType]
        return bare(members[0]) if len(members) == 1 else annotation
    return annotation


def section(annotation: object) -> type[BaseModel] | None:
    """The model behind the annotation, if it is one."""
    shape = bare(annotation)
    return shape if isinstance(shape, type) and issubclass(shape, BaseModel) else None


def entry_type(annotation: object) -> object | None:
    """The type of a table's entries; None when the annotation is no table."""
    shape = bare(annotation)
    if get_origin(shape) is dict:
        entry: object = get_args(shape)[1]
        return entry
    return None


def choices(annotation: object) -> tuple[Any, ...]:
    """The values a `Literal` allows; empty for other types."""
    shape = bare(annotation)
    return get_args(shape) if get_origin(shape) is typing.Literal else ()


def models_at(
    model: type[BaseModel], location: tuple[str | int, ...], data: object
) -> list[type[BaseModel]]:
    """The models that may stand at a location; among tagged ones, those of the tag that came."""
    shapes: list[object] = [model]
    here = data
    for part in location:
        shapes = [inner for shape in shapes for inner in _inside(shape, part)]
        here = here.get(part) if isinstance(here, Mapping) else None
    found = [member for shape in shapes for member in _models(shape)]
    kind = here.get("kind") if isinstance(here, Mapping) else None
    tagged = [member for member in found if _tag(member) == kind and kind is not None]
    return tagged or found


def _tag(model: type[BaseModel]) -> object:
    field = model.model_fields.get("kind")
    return field.default if field is not None else None


def _members(annotation: object) -> Iterator[object]:
    shape = bare(annotation)
    if get_origin(shape) in (Union, types.UnionType):
        for member in get_args(shape):
            yield from _members(member)
    else:
        yield shape


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    for member in _members(annotation):
        if (model := section(member)) is not None:
            yield model


def _inside(annotation: object, part: str | int) -> Iterator[object]:
    for member in _members(annotation):
        if (model := section(member)) is not None:
            if part in model.model_fields:
                yield model.model_fields[str(part)].annotation
        elif get_origin(member) is dict:
            yield get_args(member)[1]
        elif get_origin(member) in (list, tuple):
            yield get_args(member)[0]
