"""How the schema came to be, one module for each version; run by Alembic."""
