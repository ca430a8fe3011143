"""Identity: who calls. The directory of identities, JWTs and their keys, client certificates."""
