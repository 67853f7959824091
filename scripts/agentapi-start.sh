# Installs what the module's author and AgentAPI need, starts AgentAPI in the background, and waits until it answers.
set -eu
module_dir=$HOME/$ARG_MODULE_DIR_NAME
mkdir -p "$module_dir/scripts"
(umask 077; printf '%s\n' "$ARG_START_SCRIPT" >"$module_dir/scripts/agentapi-start.sh"; chmod 700 "$module_dir/scripts/agentapi-start.sh")
nohup "$module_dir/scripts/agentapi-start.sh" true "$ARG_AGENTAPI_PORT" >"$module_dir/agentapi-start.log" 2>&1 </dev/null &
sleep 1
