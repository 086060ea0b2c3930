"""What the router tells about itself: one decision record per call, and the sinks that take it."""
