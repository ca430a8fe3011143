"""Identities of callers: JWTs and their keys, mTLS client certificates, and the directory."""
