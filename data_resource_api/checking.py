"""A payload is compiled while its OpenAPI document is checked in a process of its own.

The process ends with the check, and the memory that connexion takes ends with it: a worker would keep
it for good. A document that keeps connexion busy for ever, by a pattern that takes exponential time
on a default, does that to this process and not to a worker.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

from data_resource_api.compiler import openapi_rules
from data_resource_api.compiler.data_resource import DataResource, compile_data_resource
from data_resource_api.compiler.faults import BrokenRule, Faults
from data_resource_api.compiler.openapi_rules import PLACE, broken_openapi_rules
from data_resource_api.compiler.payload import find_schema, read_api
from data_resource_api.errors import DrgError, InvalidDocument
from data_resource_api.json_text import read_json, write_json

logger = logging.getLogger("data_resource_api")

#: Seconds of processor time that a document may take; one of 1,000 tables takes two.
CHECK_SECONDS: Final = 20


@contextmanager
def compiled(
    document: object, seconds: int = CHECK_SECONDS
) -> Iterator[tuple[DataResource, Callable[[], None]]]:
    """Compile a payload, while its OpenAPI document is still being checked.

    :returns: what it is compiled to, and what waits for the check; nothing may be kept before.
    :raises InvalidDocument: with every fault, from either; it comes before what the block raises.
    """
    schema = find_schema(document)
    assert isinstance(document, Mapping)
    with ThreadPoolExecutor(1, "checking") as thread:
        if "ignore_validation" in document:
            found = thread.submit(list[BrokenRule])
        else:
            found = thread.submit(_check_apart, read_api(schema, Faults()), seconds)
        try:
            resource = compile_data_resource(document, openapi_rules=lambda _: ())
        except InvalidDocument:
            resource = compile_data_resource(document, openapi_rules=lambda _: found.result())

        def require() -> None:
            faults = Faults()
            faults.add_broken(found.result())
            faults.raise_if_any("The payload")

        try:
            yield resource, require
        except DrgError:
            require()
            raise


def _check_apart(api: Mapping[str, Any], seconds: int) -> list[BrokenRule]:
    # -P: nothing is imported from the folder that the service happens to run in.
    command = [sys.executable, "-P", "-m", openapi_rules.__name__, str(seconds)]
    try:
        done = subprocess.run(
            command, input=write_json(api), capture_output=True, timeout=seconds, check=True
        )
    except subprocess.TimeoutExpired:
        return [_endless(seconds)]
    except (subprocess.CalledProcessError, OSError) as error:
        if isinstance(error, subprocess.CalledProcessError) and error.returncode == -signal.SIGXCPU:
            return [_endless(seconds)]
        logger.warning("A worker checks the OpenAPI document itself: %s", error)
        return broken_openapi_rules(api)
    return [
        BrokenRule(rule["place"], rule["message"], tuple(rule["missing"]))
        for rule in read_json(done.stdout)
    ]


def _endless(seconds: int) -> BrokenRule:
    return BrokenRule(
        PLACE,
        f"cannot be checked in {seconds} s. A pattern that nests repetitions, like (a+)+, may "
        "take that long on a default or an example.",
    )
