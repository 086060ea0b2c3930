"""The tables of the newest version of the schema; `migrations` lead there."""

from sqlalchemy import BigInteger, Column, Double, MetaData, Table, Text

METADATA = MetaData()

DOCUMENTS = Table(
    "documents",
    METADATA,
    Column("caller", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("parent", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("created", Double, nullable=False),
    Column("changed", Double, nullable=False),
    Column("data", Text, nullable=False),
)

CLAIMS = Table(
    "claims",
    METADATA,
    Column("caller", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("process", Text, nullable=False),
)

PROCESSES = Table(
    "processes",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("seen", Double, nullable=False),
)
