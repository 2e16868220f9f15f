"""Each guard is shown to work by what happens without it: the bad token then passes."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote

import pytest
from joserfc.jwk import OctKey, RSAKey

from data_resource_api.errors import InsufficientScope, Unauthorized
from data_resource_api.security import Grant, InvalidToken, bearer
from data_resource_api.security.bearer import BearerGuard
from data_resource_api.security.fetch import Endpoint
from data_resource_api.security.introspection import RULES, IntrospectionVerifier
from data_resource_api.security.jwt_tokens import (
    JwtVerifier,
    algorithm_registry,
    claims_registry,
)
from data_resource_api.security.key_set import KeySet, ProviderKeys, read_key_set
from data_resource_api.security.loopback import Anyone, LoopbackOnly
from tests.provider import AUDIENCE, Provider
from tests.security.tokens import BAD, HOUR, Make, part

Weaken = Callable[[JwtVerifier], JwtVerifier]


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    provider.stop()


def published(provider: Provider) -> dict[str, Any]:
    return {"keys": [key.as_dict(private=False) for key in provider.keys]}


@pytest.fixture
def verifier(provider: Provider) -> JwtVerifier:
    """What PRODUCTION uses, with the keys at hand."""
    return JwtVerifier(
        ProviderKeys(lambda: published(provider)),
        algorithm_registry(["RS256"]),
        claims_registry(provider.issuer, AUDIENCE),
    )


# ── without a guard ──────────────────────────────────────────────────────────────────────────────


def without_check_of(claim: str) -> Weaken:
    def weaken(verifier: JwtVerifier) -> JwtVerifier:
        setattr(verifier.claims, f"validate_{claim}", lambda value: None)
        return verifier

    return weaken


def without_need_of(claim: str) -> Weaken:
    def weaken(verifier: JwtVerifier) -> JwtVerifier:
        verifier.claims.options[claim]["essential"] = False
        return verifier

    return weaken


class Unsigned(JwtVerifier):
    """Believes what a token says."""

    def _decode(self, token: str, candidates: Sequence[Any]) -> dict[str, Any] | None:
        text = token.split(".")[1]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=="))
        return claims


def without_signature(verifier: JwtVerifier) -> JwtVerifier:
    return Unsigned(*(getattr(verifier, field.name) for field in dataclasses.fields(verifier)))


class AnyKey(KeySet):
    """Tries every key, whatever its id, type and algorithm."""

    def candidates(self, kid: str | None, algorithm: str) -> list[Any]:
        return [*self.named.values(), *self.unnamed]


class SharedSecrets(KeySet):
    """Takes a public key for a shared secret."""

    def candidates(self, kid: str | None, algorithm: str) -> list[Any]:
        secrets = [key.as_pem(private=False) for key in self.named.values()]
        return [OctKey(secret, secret) for secret in secrets]  # import_key would notice


def with_keys(kind: type[KeySet], *algorithms: str) -> Weaken:
    def weaken(verifier: JwtVerifier) -> JwtVerifier:
        keys, _ = verifier.keys.current()
        verifier.keys._keys = kind(keys.named, keys.unnamed)
        if not algorithms:
            return verifier
        return dataclasses.replace(verifier, registry=algorithm_registry(algorithms))

    return weaken


def with_any_type(verifier: JwtVerifier) -> JwtVerifier:
    return dataclasses.replace(verifier, types=verifier.types | {"id+jwt"})


GUARDS: dict[str, tuple[Make, Weaken]] = {
    "expired": (BAD["expired"], without_check_of("exp")),
    "no expiry": (BAD["no expiry"], without_need_of("exp")),
    "not yet valid": (BAD["not yet valid"], without_check_of("nbf")),
    "issued in the future": (
        lambda provider, scope: provider.token(scope, iat=int(time.time()) + HOUR),
        without_check_of("iat"),
    ),
    "wrong audience": (BAD["wrong audience"], without_check_of("aud")),
    "no audience": (BAD["no audience"], without_need_of("aud")),
    "wrong issuer": (BAD["wrong issuer"], without_check_of("iss")),
    "no issuer": (BAD["no issuer"], without_need_of("iss")),
    "wrong key": (BAD["wrong key"], without_signature),
    "tampered payload": (BAD["tampered payload"], without_signature),
    "unknown kid": (BAD["unknown kid"], with_keys(AnyKey)),
    "alg none": (BAD["alg none"], with_keys(AnyKey, "RS256", "none")),
    "HS256 with the public key": (
        BAD["HS256 with the public key"],
        with_keys(SharedSecrets, "RS256", "HS256"),
    ),
    "not an access token": (BAD["not an access token"], with_any_type),
}


def test_every_bad_token_has_its_guard() -> None:
    """Garbage holds nothing that could be believed without one."""
    assert BAD.keys() - {"garbage"} <= GUARDS.keys()


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize("case", GUARDS)
def test_a_bad_token_passes_without_its_guard_only(
    provider: Provider, verifier: JwtVerifier, case: str
) -> None:
    make, weaken = GUARDS[case]
    token = make(provider, "read")
    assert token is not None
    with pytest.raises(InvalidToken):
        verifier.verify(token)
    assert weaken(verifier).verify(token).scopes == {"read"}


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize("case", ["alg none", "HS256 with the public key"])
@pytest.mark.parametrize("algorithms", [("RS256",), ("RS256", "none", "HS256")])
@pytest.mark.parametrize("kind", [KeySet, AnyKey])
def test_an_algorithm_without_a_public_key_is_kept_out_twice(
    provider: Provider,
    verifier: JwtVerifier,
    case: str,
    algorithms: tuple[str, ...],
    kind: type[KeySet],
) -> None:
    """By the list of algorithms, and by the type of the key: one of them is enough."""
    if kind is AnyKey and len(algorithms) > 1:
        return
    token = BAD[case](provider, "read")
    assert token is not None
    with pytest.raises(InvalidToken):
        with_keys(kind, *algorithms)(verifier).verify(token)


def test_a_good_token_passes_with_all_of_them(provider: Provider, verifier: JwtVerifier) -> None:
    grant = verifier.verify(provider.token("read write", sub="ada", client_id="app"))
    assert (grant.subject, grant.client, grant.scopes) == ("ada", "app", {"read", "write"})
    assert 290 < grant.seconds <= 300


def test_a_decision_is_kept_no_longer_than_the_token(
    provider: Provider, verifier: JwtVerifier
) -> None:
    assert verifier.verify(provider.token(exp=int(time.time()) + 30)).seconds <= 30
    assert verifier.verify(provider.token(exp=int(time.time()) - 30)).seconds < 0
    assert 290 < verifier.verify(provider.token(exp=10**400)).seconds <= 300


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["mine"], "mine": 1},
        {"crit": ["b64"], "b64": False},
        {"jku": "https://evil.test/keys", "kid": "foreign"},
    ],
    ids=str,
)
def test_a_header_cannot_change_the_rules(
    provider: Provider, verifier: JwtVerifier, header: dict[str, Any]
) -> None:
    key = provider.keys[0]
    stated = {"alg": "RS256", "kid": key.kid} | header
    text = f"{part(stated)}.{part(provider.claims())}"
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    signature = key.private_key.sign(text.encode(), PKCS1v15(), SHA256())
    with pytest.raises(InvalidToken):
        verifier.verify(f"{text}.{part(signature)}")


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"null",
        b'["alg"]',
        b'"alg"',
        b"1",
        b"{}",
        b"NaN",
        b"\xff",
        b'{"alg":1}',
        b'{"alg":"RS256","typ":1}',
        b'{"alg":"RS256","kid":["a"]}',
        b'{"alg":"RS256","crit":1}',
        b'{"alg":"RS256","kid":"\\ud800"}',
        b'{"alg":"RS256","alg":"none"}',
        b"[" * 9000,
        b'{"alg":' * 2000,
        b"1" * 9000,
    ],
    ids=lambda header: repr(header[:20]),
)
@pytest.mark.parametrize("body", [b"{}", b"[]", b"[" * 9000, b""])
def test_whatever_a_header_is_it_is_refused(
    verifier: JwtVerifier, header: bytes, body: bytes
) -> None:
    with pytest.raises(InvalidToken):
        verifier.verify(f"{part(header)}.{part(body)}.{part(b'x' * 256)}")


# ── scopes ───────────────────────────────────────────────────────────────────────────────────────


@dataclasses.dataclass(frozen=True)
class Says:
    """A provider of one's own that says this of every token."""

    grant: Grant

    def verify(self, token: str) -> Grant:
        return self.grant


