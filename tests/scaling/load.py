"""Clients that ask all the time, and remember every answer."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import requests

#: Adds rows whose names tell them apart, reads them again, lists them, relates them.
Request = tuple[str, str, object]


@dataclass(frozen=True)
class Answer:
    """What one request got.

    :ivar status: 0 where the connection broke or nothing came within a minute.
    :ivar at: when it came, on the monotonic clock.
    """

    request: Request
    status: int
    seconds: float
    at: float
    retry_after: str | None
    version: str | None
    text: str


class Load:
    """So many clients, each on one connection, one request after another."""

    def __init__(self, urls: Sequence[str], clients: int = 8) -> None:
        self.answers: list[Answer] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._client, args=(number, urls[number % len(urls)]))
            for number in range(clients)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _client(self, number: int, url: str) -> None:
        with requests.Session() as session:
            for turn in itertools.count():
                name = f"{number}-{turn}"
                location = None
                for make in (_add, _read, _list, _relate):
                    if self._stop.is_set():
                        return
                    request = make(name, location)
                    answer = self._ask(session, url, request)
                    self.answers.append(answer)
                    if make is _add:
                        location = answer.text if answer.status == 201 else None
                if location is None:
                    time.sleep(0.02)  # as a client that is told to come again later

    def _ask(self, session: requests.Session, url: str, request: Request) -> Answer:
        method, path, body = request
        began = time.monotonic()
        try:
            response = session.request(method, url + path, json=body, timeout=60)
        except requests.RequestException as error:
            now = time.monotonic()
            return Answer(request, 0, now - began, now, None, None, str(error))
        now = time.monotonic()
        headers = response.headers
        text = headers.get("Location", response.text[:300])
        return Answer(
            request, response.status_code, now - began, now, headers.get("Retry-After"),
            headers.get("DRG-Version"), text,
        )  # fmt: skip

    # ── what came ────────────────────────────────────────────────────────────────────────────────

    def statuses(self) -> Counter[int]:
        return Counter(answer.status for answer in self.answers)

    def added(self) -> set[str]:
        """The names of the rows whose addition was answered as done."""
        return {
            answer.request[2]["name"]  # type: ignore[index]
            for answer in self.answers
            if answer.status == 201 and answer.request[:2] == ("POST", "/people")
        }

    def failures(self, allowed: Sequence[int] = (200, 201)) -> list[tuple[Request, int, str]]:
        return [
            (answer.request, answer.status, answer.text)
            for answer in self.answers
            if answer.status not in allowed
        ]

    def slowest(self, since: float = 0, until: float = float("inf")) -> float:
        """The most seconds that an answer took that came in this time."""
        return max(
            (answer.seconds for answer in self.answers if since <= answer.at <= until), default=0
        )

    def first_success(self, since: float) -> float:
        """Seconds from a moment to the first write that succeeded after it."""
        return min(
            (
                answer.at - since
                for answer in self.answers
                if answer.status == 201 and answer.at > since
            ),
            default=float("inf"),
        )


def _add(name: str, _: str | None) -> Request:
    return ("POST", "/people", {"name": name})


def _read(_: str, location: str | None) -> Request:
    return ("GET", location or "/people?limit=1", None)


def _list(_: str, __: str | None) -> Request:
    return ("GET", "/people?limit=5", None)


def _relate(_: str, location: str | None) -> Request:
    return ("PUT", f"{location}/team", [1]) if location else ("GET", "/team/1", None)


@contextmanager
def load(*urls: str, clients: int = 8) -> Iterator[Load]:
    """Load as long as the block runs."""
    running = Load(urls, clients)
    running.start()
    try:
        yield running
    finally:
        running.stop()
