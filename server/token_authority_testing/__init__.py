"""For the tests of programs that ask a token authority: `fake.FakeTokenAuthority`, and a plugin.

The plugin gives pytest the fixture `token_authority`. pytest imports this package at every start,
so nothing is imported here.
"""
