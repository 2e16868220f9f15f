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
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from psycopg2 import errors as pg

from data_resource_api.checking import compiled
from data_resource_api.compiler.data_resource import DataResource, compile_data_resource
from data_resource_api.compiler.payload import payload_digest
from data_resource_api.database import admin_schema
from data_resource_api.database.citus import require_citus
from data_resource_api.database.comparison import (
    ExistingTable,
    differences,
    existing_tables,
    physical_associations,
)
from data_resource_api.database.deadlines import limit
from data_resource_api.database.engine import why_unreachable
from data_resource_api.errors import (
    Conflict,
    DatabaseDiffers,
    DrgError,
    NotLoaded,
    Unavailable,
)
from data_resource_api.host import Host
from data_resource_api.json_text import pretty_json, read_json
from data_resource_api.rest.direct import Authorize
from data_resource_api.rest.flask_app import GeneratedApi
from data_resource_api.rest.servers import Servers
from data_resource_api.settings import Settings
from data_resource_api.storage.base import CopyChanged, Storage, StorageError
from data_resource_api.storage.local import stage_file

logger = logging.getLogger("data_resource_api")

#: Seconds after which a worker looks at the live row again, before it answers.
LEASE: Final = 1.0

#: Seconds that the look at the live row may take: it is one row by its key.
LOOK_TIMEOUT: Final = 1.5

#: Seconds for which a database that could not be reached is not asked again: 503 at once instead.
RESPITE: Final = 0.5

#: How often a copy that others keep changing is written again, before it is left to them.
_MENDING_ATTEMPTS: Final = 5

OPENAPI_NAME: Final = "swagger.json"


@dataclass(frozen=True, slots=True)
class Live:
    """What this worker serves.

    :ivar resource: ``None`` when nothing has been generated.
    :ivar api: the generated API, ``None`` where there is none.
    :ivar problem: why what is stored cannot be served, or ``None``.
    """

    resource: DataResource | None = None
    api: GeneratedApi | None = None
    problem: NotLoaded | None = None

    @property
    def digest(self) -> str | None:
        """Which data resource this is."""
        return self.resource.digest if self.resource else None


