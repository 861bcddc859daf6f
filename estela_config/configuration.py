"""The layers of a command's settings below its options; the first that sets a name counts."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from estela_config.env_file import read_env_file
from estela_config.scrapy_project import (
    WITHOUT_SCRAPY,
    ScrapyProject,
    has_scrapy,
    load_project,
    named_module,
)
from estela_queue_adapter.files.values import SUFFIX
from estela_queue_adapter.settings import ENVIRONMENT, Source, Variables, overlaid


@dataclass(frozen=True, slots=True)
class Layer:
    """Settings by the names of their variables, and where they stand."""

    origin: str
    values: Mapping[str, str] = field(repr=False)  # secrets among them


@dataclass(frozen=True, slots=True)
class Note:
    """A line for the log."""

    level: int
    text: str


@dataclass(frozen=True)
class Configuration:
    """All layers, the first of which counts, and what there is to say of them."""

    layers: tuple[Layer, ...]
    notes: tuple[Note, ...] = ()
    project: ScrapyProject | None = None

    @functools.cached_property
    def environ(self) -> dict[str, str]:
        """All layers as one environment."""
        merged: dict[str, str] = {}
        for layer in reversed(self.layers):
            merged = overlaid(merged, layer.values)
        return merged

    def sources(self, prefix: str, *, files: bool = False) -> tuple[Source, ...]:
        """The layers as sources of the fields whose variables begin with `prefix`."""
        return tuple(
            Variables(layer.values, prefix, files=files, origin=layer.origin) for layer in self.layers
        )

    def given(self, name: str) -> tuple[Any, str]:
        """A setting as it is given, and where: of a project it may be what no variable can say."""
        for layer in self.layers:
            if value := layer.values.get(name):
                return value, layer.origin
        value = None if self.project is None else self.project.settings.get(name)
        return (None, "") if value is None or self.project is None else (value, self.project.module)

    def origin(self, *names: str) -> str:
        """Where the first of these names is set, itself or by a file; empty if nowhere."""
        for layer in self.layers:
            if any(layer.values.get(name) or layer.values.get(f"{name}{SUFFIX}") for name in names):
                return layer.origin
        return ""


def load(environ: Mapping[str, str], env_file: str | None = None) -> Configuration:
    """The environment, the `.env` file if there shall be one, and the Scrapy project around, if there is one.

    Raises ConfigurationError.
    """
    environ = dict(environ)  # as it is now: Scrapy sets variables of its own
    layers, notes = [Layer(ENVIRONMENT, environ)], []
    if env_file is not None:
        values, warnings = read_env_file(env_file)
        layers.append(Layer(env_file, values))
        notes += [Note(logging.WARNING, warning) for warning in warnings]
    project = None
    if (named := named_module(environ)) is not None:
        if has_scrapy():
            project = load_project(named)
            layers.append(Layer(named.module, project.values()))
        else:
            notes.append(Note(logging.INFO, WITHOUT_SCRAPY.format(named=f"{named.named_by} names")))
    return Configuration(tuple(layers), tuple(notes), project)
