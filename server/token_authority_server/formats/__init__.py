"""Agora's token formats: arguments in, token text out.

Pure and total: no clock, no chance, no input or output, nothing but the standard library. Time,
salt and nonce are arguments. The modules refuse with FormatError what the encoding itself cannot
carry (a number beyond its field, an id of the wrong shape), and nothing else: which values are
wise, or allowed, is decided in `kinds`.
"""
