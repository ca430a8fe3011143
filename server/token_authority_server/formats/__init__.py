"""Agora's token formats: arguments in, token text out.

Pure and total: no clock, randomness, input, output or cache, and no import but the standard
library. Time, salt and nonce are arguments. FormatError rejects what the encoding cannot carry (a
number that exceeds its field, a malformed id) and nothing else: `families` decides which values are
allowed.
"""
