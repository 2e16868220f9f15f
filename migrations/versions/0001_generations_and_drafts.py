"""Generations and drafts."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE admin.generation (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            digest text NOT NULL,
            payload text NOT NULL,
            associations jsonb NOT NULL,
            created timestamptz NOT NULL DEFAULT now()
        )
        """
    )
    op.execute("CREATE INDEX ix_generation_digest ON admin.generation (digest)")
    # A database of the original has this table, with drafts in it: they are adopted.
    op.execute(
        """
        CREATE TABLE IF NOT EXISTS admin.table_schema (
            id integer PRIMARY KEY,
            tableschema jsonb,
            swagger jsonb
        )
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE admin.generation")
