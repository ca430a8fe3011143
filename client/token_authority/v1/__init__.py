"""Version 1 of the contract; generated from protos/token_authority/v1."""
