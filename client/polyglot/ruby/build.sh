#!/bin/sh
# Ruby builds nothing: checks the syntax of the client, and that the stubs load.
set -eu
cd "$(dirname -- "$0")"
ruby -wc client.rb >/dev/null
ruby -Igen -e 'Dir.glob("token_authority/v1/*.rb", base: "gen") { |stub| require stub }'