def authorize(
    security: Sequence[frozenset[str]], scopes: str = "", token: str = "x"
) -> dict[str, Any]:
    grant = Grant("ada", "app", frozenset(scopes.split()))
    environ = {"HTTP_AUTHORIZATION": f"Bearer {token}"}
    BearerGuard(Says(grant)).authorize(environ, tuple(security))
    return environ


def test_scopes_are_alternatives_of_sets() -> None:
    both, one = frozenset({"a", "b"}), frozenset({"c"})
    for scopes in ("a b", "c", "a b c d"):
        authorize([both, one], scopes)
    for scopes in ("", "a", "b", "ab", "d"):
        with pytest.raises(InsufficientScope) as caught:
            authorize([both, one], scopes)
        assert 'scope="a b"' in caught.value.headers["WWW-Authenticate"]
        assert caught.value.detail == "The token needs the scope a b or c."
    authorize([frozenset({"a"}), frozenset()], "")
    authorize([frozenset()], "")


def test_who_it_is_is_noted_for_the_log_also_where_it_is_refused() -> None:
    environ: dict[str, Any] = {"HTTP_AUTHORIZATION": "Bearer x"}
    guard = BearerGuard(Says(Grant("ada", "app")))
    with pytest.raises(InsufficientScope):
        guard.authorize(environ, (frozenset({"admin"}),))
    assert (environ["drg.subject"], environ["drg.client"]) == ("ada", "app")
    unknown = {"HTTP_AUTHORIZATION": "Bearer x"}
    BearerGuard(Says(Grant())).authorize(unknown, (frozenset(),))
    assert unknown.keys() == {"HTTP_AUTHORIZATION"}


