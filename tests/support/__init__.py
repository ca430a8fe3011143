"""What the tests share: fakes for clock and entropy, a real server, an independent decoder."""
