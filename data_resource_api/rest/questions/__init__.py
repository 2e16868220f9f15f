"""Questions beyond a plain list: filters, orders, selections, embedded tables; PostgREST's grammar."""
