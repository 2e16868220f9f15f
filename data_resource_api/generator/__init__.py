"""``Generator``: a payload is compiled, created, stored and served; all of it or nothing.

The truth is the newest row of ``admin.generation``, committed together with the DDL. Its copy is in the
storage. Every worker serves from one immutable value, ``current``, and replaces it by one assignment:

- at once, when the *stamp* changes, which the workers of one host share and which a worker renews
  after a generation (see ``host``);
- within ``LEASE`` seconds otherwise, because a worker that answers has looked at the row that
  recently: so other hosts are never further behind, and a worker that has lost sight of the database
  answers 503 instead of an API that may be gone.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa
from psycopg2 import errors as pg

from data_resource_api.checking import compiled
from data_resource_api.compiler.data_resource import DataResource
from data_resource_api.database import admin_schema
from data_resource_api.database.comparison import existing_tables
from data_resource_api.database.deadlines import limit
from data_resource_api.database.engine import why_unreachable
from data_resource_api.errors import DrgError, NotLoaded, Unavailable
from data_resource_api.generator.copies import Copies
from data_resource_api.generator.installation import adopt, compile_generation, install
from data_resource_api.generator.live import Live
from data_resource_api.host import Host
from data_resource_api.json_text import pretty_json
from data_resource_api.rest.direct import Authorize
from data_resource_api.rest.flask_app import GeneratedApi
from data_resource_api.rest.servers import Servers
from data_resource_api.settings import Settings
from data_resource_api.storage.base import Storage, StorageError

logger = logging.getLogger("data_resource_api")

#: Seconds after which a worker looks at the live row again, before it answers.
LEASE: Final = 1.0

#: Seconds that the look at the live row may take: it is one row by its key.
LOOK_TIMEOUT: Final = 1.5

#: Seconds for which a database that could not be reached is not asked again: 503 at once instead.
RESPITE: Final = 0.5


class Generator:
    """Makes data resources live, and keeps this worker serving the one that is."""

    def __init__(
        self, settings: Settings, servers: Servers, storage: Storage, authorize: Authorize
    ) -> None:
        self.settings = settings
        self._authorize = authorize
        self.servers = servers
        self.engine = servers.primary.engine
        self._copies = Copies(storage, settings.static_dir, self.engine)
        self.current = Live(problem=NotLoaded("The service is starting."))
        self.host = Host(settings.static_dir)
        self._seen_stamp = b""
        self._looked = -LEASE
        self._failed = -RESPITE
        self._away = False
        self._reloading = threading.Lock()
        self._migrated = False

    # ── generation ───────────────────────────────────────────────────────────────────────────────

    def generate(self, document: object) -> DataResource:
        """Make the data resource that a payload describes the live one, everywhere.

        :raises InvalidDocument: with every fault; nothing has changed.
        :raises Conflict: its tables, or those of the live one, exist already; nothing has changed.
        :raises DatabaseDiffers: ``touch_database`` is false and the database is another.
        :raises Unavailable: the database or the storage cannot be written; nothing has changed.
        """
        with (
            compiled(document) as (resource, require_valid),
            _unavailable_without_database(),
            self.host.alone(),
        ):
            self._migrate()
            with admin_schema.transaction(self.engine) as connection:
                live = admin_schema.live(connection)
                if live is not None and live.digest == resource.digest:
                    resource = compile_generation(live)
                    stored = live.payload
                else:
                    resource = install(connection, resource, live)
                    stored = pretty_json(resource.payload.document)
                require_valid()
                publish = self._stage(resource, stored)
            publish()
        self.host.renew()
        self._reload(resource)
        _warn_of_public(resource)
        return resource

    def served_document(self, resource: DataResource) -> Mapping[str, object]:
        """The OpenAPI document as clients get it; where tokens are needed, it says so."""
        return resource.locked_openapi if self.settings.production else resource.openapi

    def _stage(self, resource: DataResource, stored: bytes) -> Callable[[], None]:
        return self._copies.stage(stored, self.served_document(resource))

    # ── start ────────────────────────────────────────────────────────────────────────────────────

    def restore(self) -> None:
        """Serve what is stored: mend its copy, or adopt what somebody edited; never run DDL.

        Where that is impossible :attr:`current` says why, and it is tried again with the requests
        that follow.
        """
        with self._reloading:
            stamp = self.host.look()
            self._try_restore()
            self._seen_stamp = stamp

    def _try_restore(self) -> None:
        try:
            self._migrate()
            self._restore()
            self._away = False
        except (DrgError, StorageError) as error:
            reason = error.detail if isinstance(error, DrgError) else str(error)
            faults = error.errors if isinstance(error, DrgError) else ()
            self._publish(
                Live(problem=NotLoaded(f"What is stored is not served. {reason}", faults))
            )
        except sa.exc.SQLAlchemyError as error:
            self._away = True
            self._publish(Live(problem=NotLoaded(why_unreachable(error))))

    def _restore(self) -> None:
        copy = self._copies.read()
        with self.engine.connect() as connection:
            live = admin_schema.live(connection)
        if live is None and copy is None:
            self._publish(Live())
        elif live is not None and live.payload == copy:
            self._serve(compile_generation(live))
        else:
            self._serve(self._reconcile())

    def _reconcile(self) -> DataResource:
        """Make the copy and the row agree again."""
        with self.host.alone():
            with admin_schema.transaction(self.engine) as connection:
                copy = self._copies.read()
                live = admin_schema.live(connection)
                edited = self._copies.edited(connection, copy, live)
                if edited is not None:
                    resource = adopt(connection, edited, existing_tables(connection))
                    stored = pretty_json(resource.payload.document)
                    logger.warning("What was edited in %s is live now.", self._copies.place)
                else:
                    assert live is not None
                    resource, stored = compile_generation(live), live.payload
                    if copy != stored:  # another worker may have mended it meanwhile
                        logger.warning(
                            "The copy in %s is replaced by what is live.", self._copies.place
                        )
                publish = self._stage(resource, stored)
            publish()
        return resource

    # ── keeping up ───────────────────────────────────────────────────────────────────────────────

    def keep_up(self) -> Live:
        """What to answer with now.

        :raises Unavailable: the database cannot be asked, so what is live is not known.
        """
        if time.monotonic() - self._looked < LEASE and self.host.stamp() == self._seen_stamp:
            return self.current
        return self._reload()

    def _reload(self, compiled: DataResource | None = None) -> Live:
        """Look at what is live, and serve it if this worker does not already.

        The stamp is read first: a generation that is committed later changes it again.

        :param compiled: spares the compilation if this is what is live.
        """
        # While the database is away one thread looks for it, and the others do not wait with it.
        if not self._reloading.acquire(blocking=compiled is not None or not self._away):
            raise Unavailable("The database cannot be reached.")
        try:
            stamp = self.host.look()
            if compiled is None and stamp == self._seen_stamp and self._is_fresh():
                return self.current  # another thread has looked meanwhile
            if self.current.problem is not None and compiled is None:
                self._try_restore()
            else:
                self._look(compiled)
            self._seen_stamp = stamp
            return self.current
        finally:
            self._reloading.release()

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._looked < LEASE

    def _look(self, compiled: DataResource | None) -> None:
        looked = time.monotonic()
        if looked - self._failed < RESPITE:
            raise Unavailable("The database cannot be reached.")
        try:
            with self.engine.connect() as connection:
                limit(connection, LOOK_TIMEOUT)
                digest = admin_schema.live_digest(connection)
                if digest is not None and digest == self.current.digest:
                    self._looked, self._away = looked, False
                    return
                live = admin_schema.live(connection)
        except sa.exc.SQLAlchemyError as error:
            self.engine.dispose()
            self._failed, self._away = time.monotonic(), True
            raise Unavailable("The database cannot be reached.") from error
        self._away = False
        if live is None:
            self._publish(Live())
        elif compiled is not None and compiled.digest == live.digest:
            self._serve(compiled)
        else:
            try:
                self._serve(compile_generation(live))
            except DrgError as error:
                problem = NotLoaded(
                    f"What is live cannot be served here. {error.detail}", error.errors
                )
                self._publish(Live(problem=problem))
        self._looked = looked

    def _serve(self, resource: DataResource) -> None:
        api = GeneratedApi(resource, self.servers, self.settings, self._authorize)
        self._publish(Live(resource, api))

    def _publish(self, live: Live) -> None:
        if live.problem is not None and live.problem.body() != (
            self.current.problem and self.current.problem.body()
        ):
            logger.error("%s %s", live.problem.detail, " ".join(live.problem.errors))
        self.current = live
        self._looked = time.monotonic()

    # ── this host ────────────────────────────────────────────────────────────────────────────────

    def _migrate(self) -> None:
        if not self._migrated:
            admin_schema.migrate(self.engine)
            self._migrated = True


@contextmanager
def _unavailable_without_database() -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        raise Unavailable(f"Nothing was generated: {error}") from error
    except sa.exc.OperationalError as error:
        late = isinstance(error.orig, pg.QueryCanceled)
        reason = (
            "a statement took longer than a generation may"
            if late
            else "the database cannot be reached"
        )
        raise Unavailable(f"Nothing was generated: {reason}.") from error


def _warn_of_public(resource: DataResource) -> None:
    public = [operation.place for operation in resource.operations if operation.public]
    if public:
        logger.warning("The document lets anybody call %s.", ", ".join(public))
