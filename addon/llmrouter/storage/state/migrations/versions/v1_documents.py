"""Documents, which belong to one another, locks, and the processes that hold them."""

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "documents",
        sa.Column("caller", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("parent", sa.Text, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("changed", sa.Double, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_index("documents_in_order", "documents", ["caller", "kind", "parent", "position"], unique=True)
    op.create_index("documents_by_parent", "documents", ["caller", "parent"])
    op.create_index("documents_by_id", "documents", ["caller", "id"])
    op.create_index("documents_by_age", "documents", ["parent", "changed"])
    op.create_table(
        "claims",
        sa.Column("caller", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("process", sa.Text, nullable=False),
    )
    op.create_table(
        "processes",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.BigInteger, nullable=False),
        sa.Column("seen", sa.Double, nullable=False),
    )
