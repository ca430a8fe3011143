"""Identity: who calls. JWTs and their keys, mTLS client certificates, the directory of callers."""
