"""Column level encryption: engines, keys, blind indexes, and the SQLAlchemy type that uses them."""
