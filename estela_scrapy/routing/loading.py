"""What a setting names by its import path, or gives as itself: functions and classes of the user's."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from scrapy.utils.misc import load_object

from estela_queue_adapter.errors import ConfigurationError
from estela_terminal.printable import shown


def load_serializer(name: str, given: Any) -> Callable[[Any], Any] | None:
    """The function that the setting `name` gives; None if it gives none. Raises ConfigurationError."""
    if given is None or given == "":
        return None
    return load_function(name, given, "myproject.items.to_json")


def load_function(name: str, given: Any, example: str) -> Callable[[Any], Any]:
    """The function that `name` gives, itself or by its import path. Raises ConfigurationError."""
    setting = f"{name}={shown(given)}"
    advice = f"it names a function that takes one value, such as {example}"
    function = load(name, given, advice)
    if not callable(function):
        raise ConfigurationError(
            f"{setting} is of the type {type(function).__name__}, which cannot be called; {advice}"
        )
    if _answers_later(function):
        raise ConfigurationError(
            f"{setting} is a coroutine or a generator function, which cannot be called here; {advice}"
        )
    try:
        inspect.signature(function).bind(None)
    except TypeError as error:
        raise ConfigurationError(f"{setting} does not take one value ({error}); {advice}") from error
    except ValueError:  # some built-in functions have no signature
        pass
    return function  # type: ignore[no-any-return]


def load(name: str, given: Any, advice: str) -> Any:
    """What `given` names by its import path, or itself if it is no text. Raises ConfigurationError."""
    if not isinstance(given, str):
        return given
    try:
        return load_object(given)
    except Exception as error:
        raise ConfigurationError(
            f"{name}={shown(given)}: {type(error).__name__}: {shown(error)}; {advice}"
        ) from error


def _answers_later(function: Any) -> bool:
    """Whether a call gives a coroutine or a generator in place of a value, by itself or by its class."""
    return any(
        kind(called)
        for kind in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
        for called in (function, inspect.getattr_static(type(function), "__call__", None))
    )