def test_what_is_public_asks_for_no_token_and_looks_at_none() -> None:
    BearerGuard(Says(Grant())).authorize({}, ())
    with pytest.raises(Unauthorized):
        BearerGuard(Says(Grant())).authorize({}, (frozenset(),))


def test_without_authorization_nothing_is_asked_for() -> None:
    for guard in (Anyone(), LoopbackOnly()):
        guard.authorize({}, (frozenset({"admin"}),))


def test_a_token_that_is_too_long_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    long = "x" * (bearer.MOST_CHARACTERS + 1)
    with pytest.raises(Unauthorized):
        authorize([frozenset()], token=long)
    monkeypatch.setattr(bearer, "MOST_CHARACTERS", len(long))
    authorize([frozenset()], token=long)


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_one_bad_key_does_not_spoil_the_set(provider: Provider) -> None:
    good = provider.keys[0].as_dict(private=False)
    bad: list[Any] = [
        None, 1, "x", [], {}, {"kty": "zzz"}, {"kty": "RSA"}, {"kty": ["RSA"]},
        {"kty": "RSA", "n": "x", "e": "AQAB"}, {"kty": "RSA", "n": 1, "e": 2},
        {"kty": "EC", "crv": "P-256", "x": "a", "y": "b"}, {"kty": "OKP", "crv": 1, "x": "a"},
        {"kty": "oct", "k": part(b"x" * 32), "kid": "shared"},
        good | {"kid": "encryption", "use": "enc"},
        good | {"kid": "wrap", "key_ops": ["wrapKey"]},
        good | {"kid": "ops", "key_ops": 1},
        RSAKey.import_key(SHORT).as_dict(private=False) | {"kid": "short"},
    ]  # fmt: skip
    keys = read_key_set({"keys": [*bad, good]})
    assert list(keys.named) == [good["kid"]]
    assert keys.unnamed == ()


