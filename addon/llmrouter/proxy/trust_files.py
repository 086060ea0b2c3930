"""The names of the files that programs are to trust, and of the variables that name them."""

CERT = "mitmproxy-ca-cert.pem"
BUNDLE = "ca-bundle.pem"
ADDING = ("NODE_EXTRA_CA_CERTS", "DENO_CERT")
"""The variables with which programs trust more than their own roots."""
JAVA_STORE = "ca-bundle.p12"
JAVA_PASSWORD = "changeit"
"""The one that Java's own store has; it protects nothing, for the store holds no key."""
