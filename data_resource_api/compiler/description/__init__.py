"""What the service says of itself in OpenAPI 3.0.3: drafts, and the document that is served.

``shared`` is the one set of parameters, headers, answers and schemas; ``rows`` turns a table's fields
into schemas; ``operations`` is the table of operations. ``drafted`` makes a whole document of drafts,
``served`` fills in what a payload's own document leaves open. <https://spec.openapis.org/oas/v3.0.3>.
"""
