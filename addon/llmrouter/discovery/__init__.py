"""What providers tell about themselves over HTTP, read in the background: the models they list and their prices."""
