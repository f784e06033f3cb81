# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2154
# The commands of docs/UPGRADE.md, so that what is tested is what is written.
# Sourced after functions.sh.

upgrade_doc=$top_srcdir/docs/UPGRADE.md

# document_text NAME: the commands that the comment above them calls NAME.
document_text ()
{
  awk -v mark="<!-- commands: $1 -->" '
    $0 == mark { marked = 1; next }
    marked && $0 == "```" { exit }
    marked && $0 != "```sh" { print }
  ' "$upgrade_doc" >"$dir/commands"
  [ -s "$dir/commands" ] || fail "$upgrade_doc has no commands '$1'"
  cat "$dir/commands"
}

# document NAME: runs them here.  Under "set -e", and not within "if" or "||",
# the first that fails ends the test.
document ()
{
  document_text "$1" >"$dir/commands-$1"
  # shellcheck disable=SC1090
  . "$dir/commands-$1"
}
