# shellcheck shell=sh
# AgentAPI shutdown: saves the end of the conversation to Coder, then ends AgentAPI. Exits 0 whatever happens.
#
# GENERATED from src/ by "npm run build"; edit src/*.sh and src/*.ts instead.
#
# Environment (an unset or empty variable means its default):
#   ARG_TASK_ID                         task that the snapshot belongs to; none: no snapshot
#   ARG_TASK_LOG_SNAPSHOT               "false": no snapshot (true)
#   ARG_TASK_LOG_SNAPSHOT_MAX_MESSAGES  newest messages to keep (10)
#   ARG_AGENTAPI_PORT                   port of AgentAPI on this machine (3284)
#   ARG_MODULE_DIR_NAME                 folder below $HOME for the log, agentapi-shutdown.log
#   ARG_PID_FILE_PATH                   PID file of AgentAPI ($HOME/$ARG_MODULE_DIR_NAME/agentapi.pid)
#   ARG_ENABLE_STATE_PERSISTENCE        "true": AgentAPI >= 0.12.0 saves its state first (false)
#   ARG_STATE_FILE_PATH                 where it does ($HOME/$ARG_MODULE_DIR_NAME/agentapi-state.json)
#   ARG_SHUTDOWN_TIMEOUT                seconds that all of this may take (8)
#   CODER_AGENT_URL, CODER_AGENT_TOKEN  set by the Coder agent
#   HTTPS_PROXY, HTTP_PROXY, NO_PROXY, SSL_CERT_FILE, SSL_CERT_DIR, NODE_EXTRA_CA_CERTS  the way to Coder

set -u

have() {
  command -v "$1" >/dev/null 2>&1
}

# Whole seconds of the budget that are left.
seconds_left() {
  echo $((budget + started_at - $(date +%s)))
}

# run RUNTIME ARGUMENT...: gives the program to a runtime on standard input. No file is written, so /tmp may be
# read-only or noexec; no here-document either, for which bash would write one, and no cache. Options that the
# workspace sets for its own programs stay out of it. Status 0 means that the whole shutdown is done.
run() {
  _left=$(seconds_left)
  [ -f "$1" ] && [ -x "$1" ] && [ "$_left" -ge 1 ] || return 1
  put "$PROGRAM" |
    NODE_OPTIONS='' BUN_OPTIONS='' BUN_RUNTIME_TRANSPILER_CACHE_PATH=0 DENO_DIR=/dev/null \
      SECONDS_SPENT=$((budget - _left)) "$@" &
  _runtime=$!
  # The program ends in time by itself; this is for a runtime that hangs. Not every sleep knows fractions.
  (
    trap 'kill "$!"; exit' TERM
    sleep "$((_left - 1)).9" &
    wait "$!" || {
      sleep $((_left - 1)) &
      wait "$!"
    }
    kill -9 "$_runtime"
  ) >/dev/null 2>&1 &
  _watchdog=$!
  wait "$_runtime"
  _status=$?
  kill "$_watchdog" 2>/dev/null
  [ "$_status" -eq 0 ] || echo "$1 could not run the shutdown program (status $_status)"
  return "$_status"
}

# try FILE...: the last one first, which is the newest of several versions. Bun and Deno would read settings of the
# folder they start in.
try() {
  _count=$#
  while [ "$_count" -gt 0 ]; do
    _file=
    eval "_file=\${$_count}"
    case ${_file##*/} in
      node) run "$_file" - ;;
      bun) run "$_file" --cwd=/ run - ;;
      deno) run "$_file" run --allow-all --no-config --quiet --ext=cjs - ;;
      *) run_inside "$_file" ;;
    esac && return
    _count=$((_count - 1))
  done
  return 1
}

# Agents that are Bun-compiled executables hold a whole Bun, which BUN_BE_BUN brings out. One that does not know this
# variable would start the agent instead, so it must be in the file; and a script has no runtime inside.
run_inside() {
  [ -f "$1" ] && [ "$(head -c 2 "$1" | tr -d '\0')" != '#!' ] && LC_ALL=C grep -q -F BUN_BE_BUN "$1" || return 1
  BUN_BE_BUN=1 run "$1" --cwd=/ run -
}

try_on_path() {
  for _name in "$@"; do
    _path=$(command -v "$_name") || continue
    case $_path in
      # A version manager's stand-in may ask the network first; what it stands for is found below.
      */shims/* | */.volta/bin/*) ;;
      /*) try "$_path" && return ;;
    esac
  done
  return 1
}

try_installs() {
  try "$1"/deno/*/bin/deno "$1"/bun/*/bin/bun "$1"/node*/*/bin/node
}

# Where version managers and editors keep a runtime; the agent's PATH, which no login shell made, lacks them.
try_homes() {
  _data=${XDG_DATA_HOME:-$HOME/.local/share}
  try "${NVM_DIR:-$HOME/.nvm}"/versions/node/*/bin/node ||
    try "${VOLTA_HOME:-$HOME/.volta}"/tools/image/node/*/bin/node ||
    try "${FNM_DIR:-$_data/fnm}"/node-versions/*/installation/bin/node ||
    try "$HOME"/.fnm/node-versions/*/installation/bin/node ||
    try_installs "${ASDF_DATA_DIR:-$HOME/.asdf}"/installs ||
    try_installs "${MISE_DATA_DIR:-$_data/mise}"/installs ||
    try "${N_PREFIX:-/usr/local}"/bin/node /usr/local/n/versions/node/*/bin/node "$HOME"/n/bin/node ||
    try "$HOME"/.deno/bin/deno "$HOME"/.bun/bin/bun ||
    try /opt/homebrew/bin/node /home/linuxbrew/.linuxbrew/bin/node ||
    try /tmp/code-server/lib/node /usr/lib/code-server/lib/node "$HOME"/.local/lib/code-server-*/lib/node ||
    try "$HOME"/.*-server/bin/*/node "$HOME"/.*-server/bin/*/*/node ||
    try "$HOME"/.*-server/cli/servers/*/server/node /tmp/vscode-web/node ||
    try "$HOME"/.local/share/cursor-agent/versions/*/node
}

try_agents() {
  try_on_path claude opencode ||
    try "$HOME"/.opencode/bin/opencode "$HOME"/.local/bin/claude "$HOME"/.claude/local/claude
}

main() {
  started_at=$(date +%s)
  budget=${ARG_SHUTDOWN_TIMEOUT:-8}
  budget=${budget%%.*}
  # The program reports a bad value.
  case $budget in '' | *[!0-9]*) budget=8 ;; esac
  try_on_path node bun deno || try_homes || try_agents || fallback
}
