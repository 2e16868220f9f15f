"""Requests to the configured provider, and to nobody else."""

from __future__ import annotations

import http.cookiejar
import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from data_resource_api.errors import DrgError, ProviderUnavailable
from data_resource_api.json_text import read_json
from data_resource_api.security.loopback import is_loopback_host

logger = logging.getLogger("data_resource_api")

#: Seconds to connect in, and between two pieces of an answer.
CONNECT_SECONDS: Final = 3.0
READ_SECONDS: Final = 5.0
#: Seconds that a whole answer may take.
TOTAL_SECONDS: Final = 8.0
#: The most bytes of an answer.
MOST_BYTES: Final = 512 * 1024
#: Seconds for which a provider that could not be reached is not asked again: 503 at once instead.
RESPITE_SECONDS: Final = 2.0


class Endpoint:
    """One address of the provider's.

    Redirects are not followed, cookies not kept, ``.netrc`` not read; a proxy of the environment's is
    used, though never for loopback.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.url = url
        self._clock = clock
        self._failed = -RESPITE_SECONDS
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        adapter = HTTPAdapter(pool_maxsize=32, max_retries=0)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def ask(
        self,
        method: str,
        *,
        form: Mapping[str, str] | None = None,
        body: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Status and JSON of one answer.

        :raises ProviderUnavailable: there is no answer, or it is not JSON, too long or too slow.
        """
        began = self._clock()
        if began - self._failed < RESPITE_SECONDS:
            raise ProviderUnavailable(f"{self.url} could not be reached just now.")
        try:
            with self._session.request(
                method,
                self.url,
                data=form,
                json=body,
                auth=auth,
                headers={"Accept": "application/json", "Accept-Encoding": "identity"},
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                allow_redirects=False,
                stream=True,
                proxies=self._proxies(),
                verify=_authorities(),
            ) as response:
                text = self._read(response, began)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            self._failed = self._clock()
            raise self.unavailable(f"cannot be reached ({type(error).__name__})") from error
        if 300 <= response.status_code < 400:
            raise self.unavailable(f"redirects ({response.status_code}), which is not followed")
        try:
            return response.status_code, read_json(text)
        except DrgError as error:
            raise self.unavailable(
                f"answers {response.status_code} with what is not JSON"
            ) from error

    def _read(self, response: requests.Response, began: float) -> bytes:
        pieces = bytearray()
        while piece := response.raw.read1(65536, decode_content=True):
            pieces += piece
            if len(pieces) > MOST_BYTES:
                raise self.unavailable(f"answers more than {MOST_BYTES} bytes")
            if self._clock() - began > TOTAL_SECONDS:
                raise self.unavailable(f"takes more than {TOTAL_SECONDS:.0f} seconds to answer")
        return bytes(pieces)

    def _proxies(self) -> dict[str, str]:
        if is_loopback_host(urlsplit(self.url).netloc):
            return {}
        return requests.utils.get_environ_proxies(self.url)

    def unavailable(self, what: str) -> ProviderUnavailable:
        """The error of an answer that is of no use, logged for the operator.

        :param what: what the provider does, after its address.
        """
        logger.warning("The provider of tokens, %s, %s.", self.url, what)
        return ProviderUnavailable(f"{self.url} {what}.")


def _authorities() -> str | bool:
    """The certificate authorities: the environment's, or those that come with requests."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or True
