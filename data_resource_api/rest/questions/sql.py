# STUB
import operator as op

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2

from data_resource_api.compiler.faults import nearest
from data_resource_api.errors import BadRequest
from data_resource_api.rest.pages import BACKWARDS, Start, cursors
from data_resource_api.rest.questions.syntax import *
from data_resource_api.rest.response import RowWriter
from data_resource_api.rest.statements import Statement

D = PGDialect_psycopg2()


class Asked:
    def __init__(self, question, table, resource, rights):
        self.q, self.table = question, table
        t = table.table
        faults = []

        def cond(c):
            if isinstance(c, Group):
                e = (sa.and_ if c.joined is Joined.AND else sa.or_)(*[cond(m) for m in c.members])
                return ~e if c.negated else e
            if c.field.name not in table.fields:
                faults.append(
                    f"{c.field.name}: is not a field of {table.name}{nearest(c.field.name, table.fields) or '.'}"
                )
                return sa.true()
            col = t.c[c.field.name]
            v = c.value
            f = table.fields[c.field.name]
            if c.operator == "in":
                e = col.in_([f.bind_any(x) for x in v])
            elif c.operator == "is":
                e = col.is_(None)
            elif c.operator in ("like", "ilike"):
                e = getattr(col, c.operator)(v.replace("*", "%"))
            elif c.operator == "match":
                e = col.regexp_match(v)
            elif c.operator == "fts":
                e = sa.func.to_tsvector(
                    sa.literal(c.options or "english", literal_execute=True).cast(
                        sa.dialects.postgresql.REGCONFIG
                    ),
                    col,
                ).op("@@")(sa.func.to_tsquery(v))
            else:
                o = {
                    "eq": op.eq,
                    "neq": op.ne,
                    "gt": op.gt,
                    "gte": op.ge,
                    "lt": op.lt,
                    "lte": op.le,
                }[c.operator]
                e = o(col, f.bind_any(v))
            return ~e if c.negated else e

        self.where = [cond(c) for c in question.filters]
        if faults:
            raise BadRequest("The question cannot be asked.", faults)
        names = list(table.fields)
        if question.select is not None:
            names = [s.field.name for s in question.select if isinstance(s, Selected)] or names
        self.keyed = not question.order and bool(table.key)
        self.names = names
        self.cols = [t.c[n] for n in names] + [t.c[n] for n in table.key]
        self.order = [
            t.c[o.field.name].desc() if o.descending else t.c[o.field.name].asc()
            for o in question.order
        ] or [t.c[n] for n in table.key]
        self.writer = RowWriter([table.fields[n] for n in names], table.key)

    def page(self, limit, offset, start, cursor):
        q = sa.select(*self.cols).where(*self.where).limit(limit)
        order = self.order
        t = self.table.table
        if start is Start.OFFSET:
            q = q.offset(offset)
        elif start is Start.AFTER:
            q = q.where(t.c[self.table.key[0]] > cursor["k0"])
        elif start is Start.BEFORE:
            q = q.where(t.c[self.table.key[0]] < cursor["k0"])
        if start in BACKWARDS:
            order = [c.desc() for c in order]
        return self._s(q.order_by(*order))

    def _s(self, q, pre=""):
        c = q.compile(dialect=D, compile_kwargs={"render_postcompile": True})
        return Statement(pre + str(c), c.params)

    def count(self):
        return self._s(sa.select(sa.func.count()).select_from(self.table.table).where(*self.where))

    def estimate(self):
        return self._s(
            sa.select(sa.literal_column("1")).select_from(self.table.table).where(*self.where),
            "EXPLAIN (FORMAT JSON) ",
        )

    def write(self, rows):
        return self.writer.write_all([r[: len(self.names)] for r in rows])

    def ends(self, rows):
        n = len(self.names)
        return cursors([self.table.fields[k] for k in self.table.key], rows[0][n:], rows[-1][n:])


def ask(question, table, resource, rights):
    return Asked(question, table, resource, rights)
