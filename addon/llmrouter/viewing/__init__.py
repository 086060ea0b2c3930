"""What a call said and how it was planned, as text for people to read; pure."""
