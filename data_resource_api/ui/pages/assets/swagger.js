"use strict";

// Swagger UI of the live document. Where the service answers 401, the page asks for a token, which it keeps
// in memory only: not in the address, not in a cookie, not in a storage, not in a form field.

(() => {
  const DOCUMENT = "../static/swagger.json"; // relative, so that it holds behind a proxy that adds a prefix
  const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/; // RFC 6750, section 2.1
  // Of an OAuth flow these need a token URL and nothing else; the others would have to come back to this page.
  const FLOWS = ["clientCredentials", "password"];

  const MESSAGES = {
    malformed: "This is not a token: it has characters that no token has. Paste the token alone.",
    unreachable: "The service cannot be reached. Try again.",
    401: "The service does not accept this token. It may have expired, or be meant for another service.",
    403: "The token is valid, but it does not let you read the API's document.",
    404: "Nothing has been generated yet.",
    other: "The service cannot show its API now. Try again later.",
  };

  const find = (id) => document.getElementById(id);
  const isShell = find("main").hasAttribute("data-shell");

  function say(message) {
    find("said").textContent = message;
  }

  function ask(message) {
    find("refused").textContent = message;
    find("ask").hidden = false;
    const field = find("token");
    field.setAttribute("aria-invalid", String(Boolean(message)));
    field.focus();
  }

  // What the dialog can do here: a flow that fetches a token, or a field to paste one into. The shell's
  // Content-Security-Policy names no provider, since it would tell strangers; there a token is always pasted.
  function usable(scheme) {
    if (scheme === null || typeof scheme !== "object") return scheme;
    if (scheme.type !== "oauth2" && scheme.type !== "openIdConnect") return scheme;
    const flows = Object.entries(scheme.flows || {}).filter(([name]) => FLOWS.includes(name));
    if (flows.length > 0 && !isShell) return { ...scheme, flows: Object.fromEntries(flows) };
    return { type: "http", scheme: "bearer", description: scheme.description || "" };
  }

  function withUsableSchemes(api) {
    const schemes = (api.components || {}).securitySchemes;
    if (schemes === null || typeof schemes !== "object") return api;
    const all = Object.fromEntries(Object.entries(schemes).map(([name, scheme]) => [name, usable(scheme)]));
    return { ...api, components: { ...api.components, securitySchemes: all } };
  }

  function isBearer(scheme) {
    return scheme !== null && typeof scheme === "object" && scheme.type === "http"
      && String(scheme.scheme).toLowerCase() === "bearer";
  }

  function authorize(ui, schemes, token) {
    for (const [name, scheme] of Object.entries(schemes || {})) {
      if (isBearer(scheme)) ui.preauthorizeApiKey(name, token);
    }
  }

  function show(text, token) {
    const own = JSON.parse(text);
    const api = withUsableSchemes(own);
    const title = (own.info || {}).title;
    if (isShell) {
      if (typeof title === "string" && title) {
        document.title = `API · ${title}`;
        find("name").textContent = title;
        find("heading").textContent = `API of ${title}`;
      }
      find("document").href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
      find("document").hidden = false;
    }
    find("forget")?.toggleAttribute("hidden", !token);
    find("ask").hidden = true;
    say("");
    window.ui = SwaggerUIBundle({
      spec: api,
      dom_id: "#swagger-ui",
      layout: "BaseLayout",
      presets: [SwaggerUIBundle.presets.apis],
      validatorUrl: null, // nothing leaves this host
      queryConfigEnabled: false,
      persistAuthorization: false,
      deepLinking: true,
      tryItOutEnabled: true,
      displayRequestDuration: true,
      defaultModelsExpandDepth: 0,
      onComplete() {
        if (token) authorize(window.ui, (api.components || {}).securitySchemes, token);
        if (token) find("main").focus({ preventScroll: true });
      },
    });
  }

  async function load(token) {
    const headers = { Accept: "application/json" };
    if (token) headers.Authorization = `Bearer ${token}`;
    let status, text;
    try {
      const answer = await fetch(DOCUMENT, { headers, cache: "no-store", credentials: "omit", redirect: "error" });
      status = answer.status;
      text = await answer.text();
    } catch {
      (token ? ask : say)(MESSAGES.unreachable);
      return;
    }
    if (status === 200) show(text, token);
    else if (status === 401) ask(token ? MESSAGES[401] : "");
    else if (status === 403 && token) ask(MESSAGES[403]);
    else {
      find("ask").hidden = true;
      say(status === 404 ? MESSAGES[404] : MESSAGES.other);
    }
  }

  find("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    const field = find("token");
    const token = field.value.trim().replace(/^Bearer\s+/i, "");
    if (!TOKEN.test(token)) {
      ask(MESSAGES.malformed);
      return;
    }
    field.value = "";
    load(token);
  });
  find("forget")?.addEventListener("click", () => location.reload());

  load("");
})();
