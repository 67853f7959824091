#!/bin/sh
# The checks that need no test: formatting, types, shell and Go lint, and that the built script matches its sources.
# Called by `npm run check`, which puts the npm packages' programs on PATH.
# shellcheck disable=SC2317 # functions are called by way of `check`
set -eu
cd "$(dirname "$0")/.."

status=0

# check WHAT COMMAND…: runs on after a failure, so that one run shows all of them.
check() {
  _what=$1
  shift
  if "$@"; then
    echo "ok: $_what"
  else
    echo "FAILED: $_what" >&2
    status=1
  fi
}

# check_if PROGRAM WHAT COMMAND…: for linters that a contributor need not have; CI must.
check_if() {
  if command -v "$1" >/dev/null 2>&1; then
    shift
    check "$@"
  elif [ "${CI:-}" = true ]; then
    echo "FAILED: $2: $1 is missing" >&2
    status=1
  else
    echo "skipped: $2: $1 is not installed"
  fi
}

gofmt_check() {
  _unformatted=$(gofmt -l tools)
  [ -z "$_unformatted" ] || { echo "$_unformatted" >&2 && return 1; }
}

go_vet() (
  cd tools/terraform-provider-null && go vet ./...
)

export TF_CLI_CONFIG_FILE="$PWD/.cache/terraform.tfrc"
terraform=$(bun -e 'console.log(require("./tools/inventory.ts").readTools().terraforms[0].path)')
scripts="$(git ls-files '*.sh') .ci/run"

check 'scripts/agentapi-shutdown.sh is built from src/' bun src/build.ts --check
check 'types' tsc -p .
check 'prettier (to mend: npx prettier --write .)' prettier --check --log-level warn .
check 'terraform fmt (to mend: terraform fmt -recursive)' "$terraform" fmt -check -recursive
# shellcheck disable=SC2086 # file names of this repository, without spaces
check_if shellcheck shellcheck shellcheck $scripts
# shellcheck disable=SC2086
check_if shfmt 'shfmt (to mend: shfmt -w -i 2 -ci)' shfmt -d -i 2 -ci $scripts
check_if gofmt gofmt gofmt_check
check_if go 'go vet' go_vet
exit "$status"
