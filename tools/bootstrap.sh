#!/bin/sh
# Prepares a clone for the tests and the demo: npm packages first, then all the rest by tools/setup.ts,
# which gets the arguments. Safe to run at any time, from any folder; does nothing when all is there.
set -eu

die() {
  printf 'Set-up stopped. %s\n' "$*" >&2
  exit 1
}

check_node() {
  for _program in node npm; do
    command -v "$_program" >/dev/null 2>&1 ||
      die "$_program is not on PATH. Install Node.js 18 or newer together with npm."
  done
  _version=$(node --version) || die 'node on PATH does not run.'
  _major=${_version#v}
  [ "${_major%%.*}" -ge 18 ] || die "Node.js on PATH is $_version; 18 or newer is needed."
}

# True when node_modules is missing or older than what package-lock.json asks for.
packages_are_stale() {
  [ ! -e node_modules/.package-lock.json ] ||
    [ -n "$(find package-lock.json -newer node_modules/.package-lock.json)" ]
}

install_packages() {
  check_node
  echo 'Installing the npm packages (npm ci), about a minute, once …'
  if ! npm ci --no-audit --no-fund >.cache/npm.log 2>&1; then
    tail -n 20 .cache/npm.log >&2
    die 'npm ci failed; the lines above are the end of .cache/npm.log.'
  fi
  "$bun" --version >>.cache/npm.log 2>&1 ||
    die 'The npm package bun does not run here. If npm skips install scripts (ignore-scripts), run: cd node_modules/bun && node install.js'
}

# A link is made in one step, with the owner's process id inside; a second set-up waits for the first.
take_lock() {
  _told=
  _tries=0
  until ln -s "$$" "$lock" 2>/dev/null; do
    _tries=$((_tries + 1))
    if ! _owner=$(readlink "$lock"); then
      # Released just now, unless that goes on.
      [ "$_tries" -lt 20 ] || die "$PWD/.cache must be writable and allow symbolic links."
      continue
    fi
    if ! kill -0 "$_owner" 2>/dev/null; then
      rm -f "$lock"
      continue
    fi
    [ -n "$_told" ] || echo "Waiting for another set-up (process $_owner). If there is none, remove .cache/setup.lock"
    _told=1
    sleep 1
  done
  trap 'rm -f "$lock"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}

cd "$(dirname "$0")/.."
bun=node_modules/.bin/bun
lock=.cache/setup.lock
mkdir -p .cache
take_lock
if packages_are_stale; then
  install_packages
fi
"$bun" tools/setup.ts "$@"
