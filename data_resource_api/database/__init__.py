"""PostgreSQL: the engine, the embedded server, and the service's own tables."""
