"""Traces by OpenTelemetry, where the extra ``otel`` is installed and an OTLP endpoint is named.

One span a request, of kind *server*, in the trace that the caller's ``traceparent`` names. Its attributes
are those of the HTTP semantic conventions that hold no value of a client's: method, route and status,
never a path with a key in it, a query string or a body.

The variables are OpenTelemetry's own, ``OTEL_EXPORTER_OTLP_ENDPOINT`` first of all
<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from data_resource_api.metrics import route

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

logger = logging.getLogger("data_resource_api")

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_SERVICE_NAME: Final = "data-resource-generator"

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def traced(inner: WsgiApp, environment: Mapping[str, str] = os.environ) -> WsgiApp:
    """The application with a span for each request, or as it is where nobody asks for traces."""
    if not any(environment.get(name) for name in ENDPOINTS):
        return inner
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        logger.warning(
            "%s is set and OpenTelemetry is not installed: pip install 'data-resource-generator[otel]'",
            next(name for name in ENDPOINTS if environment.get(name)),
        )
        return inner
    named = environment.get("OTEL_SERVICE_NAME") or _SERVICE_NAME
    provider = TracerProvider(resource=Resource.create({"service.name": named}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Traced(inner, provider.get_tracer("data_resource_api"))


class Traced:
    """WSGI middleware: one span for each request."""

    def __init__(self, inner: WsgiApp, tracer: Tracer) -> None:
        self._inner = inner
        self._tracer = tracer

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer one WSGI request."""
        from opentelemetry.trace import SpanKind, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carried = {
            "traceparent": environ.get("HTTP_TRACEPARENT", ""),
            "tracestate": environ.get("HTTP_TRACESTATE", ""),
        }
        parent = TraceContextTextMapPropagator().extract(carried)
        method = environ["REQUEST_METHOD"]
        with self._tracer.start_as_current_span(method, parent, SpanKind.SERVER) as span:

            def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
                name = route(environ)
                span.update_name(f"{method} {name}")
                span.set_attributes(
                    {
                        "http.request.method": method,
                        "http.route": name,
                        "http.response.status_code": int(status[:3]),
                    }
                )
                if status.startswith("5"):
                    span.set_status(StatusCode.ERROR)
                return start_response(status, headers, exc_info)

            return self._inner(environ, start)
