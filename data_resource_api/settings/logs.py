"""What is logged, how and where."""

from __future__ import annotations

from dataclasses import dataclass

from data_resource_api.variables import choice, variable


@dataclass(frozen=True, kw_only=True)
class LogSettings:
    """The service's own log, and the audit log."""

    audit_log: str | None = variable(
        "DRG_AUDIT_LOG",
        "Where the audit log goes: a file, - for standard error, or off. Where it is not set, "
        "standard error in PRODUCTION, and off in TEST and LOCAL.",
    )
    log_format: str = variable(
        "DRG_LOG_FORMAT",
        "How the log is written: TEXT for people, JSON for programs.",
        choice("TEXT", "JSON"),
        "TEXT",
    )
    log_level: str = variable(
        "DRG_LOG_LEVEL",
        "The least level that is logged: DEBUG, INFO, WARNING or ERROR.",
        choice("DEBUG", "INFO", "WARNING", "ERROR"),
        "INFO",
    )
