"""Several operations of the generated API in one transaction: ``POST /-/batch``."""
