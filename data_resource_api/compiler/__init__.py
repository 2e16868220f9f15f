"""A Data Resource Generation Payload becomes a ``DataResource``: pure, without network or database."""
