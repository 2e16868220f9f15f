"""Locks on files: the kernel's (flock), which end with their process, however it ends."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

_descriptors: set[int] = set()


def open_lock(path: Path) -> int:
    """The descriptor of a file to be locked, which no program that is started inherits."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    _descriptors.add(descriptor)
    return descriptor


def close_lock(descriptor: int) -> None:
    """Give the lock up."""
    _descriptors.remove(descriptor)
    os.close(descriptor)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait for the lock, and hold it while the block runs."""
    descriptor = open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        close_lock(descriptor)


def try_exclusively(descriptor: int) -> bool:
    """Whether nobody else holds the lock; then it is held exclusively."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def close_all() -> None:
    """In a forked child: a copy of a lock's descriptor would outlive the parent that took it."""
    for descriptor in list(_descriptors):
        close_lock(descriptor)


os.register_at_fork(after_in_child=close_all)
