# AgentAPI shutdown: saves the end of the conversation to Coder, then ends AgentAPI. Exits 0 whatever happens.
#
# GENERATED from src/ by "npm run build"; edit src/launcher.sh and src/*.ts instead.
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

set -u

have() {
  command -v "$1" >/dev/null 2>&1
}

# Gives the program to a runtime on standard input: no file is written, so /tmp may be read-only or noexec, and no
# here-document, for which bash would write one. Options of the user's own programs must not reach ours.
run() {
  printf '%s\n' "$PROGRAM" | NODE_OPTIONS='' "$@"
}

main() {
  have node && run node - && return
  have bun && run bun run - && return
  have deno && run deno run --allow-all --no-config --quiet --ext=cjs - && return
  echo 'Error: no JavaScript runtime on PATH (node >= 18, bun or deno); install one to save log snapshots' >&2
  echo 'Log snapshot capture failed, continuing shutdown'
  echo 'Shutdown complete'
}
