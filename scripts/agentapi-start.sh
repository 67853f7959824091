# Starts the module's side of a workspace: runs the author's scripts, installs AgentAPI, starts it in the background and
# waits until it answers. main.tf renders the values of the module's variables (ARG_*) and the functions of
# agentapi-install.sh, agentapi-port.sh and boundary.sh in front of this text.
#
# Environment (an unset or empty variable means its default):
#   AGENTAPI_RELEASES_URL    where AgentAPI's releases are (https://github.com/coder/agentapi/releases)
#   AGENTAPI_INSTALL_DIR     where AgentAPI and boundary go when that is possible (/usr/local/bin)
#   AGENTAPI_DOWNLOAD_WAITS  seconds between the tries of a download, one number for each new try (1 2 4 8)
#   AGENTAPI_START_TIMEOUT   seconds that AgentAPI has to answer (15)
#   BOUNDARY_INSTALL_URL     boundary's install script (the one on coder/boundary's main branch)
#   BOUNDARY_REPOSITORY_URL  boundary's sources (https://github.com/coder/boundary.git)
#
# Never `set -x` here, and never print a value: scripts and variables may hold secrets, and the agent's log keeps both.
# shellcheck shell=sh disable=SC2154,SC2034 # the ARG_* stand in front of this text, and so do functions that use our variables

set -u

module_dir=$HOME/$ARG_MODULE_DIR_NAME
# First on PATH, so that the start script finds what could not be installed for all users.
bin_dir=$module_dir/bin
install_dir=${AGENTAPI_INSTALL_DIR:-/usr/local/bin}
port=$ARG_AGENTAPI_PORT
pid_file=${ARG_PID_FILE_PATH:-$module_dir/agentapi.pid}
state_file=${ARG_STATE_FILE_PATH:-$module_dir/agentapi-state.json}
start_script=$module_dir/scripts/agentapi-start.sh
start_log=$module_dir/agentapi-start.log
# Written when the start script has ended; holds its exit status.
start_status=$module_dir/agentapi-start.status

say() {
  printf '%s\n' "$*"
}

warn() {
  printf 'Warning: %s\n' "$*" >&2
}

fail() {
  printf 'Error: %s\n' "$*" >&2
  exit 1
}

have() {
  command -v "$1" >/dev/null 2>&1
}

pause() {
  sleep 0.05 2>/dev/null || sleep 1 # POSIX knows whole seconds only
}

# replace_file PATH MODE: standard input becomes the file's content. Nobody else can read it at any time, and what
# stands at PATH, a link or a read-only file of an earlier version, is replaced and never written through.
replace_file() {
  [ ! -d "$1" ] || [ -h "$1" ] || fail "$1 is a folder; a file of the module must go there, so please remove it"
  (
    umask 077
    rm -f "$1.new" && set -C && cat >"$1.new" && chmod "$2" "$1.new" || exit 1
    [ ! -h "$1" ] || rm -f "$1"
    mv -f "$1.new" "$1"
  ) || fail "$1 cannot be written"
}

# write_script PATH TEXT: a text without a shebang is for bash, as it always was, or for sh where there is no bash.
write_script() {
  case $2 in
    '#!'*) printf '%s\n' "$2" ;;
    *) printf '#!%s\n%s\n' "$(command -v bash || command -v sh)" "$2" ;;
  esac | replace_file "$1" 700 || exit 1
}

# run_step NAME TEXT: runs a script of the author's, whose output appears here at once and stays in NAME.log. The script
# writes to the file and to no pipe, so what it leaves running in the background keeps nobody waiting for the pipe's end.
run_step() {
  [ -n "$2" ] || return 0
  write_script "$module_dir/$1.sh" "$2"
  replace_file "$module_dir/$1.log" 600 </dev/null
  say "Running $1.sh"
  step_runs=$module_dir/.$1.runs
  : >"$step_runs"
  follow "$module_dir/$1.log" "$step_runs" &
  _follower=$!
  "$module_dir/$1.sh" </dev/null >>"$module_dir/$1.log" 2>&1
  _status=$?
  rm -f "$step_runs"
  wait "$_follower"
  # The start goes on, as it always did: authors' scripts may end with the status of a step that does not matter.
  [ "$_status" -eq 0 ] || warn "$1.sh failed with exit status $_status. Its output is in $module_dir/$1.log"
}

# follow FILE MARK: prints FILE as it grows, until MARK or the process of this script is gone.
follow() {
  exec 4<"$1" # one open file: every cat goes on where the last one stopped
  while [ -e "$2" ] && kill -0 "$$" 2>/dev/null; do
    cat <&4
    pause
  done
  cat <&4
}

# AgentAPI, bash and many installers need a folder for temporary files. Where /tmp is read-only or full, they get ours.
find_temporary_folder() {
  _trial=${TMPDIR:-/tmp}/agentapi-start.$$
  if (umask 077 && mkdir "$_trial" && echo trial >"$_trial/trial") 2>/dev/null; then
    rm -r "$_trial"
    return 0
  fi
  rm -rf "$_trial" 2>/dev/null
  (umask 077 && mkdir -p "$module_dir/tmp") || fail "folder $module_dir/tmp cannot be created"
  export TMPDIR="$module_dir/tmp"
}