class Generator:
    """Makes data resources live, and keeps this worker serving the one that is."""

    def __init__(
        self, settings: Settings, servers: Servers, storage: Storage, authorize: Authorize
    ) -> None:
        self.settings = settings
        self._authorize = authorize
        self.servers = servers
        self.engine = servers.primary.engine
        self.storage = storage
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
                    resource = self._compile(live)
                    stored = live.payload
                else:
                    resource = self._install(connection, resource, live)
                    stored = pretty_json(resource.payload.document)
                require_valid()
                publish = self._stage(resource, stored)
            publish()
        self.host.renew()
        self._reload(resource)
        _warn_of_public(resource)
        return resource

    def _install(
        self,
        connection: sa.Connection,
        resource: DataResource,
        live: admin_schema.Generation | None,
    ) -> DataResource:
        """Create the tables, or find them as they should be, and record what is live."""
        existing = existing_tables(connection)
        if not resource.payload.touch_database:
            return self._adopt(connection, resource, existing)
        require_citus(connection, resource)
        names = {table.name for table in resource.metadata.tables.values()}
        if live is not None:
            before = self._compile(live)
            names |= {table.name for table in before.metadata.tables.values()}
        taken = sorted(names & existing.keys())
        if taken:
            raise Conflict(
                "The database has tables already, and nothing is generated over them. Migrate them "
                'by hand and post with "touch_database": false.',
                [f"{name}: the table exists." for name in taken],
            )
        try:
            resource.create_tables(connection)
        except sa.exc.DBAPIError as error:
            if error.connection_invalidated or isinstance(error.orig, pg.QueryCanceled):
                raise
            raise Conflict(
                "The database refuses to create the tables.", [_reason(error)]
            ) from error
        stored = pretty_json(resource.payload.document)
        admin_schema.record(connection, resource.digest, stored, {})
        return resource

    def _adopt(
        self,
        connection: sa.Connection,
        resource: DataResource,
        existing: Mapping[str, ExistingTable],
    ) -> DataResource:
        """Record a resource as live whose tables somebody else has made, and made right.

        :raises DatabaseDiffers: with every difference.
        """
        require_citus(connection, resource)
        associations = physical_associations(resource, existing)
        document = resource.payload.document
        if associations:
            resource = compile_data_resource(document, associations=associations, trusted=True)
        lines = differences(resource, existing)
        if lines:
            raise DatabaseDiffers("The database is not as the document describes it.", lines)
        admin_schema.record(connection, resource.digest, pretty_json(document), associations)
        return resource

    def _compile(self, live: admin_schema.Generation) -> DataResource:
        return compile_data_resource(
            read_json(live.payload), associations=live.associations, trusted=True
        )

    def _stage(self, resource: DataResource, stored: bytes) -> Callable[[], None]:
        """Write the copies beside their places, so that what can fail fails before the commit."""
        copies = [
            self.storage.stage(stored),
            stage_file(
                self.settings.static_dir / OPENAPI_NAME, pretty_json(self.served_document(resource))
            ),
        ]

        def publish() -> None:
            for copy in copies:
                self._put_in_place(copy)

        return publish

    def _put_in_place(self, copy: Callable[[], None]) -> None:
        """Publish a copy. The row is committed and is the truth: a copy may wait to be mended."""
        try:
            copy()
        except CopyChanged as conflict:
            logger.warning("%s What is live is written again.", conflict)
            self._mend_copy()
        except StorageError as error:
            logger.error("The copy could not be replaced. %s", error)  # noqa: TRY400
        except OSError:
            logger.exception("The copy in %s could not be replaced.", self.storage.place)

    def _mend_copy(self) -> None:
        """Write what is live to the storage once more, one host at a time.

        Two hosts that generate one after the other publish in any order, after their commits. The
        one that comes second finds the copy changed; what it writes here is what is live by then.
        """
        for _ in range(_MENDING_ATTEMPTS):
            try:
                with admin_schema.transaction(self.engine) as connection:
                    live = admin_schema.live(connection)
                    if live is not None:
                        self.storage.stage(live.payload)()
                return
            except CopyChanged as conflict:
                logger.warning("%s What is live is written again.", conflict)
            except (StorageError, sa.exc.SQLAlchemyError) as error:
                logger.error("The copy could not be replaced. %s", error)  # noqa: TRY400
                return

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
        copy = self.storage.read()
        with self.engine.connect() as connection:
            live = admin_schema.live(connection)
        if live is None and copy is None:
            self._publish(Live())
        elif live is not None and live.payload == copy:
            self._serve(self._compile(live))
        else:
            self._serve(self._reconcile())

    def _reconcile(self) -> DataResource:
        """Make the copy and the row agree again."""
        with self.host.alone():
            with admin_schema.transaction(self.engine) as connection:
                copy = self.storage.read()
                live = admin_schema.live(connection)
                edited = self._edited(connection, copy, live)
                if edited is not None:
                    resource = self._adopt(connection, edited, existing_tables(connection))
                    stored = pretty_json(resource.payload.document)
                    logger.warning("What was edited in %s is live now.", self.storage.place)
                else:
                    assert live is not None
                    resource, stored = self._compile(live), live.payload
                    if copy != stored:  # another worker may have mended it meanwhile
                        logger.warning(
                            "The copy in %s is replaced by what is live.", self.storage.place
                        )
                publish = self._stage(resource, stored)
            publish()
        return resource

    def _edited(
        self, connection: sa.Connection, copy: bytes | None, live: admin_schema.Generation | None
    ) -> DataResource | None:
        """The stored copy where it was never live, which makes it somebody's edit; else nothing.

        :raises StorageError: it cannot be read as a payload.
        """
        if copy is None:
            return None
        try:
            document = read_json(copy)
            digest = payload_digest(document)
        except DrgError as error:
            raise StorageError(f"{self.storage.place} is damaged. {error.detail}") from error
        if live is not None and admin_schema.was_live(connection, digest):
            return None
        with compiled(document) as (resource, require_valid):
            require_valid()
            return resource

    def served_document(self, resource: DataResource) -> Mapping[str, object]:
        """The OpenAPI document as clients get it; where tokens are needed, it says so."""
        return resource.locked_openapi if self.settings.production else resource.openapi

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
                self._serve(self._compile(live))
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


def _reason(error: sa.exc.DBAPIError) -> str:
    primary = getattr(getattr(error.orig, "diag", None), "message_primary", None)
    return f"{primary or error.orig}."
