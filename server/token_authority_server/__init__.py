"""The token authority: an asyncio gRPC server that signs Agora tokens."""
