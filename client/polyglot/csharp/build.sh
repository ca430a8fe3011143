#!/bin/sh
# Checks the syntax of the stubs and of the client, which is all that can be done without .NET.
set -eu
cd "$(dirname -- "$0")"
mcs --parse Client.cs gen/*.cs
