"""What the router would have done with traffic that was recorded without it."""