export_settings() {
  # Coder's proxy checks the Host header before a request gets here.
  export AGENTAPI_ALLOWED_HOSTS='*'
  export AGENTAPI_CHAT_BASE_PATH="$ARG_AGENTAPI_CHAT_BASE_PATH"
  export AGENTAPI_PID_FILE="$pid_file"
  make_folder "$(dirname "$pid_file")"
  [ "$ARG_ENABLE_STATE_PERSISTENCE" = true ] || return 0
  if keeps_state; then
    export AGENTAPI_STATE_FILE="$state_file" AGENTAPI_SAVE_STATE=true AGENTAPI_LOAD_STATE=true
    make_folder "$(dirname "$state_file")"
  else
    warn "the conversation will not survive a restart: enable_state_persistence needs AgentAPI 0.12.0 or later, and version $(version_of agentapi) is installed"
  fi
}

# AgentAPI keeps its state from 0.12.0 on. A version that is no X.Y.Z counts as new enough.
keeps_state() {
  _version=$(version_of agentapi | sed -n 's/^\([0-9]*\.[0-9]*\)\.[0-9].*/\1/p')
  [ -z "$_version" ] || [ "${_version%.*}" -gt 0 ] || [ "${_version#*.}" -ge 12 ]
}

make_folder() {
  mkdir -p -- "$1" || fail "folder $1 cannot be created"
}

# Starts the start script without `&`, because a shell without job control makes a background job ignore SIGINT, which
# AgentAPI stops the AI agent with, and no shell can undo that. The commands of a pipeline keep their signals; so a shell
# starts one as a pipeline's first command, and the second one, in place of waiting for it, ends that shell.
# `setsid` gives it a session of its own, which the end of the Coder agent leaves alone.
start_agentapi() {
  [ ! -f "$start_log" ] || [ -h "$start_log" ] || { chmod 600 "$start_log" && mv -f "$start_log" "$start_log.1"; }
  replace_file "$start_log" 600 </dev/null
  rm -f "$start_status"
  # shellcheck disable=SC2016 # for the shell that runs it
  set -- sh -c '"$1" true "$2"
    status=$?
    echo "agentapi-start.sh ended with exit status $status"
    echo "$status" >"$3"' sh "$start_script" "$port" "$start_status"
  ! have setsid || set -- setsid "$@"
  # Where SIGINT is ignored already, only another program than a shell can help; GNU env can.
  ! env --default-signal=INT,QUIT true 2>/dev/null || set -- env --default-signal=INT,QUIT "$@"
  {
    # shellcheck disable=SC2016 # for the shell that runs it
    LANG=en_US.UTF-8 LC_ALL=en_US.UTF-8 sh -c '
      log=$1
      shift
      "$@" </dev/null >>"$log" 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- | kill -KILL "$$"' sh "$start_log" "$@"
  } 2>/dev/null # else this shell reports the killed one
}

# AgentAPI answers before it is fully up, so it has to do so three times in a row.
wait_for_agentapi() {
  _deadline=$(($(date +%s) + ${AGENTAPI_START_TIMEOUT:-15}))
  _answers=0
  while [ "$(date +%s)" -le "$_deadline" ]; do
    if get_status >/dev/null; then
      _answers=$((_answers + 1))
      [ "$_answers" -lt 3 ] || return 0
    else
      _answers=0
      # A start script that puts AgentAPI into the background itself ends with 0.
      case $(cat "$start_status" 2>/dev/null) in '' | 0) ;; *) return 1 ;; esac
    fi
    pause
  done
  [ "$http_client" = none ] && [ ! -r /proc/net/tcp ] && [ ! -e "$start_status" ]
}

warn_of_missing_tools() {
  [ "$http_client" != none ] ||
    warn 'there is none of curl, wget, node, bun and deno, so it is only checked that something listens on the port'
  [ -n "$ARG_TASK_ID" ] && [ "$ARG_TASK_LOG_SNAPSHOT" = true ] || return 0
  have node || have bun || have deno || { have curl && have jq; } ||
    warn 'there is none of node, bun and deno on PATH, nor curl with jq: the log snapshot may be missing when the task is paused'
}

main() {
  make_folder "$ARG_WORKDIR"
  (umask 077 && mkdir -p "$module_dir/scripts" "$bin_dir") || fail "folder $module_dir cannot be created"
  export PATH="$bin_dir:$PATH"
  find_temporary_folder
  find_http_client
  warn_of_missing_tools

  run_step pre_install "$ARG_PRE_INSTALL_SCRIPT"
  run_step install "$ARG_INSTALL_SCRIPT"
  [ "$ARG_INSTALL_AGENTAPI" != true ] || install_agentapi
  have agentapi || fail 'AgentAPI is not installed. Set install_agentapi to true, or put agentapi on PATH.'
  write_script "$start_script" "$ARG_START_SCRIPT"
  run_step post_install "$ARG_POST_INSTALL_SCRIPT"
  set_up_boundary

  if port_is_served; then
    say "AgentAPI already runs on port $port; it goes on as it is"
    return 0
  fi
  check_pid_file
  export_settings
  cd -- "$ARG_WORKDIR" || fail "folder $ARG_WORKDIR cannot be entered"
  say "Starting AgentAPI on port $port"
  start_agentapi
  if ! wait_for_agentapi; then
    say "The end of $start_log:"
    tail -n 20 "$start_log"
    fail "agentapi server did not start on port $port"
  fi
  say "AgentAPI is ready on port $port"
}

main
