"""What the kernel tells of processes: processor time and memory (Linux's ``/proc``)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICK = 1 / os.sysconf("SC_CLK_TCK")

#: Whether this machine tells; on others these figures are left out.
KNOWN = (_PROC / "self" / "smaps_rollup").exists()


def parent(pid: int) -> int | None:
    """The process that started one, or ``None`` where it is not known."""
    stat = _stat(pid)
    return int(stat[1]) if stat else None


def children(pid: int) -> list[int]:
    """The processes that one started and that are still there."""
    pids = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]
    return [child for child in pids if parent(child) == pid]


def tree(pid: int) -> list[int]:
    """A process and all that it has started, directly or not."""
    started: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (above := parent(int(entry.name))) is not None:
            started.setdefault(above, []).append(int(entry.name))
    found = [pid]
    for process in found:
        found += started.get(process, [])
    return found


def cpu_seconds(pid: int | None) -> float | None:
    """Processor time of a process and of all that it has started, also of those that have ended."""
    if pid is None or not KNOWN:
        return None
    # utime, stime, and the same of children that have ended
    return sum(sum(map(int, stat[11:15])) for one in tree(pid) if (stat := _stat(one))) * _TICK


def _stat(pid: int) -> list[str] | None:
    """The fields of ``/proc/PID/stat`` after the name, which may hold anything."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        return None


@dataclass(frozen=True)
class Memory:
    """Of one process, in MiB.

    :ivar resident: what is in memory, shared with other processes or not (RSS).
    :ivar proportional: the same, with what is shared divided among those that share it (PSS).
    :ivar peak: the most that was ever resident.
    """

    resident: float
    proportional: float
    peak: float


def memory(pid: int) -> Memory:
    """How much memory a process holds now."""
    status = _sizes(_PROC / str(pid) / "status")
    return Memory(
        resident=status["VmRSS"],
        proportional=_sizes(_PROC / str(pid) / "smaps_rollup")["Pss"],
        peak=status["VmHWM"],
    )


def _sizes(file: Path) -> dict[str, float]:
    lines = (line.split() for line in file.read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) / 1024 for words in lines if words[-1] == "kB"}


def largest_children(pid: int, count: int) -> list[int]:
    """The ``count`` children with the most memory: a prefork server's workers, without its helpers."""
    return sorted(children(pid), key=lambda child: -memory(child).resident)[:count]
