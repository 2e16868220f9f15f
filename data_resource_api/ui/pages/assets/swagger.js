"use strict";

// Relative, so that it holds behind a proxy that adds a prefix. No validator: nothing leaves this host.
window.ui = SwaggerUIBundle({
  url: "../static/swagger.json",
  dom_id: "#swagger-ui",
  layout: "BaseLayout",
  presets: [SwaggerUIBundle.presets.apis],
  validatorUrl: null,
  queryConfigEnabled: false,
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
});
