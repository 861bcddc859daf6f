"""The crawl of the project around: whether it publishes, and whether it agrees with the commands."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from estela_cli.doctor.findings import DEFAULT, NOT_SHOWN, Finding, Value, note, ok, problem
from estela_cli.doctor.queue import unread
from estela_config.configuration import Configuration
from estela_config.names import is_secret
from estela_config.scrapy_project import ScrapyProject
from estela_queue_adapter.errors import ConfigurationError
from estela_queue_adapter.settings import ENVIRONMENT, PREFIX, overlaid

if TYPE_CHECKING:
    from estela_scrapy.settings import ExtensionSettings

_SHARED = (
    "ESTELA_ITEMS_TOPIC",
    "ESTELA_REQUESTS_TOPIC",
    "ESTELA_STATS_TOPIC",
    "ESTELA_LOGS_TOPIC",
    "ESTELA_JOBS_TOPIC",
    "ESTELA_OUTBOX_PATH",
)
_ONE_LINE = 'EXTENSIONS = {"estela_scrapy.QueueExtension": 500}'


class CrawlCheck:
    """Looks at the settings as a crawl would have them, and as commands have them."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._error: ConfigurationError | None = None
        self.settings: ExtensionSettings | None = None
        """As the commands have them; None if they are wrong, or nobody crawls here."""
        project = configuration.project
        if project is None:
            return
        from estela_scrapy.cli.configured import extension_settings
        from estela_scrapy.settings import ExtensionSettings

        try:
            ExtensionSettings.from_scrapy(project.settings, self._environment)
            self.settings = extension_settings(configuration)
        except ConfigurationError as error:
            self._error = error

    @property
    def _environment(self) -> dict[str, str]:
        return dict(self._configuration.layers[0].values)

    @property
    def database(self) -> str:
        """Where its documents go, if that does not depend on the spider; or empty."""
        project = self._configuration.project
        if project is None or self.settings is None or "{" in self.settings.database:
            return ""
        from estela_scrapy.job.identity import identify

        job = identify("spider", project.settings.get("BOT_NAME") or "", self._environment)
        return self.settings.database or job.project

    def values(self) -> Iterator[Value]:
        """Its outbox and its JOBDIR."""
        project = self._configuration.project
        if project is None:
            return
        if self.settings is not None:
            origin = self._configuration.origin("ESTELA_OUTBOX_PATH") or DEFAULT
            yield Value("ESTELA_OUTBOX_PATH", str(self.settings.outbox_path), origin)
        folder = project.settings.get("JOBDIR")
        yield Value("JOBDIR", str(folder or "(none: a stopped crawl is not resumed)"),
                    project.module if folder else DEFAULT)  # fmt: skip

    def findings(self) -> Iterator[Finding]:
        """What there is to say of the project; nothing if there is none."""
        project = self._configuration.project
        if project is None:
            return
        yield self._extension(project)
        if self._error is not None:
            yield problem("crawl", self._error, f"correct it in {project.module} or the environment")
        yield from self._differences(project)

    def _extension(self, project: ScrapyProject) -> Finding:
        from estela_scrapy.addon import enabled_by
        from estela_scrapy.settings import ExtensionSettings

        if by := enabled_by(project.settings):
            try:
                if not ExtensionSettings.is_enabled(project.settings, self._environment):
                    return problem("extension", f"{by} names it, and ESTELA_ENABLED is False: crawls publish "
                                   "nothing", "remove ESTELA_ENABLED")  # fmt: skip
            except ConfigurationError as error:
                return problem("extension", error, "correct ESTELA_ENABLED")
            return ok("extension", f"{by} of {project.module} names it")
        told = f"neither EXTENSIONS nor ADDONS of {project.module} names it: crawls publish nothing"
        return problem("extension", told, f"add {_ONE_LINE} to {project.module}")

    def _differences(self, project: ScrapyProject) -> Iterator[Finding]:
        """Names that mean something else to the crawl than to the commands, and why."""
        crawl = overlaid(self._environment, project.values())
        commands = self._configuration.environ
        names = {name for name in (*crawl, *commands) if name in _SHARED or name.startswith(PREFIX)}
        for name in sorted(names):
            ours, theirs = commands.get(name) or "", crawl.get(name) or ""
            if ours == theirs:
                continue
            origin = self._configuration.origin(name)
            yield problem(
                name,
                f"commands use {_shown(name, ours)}, from {origin}; the crawl uses {_shown(name, theirs)}",
                f"set it in {project.module} alone, or in {ENVIRONMENT} alone",
            )


def _shown(name: str, value: str) -> str:
    return NOT_SHOWN if value and is_secret(name, value) else value or "(nothing)"


def misspelt(configuration: Configuration) -> Iterator[Finding]:
    """Names that nobody reads."""
    try:
        from estela_scrapy.cli.configured import scrapy_settings
        from estela_scrapy.settings import ExtensionSettings
    except ModuleNotFoundError:
        yield note("names", "ESTELA_* names are not checked for spelling: that needs Scrapy")
        return
    settings = scrapy_settings(configuration)
    for told in [*ExtensionSettings.misspelt(settings, configuration.environ), *unread(configuration)]:
        yield problem(told.partition(" ")[0], told.partition(" ")[2], "correct or remove the name")


def files(paths: dict[str, Path]) -> Iterator[Finding]:
    """Whether others on this machine may read the files that hold what was scraped."""
    for what, path in paths.items():
        try:
            mode = path.stat().st_mode
        except OSError:
            continue  # it is not there; whoever needs it says why it cannot be
        if os.name != "nt" and mode & 0o077:
            yield problem(
                f"file of the {what}", f"others on this machine may use {path}", f"chmod 600 {path}"
            )
        else:
            yield ok(f"file of the {what}", f"{path} is for its owner alone")
