"""What must last beyond the process, in SQLite."""
