"""Questions: their grammar, their SQL, their answers."""
