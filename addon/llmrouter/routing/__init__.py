"""Which target answers, and in what order: pure, `now` (monotonic seconds) is an argument, no body is read here."""
