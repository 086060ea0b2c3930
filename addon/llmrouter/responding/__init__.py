"""What acts for /v1/responses and /v1/conversations: state, history, runs in the background."""
