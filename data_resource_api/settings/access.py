"""Who is let in: tokens, clients on other machines, web pages."""

from __future__ import annotations

from dataclasses import dataclass

from data_resource_api.variables import flag, one_word, origins, variable, words


@dataclass(frozen=True, kw_only=True)
class AccessSettings:
    """Who may use the service, and which web pages."""

    allow_anonymous: bool = variable(
        "DRG_ALLOW_ANONYMOUS",
        "1 lets TEST and LOCAL serve clients that are not on this machine, without any "
        "authorization. Only where something else keeps strangers out.",
        flag,
        False,
    )
    oauth2_provider: str | None = variable(
        "OAUTH2_PROVIDER",
        "Who issues bearer tokens: AUTH0, OIDC, BRIGHTHIVE or INTROSPECTION. PRODUCTION refuses to start "
        "without one.",
        one_word,
    )
    oauth2_url: str | None = variable(
        "OAUTH2_URL",
        "The provider's address, as its tokens name their issuer: https, or http to loopback.",
    )
    oauth2_jwks_url: str | None = variable(
        "OAUTH2_JWKS_URL",
        "Where the provider's keys are (AUTH0, OIDC); {OAUTH2_URL}/.well-known/jwks.json where it is "
        "not set.",
    )
    oauth2_audience: str | None = variable(
        "OAUTH2_AUDIENCE",
        "What a token must be issued for, in its aud. AUTH0 and OIDC need it; INTROSPECTION checks it "
        "where it is set.",
    )
    oauth2_algorithms: tuple[str, ...] = variable(
        "OAUTH2_ALGORITHMS",
        "The algorithms that a token may be signed with, separated by spaces or commas.",
        words,
        ("RS256",),
    )
    oauth2_admin_scope: str | None = variable(
        "OAUTH2_ADMIN_SCOPE",
        "The scope that the administration routes need; drg:admin where it is not set. BRIGHTHIVE tells no "
        "scopes, so it must be set there by hand: empty, and any valid token will do.",
        empty=True,
    )
    oauth2_introspection_url: str | None = variable(
        "OAUTH2_INTROSPECTION_URL",
        "Where the provider tells about a token (INTROSPECTION); {OAUTH2_URL}/oauth/introspect where it is "
        "not set.",
    )
    oauth2_client_id: str | None = variable(
        "OAUTH2_CLIENT_ID", "Who asks the provider about tokens (INTROSPECTION)."
    )
    oauth2_client_secret: str | None = variable(
        "OAUTH2_CLIENT_SECRET", "The secret of OAUTH2_CLIENT_ID (INTROSPECTION).", secret=True
    )
    public_docs: bool | None = variable(
        "DRG_PUBLIC_DOCS",
        "1 shows the landing page and the OpenAPI document to anybody, 0 to whoever has a valid token. "
        "Where it is not set: 1 in TEST and LOCAL, 0 in PRODUCTION.",
        flag,
    )
    cors_origins: tuple[str, ...] = variable(
        "DRG_CORS_ORIGINS",
        "The origins whose web pages may use the API from a browser, separated by spaces or commas.",
        origins,
        (),
    )
