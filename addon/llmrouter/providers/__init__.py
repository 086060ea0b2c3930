"""What upstreams speak: one module per wire format; the gateway chooses by `brand.wire_format`."""
