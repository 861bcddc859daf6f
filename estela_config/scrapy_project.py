"""The settings of the Scrapy project around the working directory, by Scrapy's own rules."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from estela_config.names import OURS, is_read
from estela_queue_adapter.errors import ConfigurationError
from estela_queue_adapter.files.location import project_folder
from estela_queue_adapter.settings import as_text
from estela_wire.published import ADDON_TOPICS

if TYPE_CHECKING:
    from scrapy.settings import Settings

MODULE_VARIABLE = "SCRAPY_SETTINGS_MODULE"
PROJECT_VARIABLE = "SCRAPY_PROJECT"
_ADDONS = ("estela_scrapy.Addon", "estela_scrapy.addon.Addon")  # this package imports nothing of the crawl's
WITHOUT_SCRAPY = (
    "Scrapy is not installed here, so the settings of the project that {named} are not read. Set the "
    "environment or --env-file instead, or `pip install scrapy`."
)


@dataclass(frozen=True, slots=True)
class ScrapyProject:
    """A project whose settings have been loaded."""

    module: str
    """The settings module, `market.settings`."""
    named_by: str
    """A scrapy.cfg, or SCRAPY_SETTINGS_MODULE."""
    settings: Settings

    def values(self) -> dict[str, str]:
        """Those of its settings that commands read, as the environment would have them.

        What no variable can say (a function, a dictionary) is the crawl's alone. The add-on has topics of its
        own, which it sets only in a crawl. Raises ConfigurationError.
        """
        found = dict(ADDON_TOPICS) if self._has_addon() else {}
        for name in filter(is_read, self.settings):
            value = self.settings[name]
            try:
                found[name] = "" if value is None else as_text(value)
            except ValueError as error:
                if not name.startswith(OURS):
                    raise ConfigurationError(f"{name} in {self.module}: {error}; correct it there") from error
        return found

    def _has_addon(self) -> bool:
        return any(
            order is not None and _path(addon) in _ADDONS
            for addon, order in self.settings.getdict("ADDONS").items()
        )


def _path(component: Any) -> str:
    """Of what Scrapy takes for a component: a class, or its path."""
    if isinstance(component, str):
        return component
    return f"{getattr(component, '__module__', '')}.{getattr(component, '__qualname__', '')}"


@dataclass(frozen=True, slots=True)
class NamedModule:
    """A settings module that somebody names, and who."""

    module: str
    named_by: str


def named_module(environ: Mapping[str, str]) -> NamedModule | None:
    """The settings module of the project around, found as Scrapy finds it; None if there is no project.

    Scrapy is not imported. Raises ConfigurationError for a scrapy.cfg that cannot be read.
    """
    if module := environ.get(MODULE_VARIABLE):
        return NamedModule(module, MODULE_VARIABLE)
    project = environ.get(PROJECT_VARIABLE, "default")
    found = None
    for path in _config_files(environ):
        parser = ConfigParser()
        try:
            with path.open() as file:  # its own read() passes over what cannot be read
                parser.read_file(file, str(path))
            if parser.has_option("settings", project):
                found = NamedModule(parser.get("settings", project), str(path))
        except (ConfigParserError, UnicodeDecodeError, OSError) as error:
            told = " ".join(str(error).split())
            raise ConfigurationError(f"{path} cannot be read: {told}; correct or move it") from error
    return found


def load_project(named: NamedModule) -> ScrapyProject:
    """Import Scrapy and the settings module. Raises ConfigurationError."""
    try:
        from scrapy.utils.project import get_project_settings
    except ImportError as error:  # an older Scrapy beside newer packages that it cannot use
        raise ConfigurationError(
            f"Scrapy cannot be imported: {error}; `pip install --upgrade scrapy`, or the older packages that "
            "yours needs: for 2.11 and 2.12 `pip install 'twisted<=25.5' 'w3lib<2.4'`"
        ) from error
    try:
        with _output_to_errors():
            settings = get_project_settings()
    except (Exception, SystemExit) as error:  # anything can be wrong with a module
        way_out = "unset the variable" if named.named_by == MODULE_VARIABLE else "leave the project's folder"
        raise ConfigurationError(
            f"the settings {named.module} of the Scrapy project that {named.named_by} names cannot be "
            f"loaded: {type(error).__name__}: {error}; `python -c 'import {named.module}'` in the project "
            f"shows where. Correct them, or {way_out} to run the command without them"
        ) from error
    return ScrapyProject(named.module, named.named_by, settings)


def has_scrapy() -> bool:
    """Whether it is installed; it is not imported."""
    return importlib.util.find_spec("scrapy") is not None


def _config_files(environ: Mapping[str, str]) -> Iterator[Path]:
    """Every scrapy.cfg that counts; the later wins."""
    home = environ.get("XDG_CONFIG_HOME") or "~/.config"
    candidates = ["/etc/scrapy.cfg", r"c:\scrapy\scrapy.cfg", f"{home}/scrapy.cfg", "~/.scrapy.cfg"]
    with contextlib.suppress(RuntimeError):  # nobody's home
        yield from (path for path in (Path(name).expanduser() for name in candidates) if path.is_file())
    with contextlib.suppress(OSError):  # the working directory was removed
        if (folder := project_folder()) is not None:
            yield folder / "scrapy.cfg"


@contextlib.contextmanager
def _output_to_errors() -> Iterator[None]:
    """What the module prints is no output of the command's."""
    if sys.stderr is None:
        yield
        return
    with contextlib.redirect_stdout(sys.stderr):
        yield
