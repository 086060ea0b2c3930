"""Everything that knows mitmproxy: the addon, its streaming layer, TLS, and what stands in recorded flows."""
