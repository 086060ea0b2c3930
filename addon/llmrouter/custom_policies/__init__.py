"""A policy that is a class of the owner's own: read from its file, run on a thread, and never in the router's way."""
