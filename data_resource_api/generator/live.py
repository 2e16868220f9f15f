"""What a worker serves: one immutable value, replaced as a whole."""

from __future__ import annotations

from dataclasses import dataclass

from data_resource_api.compiler.data_resource import DataResource
from data_resource_api.errors import NotLoaded
from data_resource_api.rest.flask_app import GeneratedApi


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
