"""Generated code: the messages and stubs of token_authority.v1."""
