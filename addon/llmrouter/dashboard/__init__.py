"""The router's own pages: how it is, what it decided and why; a path and a query in, a page out."""
