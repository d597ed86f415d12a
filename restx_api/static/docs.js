// Draws Swagger UI over the plain list, where it was built.
if (window.SwaggerUIBundle) {
  document.getElementById("plain").hidden = true;
  window.SwaggerUIBundle({
    url: "/api/v1/swagger.json",
    dom_id: "#swagger",
    deepLinking: true,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    persistAuthorization: false,
  });
}
