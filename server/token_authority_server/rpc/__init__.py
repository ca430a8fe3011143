"""Transport: gRPC calls in, statuses out. Nothing is decided here."""
