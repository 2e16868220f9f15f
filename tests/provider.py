"""An OAuth 2.0 / OpenID Connect provider of the tests' own, over HTTP on loopback.

It issues RS256 tokens for client credentials, publishes its keys, introspects its tokens, answers
BrightHive's ``/oauth/validate``, can rotate its keys and can be switched off. ``token`` signs whatever
a test wants a token to say.
"""

from __future__ import annotations

import hmac
import threading
import time
import uuid
from collections import Counter
from typing import Any

from flask import Flask, Response, jsonify, request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from werkzeug.serving import BaseWSGIServer, make_server

AUDIENCE = "https://drg.test/api"
#: client id → secret, and the scopes that it may have.
CLIENTS = {
    "operator": ("operator-secret", "drg:admin read write"),
    "reader": ("reader-secret", "read"),
}


class Provider:
    """One provider. ``counts`` tells how often each of its endpoints was asked."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.revoked: set[str] = set()
        self.keys = [_new_key()]
        self._server: BaseWSGIServer | None = None
        self._port = 0
        self.start()
        self.issuer = f"http://127.0.0.1:{self._port}"

    # ── life ─────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Answer, on the same port as before."""
        server = make_server("127.0.0.1", self._port, self._app(), threaded=True)
        self._server, self._port = server, server.server_port
        threading.Thread(target=server.serve_forever, name="provider", daemon=True).start()

    def stop(self) -> None:
        """Switched off: connections are refused."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def rotate(self) -> RSAKey:
        """Sign with a new key; the ones before are published no more."""
        self.keys = [_new_key()]
        return self.keys[0]

    def published(self) -> dict[str, Any]:
        """The set of its public keys (RFC 7517)."""
        return {"keys": [key.as_dict(private=False) for key in self.keys]}

    def settings(self, **changes: str) -> dict[str, str]:
        """The service's variables for this provider."""
        stated = {
            "APP_ENV": "PRODUCTION",
            "OAUTH2_PROVIDER": "OIDC",
            "OAUTH2_URL": self.issuer,
            "OAUTH2_AUDIENCE": AUDIENCE,
        }
        return stated | changes

    # ── tokens ───────────────────────────────────────────────────────────────────────────────────

    def claims(self, scope: str = "", **changes: Any) -> dict[str, Any]:
        """The claims of a good token; a change to ``None`` leaves the claim out."""
        now = int(time.time())
        stated = {
            "iss": self.issuer,
            "sub": "somebody",
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + 600,
            "jti": uuid.uuid4().hex,
            "scope": scope,
        }
        return {name: value for name, value in (stated | changes).items() if value is not None}

    def token(
        self,
        scope: str = "",
        *,
        key: RSAKey | None = None,
        header: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """A signed token, good unless it is changed."""
        key = key or self.keys[0]
        stated = {"alg": "RS256", "typ": "at+jwt", "kid": key.kid} | (header or {})
        stated = {name: value for name, value in stated.items() if value is not None}
        return jwt.encode(stated, self.claims(scope, **claims), key)

    def bearer(self, scope: str = "", **more: Any) -> dict[str, str]:
        """The ``Authorization`` header of a token."""
        return {"Authorization": f"Bearer {self.token(scope, **more)}"}

    # ── HTTP ─────────────────────────────────────────────────────────────────────────────────────

    def _app(self) -> Flask:
        app = Flask("provider")

        @app.after_request
        def count(response: Response) -> Response:
            self.counts[request.path] += 1
            response.headers["Access-Control-Allow-Origin"] = "*"
            response.headers["Access-Control-Allow-Headers"] = "authorization, x-requested-with"
            return response

        @app.get("/.well-known/openid-configuration")
        def discovery() -> Response:
            return jsonify(
                issuer=self.issuer,
                jwks_uri=f"{self.issuer}/.well-known/jwks.json",
                token_endpoint=f"{self.issuer}/oauth/token",
                introspection_endpoint=f"{self.issuer}/oauth/introspect",
            )

        @app.get("/.well-known/jwks.json")
        def keys() -> Response:
            return jsonify(self.published())

        @app.post("/oauth/token")
        def issue() -> tuple[Response, int] | Response:
            client, allowed = self._client()
            if client is None or request.form.get("grant_type") != "client_credentials":
                return jsonify(error="invalid_client"), 401
            asked = request.form.get("scope", "").split() or allowed
            scope = " ".join(scope for scope in asked if scope in allowed)
            token = self.token(scope, sub=client, client_id=client)
            return jsonify(access_token=token, token_type="Bearer", expires_in=600, scope=scope)

        @app.post("/oauth/introspect")
        def introspect() -> tuple[Response, int] | Response:
            if self._client()[0] is None:
                return jsonify(error="invalid_client"), 401
            claims = self._claims(request.form.get("token", ""))
            return jsonify(active=True, **claims) if claims else jsonify(active=False)

        @app.post("/oauth/validate")
        def validate() -> Response:
            body = request.get_json(silent=True) or {}
            return jsonify(messages={"valid": bool(self._claims(str(body.get("token", ""))))})

        return app

    def _client(self) -> tuple[str | None, list[str]]:
        given = request.authorization
        name = (given.username if given else None) or request.form.get("client_id", "")
        secret = (given.password if given else None) or request.form.get("client_secret", "")
        expected, scopes = CLIENTS.get(name, ("", ""))
        known = bool(expected) and hmac.compare_digest(expected, secret)
        return (name, scopes.split()) if known else (None, [])

    def _claims(self, token: str) -> dict[str, Any] | None:
        """What an unexpired, unrevoked token of this provider's says."""
        if token in self.revoked:
            return None
        for key in self.keys:
            try:
                claims = jwt.decode(token, key, algorithms=["RS256"]).claims
            except (JoseError, ValueError, TypeError):
                continue
            return claims if claims.get("exp", 0) > time.time() else None
        return None


def _new_key() -> RSAKey:
    return RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256", "kid": uuid.uuid4().hex})
