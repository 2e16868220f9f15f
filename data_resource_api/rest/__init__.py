"""A request on a generated route becomes an answer, served from a ``DataResource``."""