#: 1024 bits.
SHORT = {
    "kty": "RSA",
    "e": "AQAB",
    "n": part(((1 << 1023) + 1155).to_bytes(128, "big")),
}


def test_a_key_is_for_its_own_algorithm_only(provider: Provider) -> None:
    (key,) = read_key_set(published(provider)).named.values()
    keys = read_key_set({"keys": [key.as_dict(private=False) | {"alg": "RS512"}]})
    assert keys.candidates(key.kid, "RS256") == []
    assert len(keys.candidates(key.kid, "RS512")) == 1
    assert keys.candidates(key.kid, "ES256") == []


@pytest.mark.parametrize("document", [None, [], {}, {"keys": None}, {"keys": {}}, "x"])
def test_what_is_no_key_set_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match="no list of keys"):
        read_key_set(document)


# ── introspection ────────────────────────────────────────────────────────────────────────────────


class Answers(BaseHTTPRequestHandler):
    """An introspection endpoint that answers every question with what its path says."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = unquote(self.path[1:]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def introspected() -> Iterator[Callable[..., Grant]]:
    """Has a token verified about which the provider says this."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def verify(changes: Mapping[str, Any], *, without: str = "") -> Grant:
        claims = {name: value for name, value in (GOOD | changes).items() if value is not None}
        rules = {name: rule for name, rule in RULES.items() if name != without}
        url = f"http://127.0.0.1:{server.server_port}/{quote(json.dumps(claims), safe='')}"
        return IntrospectionVerifier(
            Endpoint(url), ("me", "secret"), "https://id.test", AUDIENCE, lambda: NOW, rules
        ).verify("x")

    yield verify
    server.shutdown()
    server.server_close()


NOW = 1_800_000_000.0
GOOD = {"active": True, "scope": "read", "aud": [AUDIENCE, "x"], "exp": NOW + 20, "nbf": NOW}


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        *(("active", {"active": value}) for value in (False, "true", "false", 1, None)),
        *(("exp", {"exp": value}) for value in (NOW - 61, 0, -1)),
        *(("nbf", {"nbf": value}) for value in (NOW + 61, "now", True)),
        *(("iss", {"iss": value}) for value in ("https://evil.test", "", 1)),
        *(("aud", {"aud": value}) for value in ("https://other.test", [], None, AUDIENCE[:-1])),
        *(("token_type", {"token_type": value}) for value in ("DPoP", "refresh_token", 1)),
    ],
)
def test_an_answer_that_breaks_a_rule_passes_without_that_rule_only(
    introspected: Callable[..., Grant], rule: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(InvalidToken) as caught:
        introspected(changes)
    assert caught.value.seconds == 10
    assert introspected(changes, without=rule).scopes == {"read"}


@pytest.mark.parametrize("value", ["tomorrow", True, [NOW + 20]])
def test_an_expiry_that_is_no_time_is_refused(
    introspected: Callable[..., Grant], value: Any
) -> None:
    with pytest.raises(InvalidToken):
        introspected({"exp": value})


def test_an_answer_is_believed_for_a_minute_at_most(introspected: Callable[..., Grant]) -> None:
    assert introspected({}).seconds == 20
    assert introspected({"exp": NOW + 3600}).seconds == 60
    assert introspected({"exp": None}).seconds == 60
    assert introspected({"iss": "https://id.test/", "token_type": "Bearer"}).scopes == {"read"}


def test_hs256_is_really_signed_with_what_is_published(provider: Provider) -> None:
    """The forged token is one that a verifier of shared secrets would take."""
    token = BAD["HS256 with the public key"](provider, "read")
    assert token is not None
    text, _, signature = token.rpartition(".")
    secret = provider.keys[0].as_pem(private=False)
    assert part(hmac.digest(secret, text.encode(), hashlib.sha256)) == signature
