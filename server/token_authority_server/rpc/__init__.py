"""Transport: gRPC calls in, gRPC statuses out. Authorization is decided below."""
