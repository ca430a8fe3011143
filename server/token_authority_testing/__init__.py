"""For tests of programs that use a token authority: `fake.FakeTokenAuthority` and a pytest plugin.

The plugin provides the fixture `token_authority`. pytest imports this package at every start, so
nothing is imported here.
"""
