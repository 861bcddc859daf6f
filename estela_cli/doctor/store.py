"""The store: which one, whether it answers, and what may be done with it."""

from __future__ import annotations

from collections.abc import Iterator

from estela_cli.doctor.findings import DEFAULT, Finding, Value, note, ok, problem
from estela_cli.doctor.patience import NoAnswer, Question
from estela_config.configuration import Configuration
from estela_config.names import STORE
from estela_consumer.cli import estela_variables
from estela_consumer.cli.store_options import store_settings, store_url
from estela_consumer.errors import StoreUnreachable, UsageError
from estela_consumer.stores import Store, StoreAccess, open_store


class StoreCheck:
    """Asks the store, on a thread of its own. `findings` tells what came of it."""

    def __init__(
        self, configuration: Configuration, url: str | None, tls_ca_file: str | None, timeout: float
    ) -> None:
        self._store: Store | None = None
        self._error = ""
        environ = configuration.environ
        self._origin = configuration.origin(STORE) or DEFAULT
        if url and url != environ.get(STORE):
            self._origin = "--store"
        try:
            estela_variables.check_engine(environ, store_url(url, environ))
            self._store = open_store(store_settings(url, tls_ca_file, environ))
        except UsageError as error:
            self._error = str(error)
            return
        self._access: Question[StoreAccess] = Question(self._store.examine, timeout)

    def value(self) -> Value:
        """The store without its login."""
        shown = self._store.describe() if self._store else "(it cannot be used)"
        return Value(STORE, shown, self._origin)

    def findings(self, database: str) -> Iterator[Finding]:
        """Blocks. `database` is where the project's documents go; empty if that is not known."""
        if self._store is None:
            yield problem("store", self._error, "correct --store or DB_CONNECTION")
            return
        where = self._store.describe()
        try:
            access = self._access.answer()
        except StoreUnreachable as error:  # it says what is to blame
            yield problem("store", error, "correct it in DB_CONNECTION, or at the server")
            return
        except NoAnswer as error:
            told = f"{where}: {error}"
            yield problem("store", told, "check that the store is running, and its address in DB_CONNECTION")
            return
        if not access.exists:
            yield note("store", f"{where} does not exist yet; the first document creates it")
            return
        yield ok("store", f"{where} answers")
        if access.user:
            yield _permission(access, database)

    def close(self) -> None:
        """Let go of it."""
        if self._store is not None:
            self._store.close()


def _permission(access: StoreAccess, database: str) -> Finding:
    subject = f"login {access.user}"
    if access.databases is None:
        return ok(subject, "may write to every database")
    if database in access.databases:
        return ok(subject, f"may write to the database {database}")
    listed = ", ".join(access.databases) or "no database"
    if not database and access.databases:
        return note(subject, f"may write to {listed} alone")
    return problem(
        subject,
        f"may write to {listed}" + (f", and not to {database}" if database else ""),
        f"grant the role readWrite on {database or 'the database'} to the login",
    )
