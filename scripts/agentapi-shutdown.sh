#!/bin/sh
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

# shellcheck shell=sh disable=SC2154 # budget and started_at are the launcher's
# Without a JavaScript runtime: the snapshot by curl and jq, the rest by sh. Times are tenths of a second since the start.

nl='
'

# A builtin in every shell (ksh may lack printf), since everybody can read the arguments of a program. No here-document
# either: some shells write one to a file.
put() {
  # shellcheck disable=SC3018
  if [ -n "${KSH_VERSION:-}" ]; then print -rn -- "$1"; else printf %s "$1"; fi
}

# What dash could not write to a full disk would come out of its next pipe, so the log has a shell of its own.
say() {
  put "$1$nl"
  (put "$(date -u +%Y-%m-%dT%H:%M:%SZ) $1$nl" >>"$log") || :
} 2>/dev/null

err() { say "Error: $1" >&2; }

now() {
  read -r _up _ </proc/uptime || _up=$(date +%s).00
  _up=${_up%.*}${_up#*.}
  echo $((${_up%?} - zero))
} 2>/dev/null

# left N: what is left before the last N of the budget.
left() { echo $((limit - $1 - $(now))); }

seconds() { echo "$(($1 / 10)).$(($1 % 10))"; }

nap() { sleep "$(seconds "$1")" 2>/dev/null || sleep $((($1 + 9) / 10)); }

# number NAME DEFAULT MIN MAX: sets `value`, to the default where it makes no sense.
number() {
  eval "value=\${$1:-$2}"
  case $value in *[!0-9]* | 0* | ??????*) ;; *) [ "$value" -ge "$3" ] && [ "$value" -le "$4" ] && return ;; esac
  value=$2
}

open_log() {
  mkdir -p "$dir"
  _log=$dir/agentapi-shutdown.log
  [ -e "$_log" ] || [ -L "$_log" ] || put '' >"$_log"
  # shellcheck disable=SC2012,SC2046
  set -- $(ls -dln "$_log") ''
  case "$1 ${2:-} ${3:-}" in
    -*" 1 $(id -u)") log=$_log && chmod 600 "$log" ;;
    *) say "Warning: no log file at $_log: it is not a regular file of this user" && return ;;
  esac
  [ "$5" -le 262144 ] || { _tail=$(tail -c 65536 "$log" | sed 1d) && put "$_tail$nl" >"$log"; }
}

# Sets `name` and `born` of process $1; fails when it is gone, or only its zombie is left.
inspect() {
  if _stat=$(cat "/proc/$1/stat"); then
    name=$(readlink "/proc/$1/exe")
    # shellcheck disable=SC2086
    set -- ${_stat##*) }
  else
    # shellcheck disable=SC2046
    set -- $(ps -o stat= -o comm= -p "$1")
    name=${2:-}
  fi
  name=${name##*/} name=${name%" (deleted)"} born=${20:-}
  case ${1:-Z} in [ZX]*) return 1 ;; esac
} 2>/dev/null

is_named() { [ "$name" != "${name#agentapi}" ]; }

listens() {
  _fds=$(ls -l "/proc/$1/fd" 2>/dev/null)
  for _socket in $sockets; do
    case $_fds in *"socket:[$_socket]"*) return ;; esac
  done
  return 1
}

# Field 22 of proc_pid_stat(5) counts 1/100 s from the boot.
is_newer_than() {
  _written=$(date -r "$1" +%s || stat -c %Y "$1")
  _booted=$(sed -n 's/^btime //p' /proc/stat)
  [ $((_booted + ${born%??})) -gt $((_written + 2)) ]
} 2>/dev/null

# Sets `pid` to the AgentAPI that serves the port: the one that PID file $1 names, else the one that listens.
find_agentapi() {
  # The inodes of sockets in state 0A, TCP_LISTEN.
  sockets=$({ cat /proc/net/tcp /proc/net/tcp6 |
    sed -n "s/^[^:]*: [^ ]*:$(printf %04X "$port") [^ ]* 0A [^ ]* [^ ]* [^ ]* *[0-9]* *[0-9]* \([0-9]*\) .*/\1/p"; } 2>/dev/null)
  { [ ! -f "$1" ] || pid=$(head -c 33 "$1"); } 2>/dev/null
  case $pid in
    none)
      if [ -e "$1" ]; then say "PID file $1 is no regular file"; else [ -z "$1" ] || say "No PID file at $1"; fi
      ;;
    # 1 is the container's init, often the Coder agent itself.
    '' | *[!0-9]* | 0* | 1 | ???????????*) say "PID file $1 holds no usable process id" ;;
    *)
      _why="PID file $1 is stale: process $pid"
      if ! inspect "$pid"; then
        say "$_why is gone"
      elif is_newer_than "$1"; then
        say "$_why ($name) started after the file was written; leaving it alone"
      elif is_named || listens "$pid"; then
        return
      else
        say "$_why ($name) is not AgentAPI on port $port; leaving it alone"
      fi
      ;;
  esac
  for pid in ${sockets:+/proc/[0-9]*}; do
    pid=${pid#/proc/}
    inspect "$pid" && is_named && listens "$pid" && return
  done
  pid=
}

save_state() {
  _exe=agentapi
  ! is_named || [ ! -e "/proc/$pid/exe" ] || _exe=/proc/$pid/exe
  _version=$("$_exe" --version </dev/null 2>/dev/null)
  case " $_version" in
    *[!0-9.]0.[0-9].[0-9]* | *[!0-9.]0.1[01].[0-9]*)
      say "Warning: state is not saved, $_version is older than 0.12.0"
      ;;
    *)
      say "Sending SIGUSR1 to AgentAPI (pid $pid) to save state"
      signal USR1 || err "SIGUSR1 did not reach AgentAPI: $why"
      ;;
  esac
}

# The number alone may be given to a new process at once.
is_running() { inspect "$pid" && [ "$born" = "$agent_born" ]; }

# Sends signal $1; sets `why` where it does not arrive.
signal() {
  why='it is gone'
  is_running || return
  why='it belongs to another user'
  kill -s "$1" "$pid" 2>/dev/null
}

stop_agentapi() {
  say "Sending SIGTERM to AgentAPI (pid $pid)"
  signal TERM || { say "SIGTERM did not reach AgentAPI: $why" && return; }
  while is_running; do
    [ "$(left 4)" -gt 0 ] || {
      say "Warning: AgentAPI (pid $pid) ignores SIGTERM and time is up, sending SIGKILL"
      signal KILL
      return
    }
    nap 1
  done
}

# Messages on stdin, their text in field $1 -> lines for the log as JSON strings, the snapshot's length, the snapshot.
# sed gets a line for each backslash, and replaces the escapes that jq or Coder's database refuses.
shape() {
  # A slow jq must not keep AgentAPI from its SIGTERM.
  # shellcheck disable=SC3045
  ulimit -t $(($(left "$reserve") / 10 + 1))
  tr '\\\n' '\n ' | LC_ALL=C sed '
    /^$/{
      n
      b
    }
    s/^u0000/ufffd/
    /^u[dD][89abAB]..$/N
    /\nu[dD][c-fC-F]/b
    s/^u[dD][89a-fA-F]../ufffd/
    /\n/{
      P
      D
    }' | tr '\012' '\134' | jq -ac --argjson from "-$max" --arg text "$1" '
    def rfc3339: type == "string" and test("^(?!....-(02-3|(0[469]|11)-31)|(?!..([2468][048]|[13579][26]|0[48])|([02468][048]|[13579][26])00)....-02-29)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3])(:[0-5][0-9]){2}([.][0-9]+)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])\\z");
    def size: map(tojson | utf8bytelength + 1) | add + 14;
    if type == "object" and has("messages") then .messages // [] else 0 end
    | if type != "array" then "!" else length as $total | .[$from:] | length as $n
    | reduce .[] as $m ({at: ($total - $n - 1), time: (first(.[] | objects.time | select(rfc3339)) // "0001-01-01T00:00:00Z")};
        .at += 1
        | if $m | type != "object" then .left += 1 else
            ($m | if has($text) then .[$text] else .content end) as $content
            | ($m.id | type == "number" and . == floor and fabs < 9e15) as $numbered
            | if $m.time | rfc3339 then .time = $m.time else . end
            | .list += [{
                id: (if $numbered then $m.id else .at end),
                content: ($content | strings // (values | tojson) // ""),
                role: ("user" | select(. == $m.role) // "agent"),
                time}]
          end)
    | (.list | values | "Retrieved \($n) messages for log snapshot"),
      (.left | values | "Left out, no JSON object: \(.) of \($n) messages"),
      (.list // [] | . as $list | map([.] | size - 14) as $sizes
      | {size: size, drop: 0}
      | until(.size <= 65536 or .drop + 1 == ($list | length); .size -= $sizes[.drop] | .drop += 1)
      | (.drop | select(. > 0) | "Payload exceeds 65536 bytes, removing the \(.) oldest messages"),
        if .size <= 65536 then .size, {messages: $list[.drop:]} else
          "Payload size \(.size) bytes exceeds limit, truncating final message content",
          ($list[-1].content[-65536:] as $tail
          | def cut: [$list[-1] + {content: ($tail[.:] | "[...content truncated, showing last \(utf8bytelength / 1024 | floor)KB...]\n\n" + .)}];
          [0, ($tail | length)]
          | until(.[0] == .[1]; (add / 2 | floor) as $at | if $at | cut | size > 65536 then .[0] = $at + 1 else .[1] = $at end)
          | .[0] | cut | size, {messages: .})
        end)
    end'
} 2>/dev/null

# Posts what `shape` made from source $1. Returns 2 when the source failed.
deliver() {
  _why="$1: answered no JSON"
  while IFS= read -r _line; do
    case $_line in
      'curl: '*) _why="GET http://localhost:$port/messages: ${_line#*) }" ;;
      '"!"') _why="$1: its answer has no list of messages" ;;
      '"'*) _line=${_line#?} && say "${_line%?}" ;;
      '{"messages":[]}') say 'No messages for log snapshot' && return ;;
      '{'*)
        post "$_line"
        return
        ;;
      *) size=$_line ;;
    esac
  done
  err "$_why"
  return 2
}

# Prints how Coder's answer to body $1 within $2 begins, or curl's error. Token and body are on no command line; the 1
# at the end of a time keeps it from 0, which means no limit.
attempt() {
  put "Coder-Session-Token: $CODER_AGENT_TOKEN" | {
    put "$1" | jq -cj . | http_proxy=${HTTP_PROXY:-${http_proxy:-}} curl -q -sSi --proto =http,https \
      --suppress-connect-headers --max-time "$(seconds "$2")1" --connect-timeout "$(seconds $(($2 / 2 + 1)))" \
      -H @/dev/fd/3 -H 'Content-Type: application/json' -H Expect: --data-binary @- "$url?format=agentapi" 2>&1
  } 3<&0 | head -c 16384
}

post() {
  url=${CODER_AGENT_TOKEN:+${CODER_AGENT_URL:-}}
  [ -n "$url" ] || { err 'CODER_AGENT_URL or CODER_AGENT_TOKEN is not set, so the snapshot can not be sent' && return 1; }
  while [ "$url" != "${url%/}" ]; do url=${url%/}; done
  url=$url/api/v2/workspaceagents/me/tasks/$(put "$ARG_TASK_ID" | jq -Rrs @uri)/log-snapshot
  say "Posting log snapshot to Coder ($size bytes)"
  _jitter=2
  while :; do
    _answer=$(attempt "$1" "$(left $((reserve + 3)))")
    _status=${_answer#* }
    _status=${_status%%[!0-9]*}
    # Tenths that the server asks for, a random number below 100, the texts of the answer.
    _text=$(put "$_answer" | jq -Rrs 'split("\r\n\r\n")[0] as $head | .[$head | length + 4:]
      | (. as $page | try (fromjson | [.message, .detail] | map(strings)) catch [$page]) // []
      | map(.[:200]) | join(" ") | split(env.CODER_AGENT_TOKEN) | join("[redacted]") | gsub("[[:cntrl:]]+"; " ")
      | "\($head | capture("\nretry-after: *(?<s>[0-9]{1,4})(\r|$)"; "i").s // 0)0 \(now * 1000000 % 100) \(.)"')
    _wait=${_text%% *} _text=${_text#* }
    _random=${_text%% *} _text=${_text#* }
    _wait=$((_wait + _jitter * _random / 100))
    case $_status in
      2*) say 'Log snapshot posted successfully' && return ;;
      3*) _text="redirected; the token is not sent there, correct Coder's access URL instead" ;;
      401) _text="Coder refused the agent's token, which is valid only while a stop directly follows a start of the same template version" ;;
      404)
        [ "$_text" = 'Resource not found or you do not have access to this resource' ] ||
          { say 'Log snapshot endpoint not supported by this Coder version, skipping' && return; }
        _text='Coder does not know this task here; it was deleted, or it belongs to another workspace'
        ;;
      '') _text=${_answer#*) } && _text=${_text%%"$nl"*} && _answer=${_answer#*\(} ;;
    esac
    _text="POST $url: ${_status:+HTTP $_status${_text:+: }}$_text"
    _room=$(left $((reserve + 6)))
    case ${_status:-c${_answer%%)*}} in 429 | 5?? | c[567] | c1[68] | c28 | c35 | c5[256] | c92) ;; *) _room=0 ;; esac
    [ "$_room" -gt 0 ] || { err "$_text" && return 1; }
    [ "$_wait" -le "$_room" ] || _wait=$((_room * (100 + _random) / 200))
    say "$_text; trying again in $(seconds "$_wait") s"
    nap "$_wait"
    [ "$_jitter" -ge 30 ] || _jitter=$((_jitter * 2))
  done
}

# curl itself tries both addresses of localhost.
fetch() {
  curl -q -sSf --noproxy '*' --max-time "$(seconds $(($(left "$reserve") * 6 / 10)))1" "http://localhost:$port/messages"
}

snapshot() {
  say "Fetching messages from AgentAPI on port $port"
  # A reset is worth a second try; 28 is curl's status when the time is up.
  { { fetch || [ $? = 28 ] || fetch; } 2>&3 | shape content >&3; } 3>&1 | deliver AgentAPI
  _result=$?
  [ $_result = 2 ] && [ "${ARG_ENABLE_STATE_PERSISTENCE:-}" = true ] || return $_result
  [ -f "$state_file" ] || { err "State file $state_file: does not exist" && return 1; }
  say "AgentAPI does not answer, using its state file $state_file"
  shape message <"$state_file" | deliver "State file $state_file"
}

fallback() {
  trap '' PIPE
  umask 077
  log=/dev/null zero=0
  zero=$(($(now) - ($(date +%s) - started_at) * 10))
  dir=${ARG_MODULE_DIR_NAME:+$HOME/$ARG_MODULE_DIR_NAME}
  [ -z "$dir" ] || open_log 2>/dev/null
  say 'Shutting down AgentAPI'
  number ARG_TASK_LOG_SNAPSHOT_MAX_MESSAGES 10 1 1000
  max=$value
  number ARG_AGENTAPI_PORT 3284 1 65535
  port=$value
  limit=$((budget * 10 - 2)) reserve=$((budget > 7 ? 30 : budget * 4))
  state_file=${ARG_STATE_FILE_PATH:-$dir/agentapi-state.json}

  pid=none
  find_agentapi "${ARG_PID_FILE_PATH:-${dir:+$dir/agentapi.pid}}"
  agent_born=${born:-}
  [ -z "$pid" ] || [ "${ARG_ENABLE_STATE_PERSISTENCE:-}" != true ] || save_state
  if [ "${ARG_TASK_LOG_SNAPSHOT:-}" = false ]; then
    say 'Log snapshot disabled, skipping'
  elif [ -z "${ARG_TASK_ID:-}" ]; then
    say 'No task ID, skipping log snapshot'
  else
    _missing=
    have curl || _missing=' curl'
    have jq || _missing="$_missing jq"
    if [ -n "$_missing" ]; then
      err "log snapshots need Node.js >= 18, Bun, Deno, or curl and jq; not found:$_missing"
      false
    else
      snapshot
    fi || say 'Log snapshot capture failed, continuing shutdown'
  fi
  [ -z "$pid" ] || stop_agentapi
  say "Shutdown complete in $(seconds "$(now)") s"
}

# shellcheck disable=SC2016 # a program, not a shell's
PROGRAM='"use strict";

// src/config.ts
var os = require("node:os");
var node_path = require("node:path");
function readConfig(env) {
	const faults = [];
	const value = (name) => env[name] ?? "";
	const either = (name) => value(name) || value(name.toLowerCase());
	const boolean = (name, fallback) => {
		const text = value(name);
		if (text === "") return fallback;
		if (text !== "true" && text !== "false") {
			faults.push(`${name} must be true or false, not "${text}"; using ${fallback}`);
			return fallback;
		}
		return text === "true";
	};
	const number = (name, fallback, min, max) => {
		const text = value(name);
		if (text === "") return fallback;
		const parsed = Number(text);
		if (!(parsed >= min && parsed <= max)) {
			faults.push(`${name} must be a number from ${min} to ${max}, not "${text}"; using ${fallback}`);
			return fallback;
		}
		return parsed;
	};
	const home = value("HOME") || os.homedir();
	const moduleDir = value("ARG_MODULE_DIR_NAME");
	const inModuleDir = (file) => moduleDir === "" ? null : node_path.join(home, moduleDir, file);
	return Object.freeze({
		taskId: value("ARG_TASK_ID"),
		snapshotEnabled: boolean("ARG_TASK_LOG_SNAPSHOT", true),
		maxMessages: Math.floor(number("ARG_TASK_LOG_SNAPSHOT_MAX_MESSAGES", 10, 1, 1e3)),
		agentApiPort: Math.floor(number("ARG_AGENTAPI_PORT", 3284, 1, 65535)),
		statePersistence: boolean("ARG_ENABLE_STATE_PERSISTENCE", false),
		stateFile: value("ARG_STATE_FILE_PATH") || inModuleDir("agentapi-state.json"),
		pidFile: value("ARG_PID_FILE_PATH") || inModuleDir("agentapi.pid"),
		logFile: inModuleDir("agentapi-shutdown.log"),
		budgetMs: (number("ARG_SHUTDOWN_TIMEOUT", 8, 2, 600) - number("SECONDS_SPENT", 0, 0, 600)) * 1e3,
		coderUrl: value("CODER_AGENT_URL"),
		coderToken: value("CODER_AGENT_TOKEN"),
		network: {
			proxy: { https: either("HTTPS_PROXY"), http: either("HTTP_PROXY"), noProxy: either("NO_PROXY") },
			trust: {
				certFile: value("SSL_CERT_FILE"),
				certDir: value("SSL_CERT_DIR"),
				extraFile: value("NODE_EXTRA_CA_CERTS")
			}
		},
		faults
	});
}

// src/deadline.ts
var Deadline = class _Deadline {
	constructor(endMs, now = () => performance.now()) {
		this.endMs = endMs;
		this.now = now;
	}
	static in(budgetMs, now = () => performance.now()) {
		return new _Deadline(now() + budgetMs, now);
	}
	remainingMs() {
		return Math.max(0, this.endMs - this.now());
	}
	reserving(reserveMs) {
		return new _Deadline(this.endMs - reserveMs, this.now);
	}
	capped(capMs) {
		return new _Deadline(Math.min(this.endMs, this.now() + capMs), this.now);
	}
	async sleep(ms) {
		await new Promise((resolve) => setTimeout(resolve, Math.min(ms, this.remainingMs())));
	}
};

// src/errors.ts
var ShutdownError = class extends Error {
};
var UNTRUSTED = `its certificate ${process.versions["deno"] ? "has expired, or " : ""}comes from an authority that this image does not trust; install that CA, or set SSL_CERT_FILE or NODE_EXTRA_CA_CERTS`;
var CERTIFICATE_FAULTS = {
	CERT_HAS_EXPIRED: "its certificate has expired",
	CERT_NOT_YET_VALID: "its certificate is not valid yet, or this machine'\''s clock is wrong",
	DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
	ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name",
	SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
	UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
	UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
	UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED
};
var NetworkError = class extends ShutdownError {
	constructor(what, cause) {
		const { code = "", message } = cause;
		const fault = CERTIFICATE_FAULTS[code];
		super(`${what}: ${fault ?? (message || code || "connection failed")}${fault ? ` (${code})` : ""}`, {
			cause
		});
		this.code = code;
		this.permanent = fault !== void 0;
	}
};
var HttpError = class extends ShutdownError {
	constructor(what, status, detail, retryAfterMs2 = null) {
		super(`${what}: HTTP ${status}${detail && `: ${detail}`}`);
		this.status = status;
		this.retryAfterMs = retryAfterMs2;
	}
};
var DeadlineError = class extends ShutdownError {
	constructor(what, spentMs) {
		super(`${what}: no answer within ${(spentMs / 1e3).toFixed(1)} s`);
	}
};
var WireError = class extends ShutdownError {
	constructor(source, what) {
		super(`${source}: ${what}`);
	}
};

// src/log.ts
var fs = require("node:fs");
var node_path2 = require("node:path");

// src/attempt.ts
function attempt(action, otherwise) {
	try {
		return action();
	} catch {
		return otherwise;
	}
}

// src/log.ts
var FILE_MAX_BYTES = 256 * 1024;
var FILE_KEEP_BYTES = 64 * 1024;
var LINE_MAX_CHARS = 2e3;
function openLog(file, secrets) {
	let fd = null;
	const clean = (line) => {
		let text = line;
		for (const secret of secrets) if (secret !== "") text = text.replaceAll(secret, "[redacted]");
		text = text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ");
		return text.length > LINE_MAX_CHARS ? `${text.slice(0, LINE_MAX_CHARS)}...` : text;
	};
	const write = (stream, line) => {
		const text = clean(line);
		attempt(() => fs.writeSync(stream, `${text}
`), 0);
		if (fd !== null) attempt(() => fs.writeSync(fd, `${(new Date()).toISOString()} ${text}
`), 0);
	};
	const log = {
		info: (line) => write(1, line),
		error: (line) => write(2, `Error: ${line}`)
	};
	if (file !== null) {
		try {
			fd = openOwnFile(file);
		} catch (error) {
			log.info(`Warning: no log file at ${file}: ${error.message}`);
		}
	}
	return log;
}
function openOwnFile(path) {
	fs.mkdirSync(node_path2.dirname(path), { recursive: true, mode: 448 });
	const { O_RDWR, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
	const fd = fs.openSync(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 384);
	try {
		const stat = fs.fstatSync(fd);
		if (!stat.isFile() || stat.nlink !== 1 || stat.uid !== process.geteuid?.()) {
			throw new Error("it is not a regular file of this user");
		}
		fs.fchmodSync(fd, 384);
		if (stat.size > FILE_MAX_BYTES) keepTail(fd, stat.size);
		return fd;
	} catch (error) {
		fs.closeSync(fd);
		throw error;
	}
}
function keepTail(fd, size) {
	const tail = Buffer.alloc(FILE_KEEP_BYTES);
	const length = fs.readSync(fd, tail, 0, FILE_KEEP_BYTES, size - FILE_KEEP_BYTES);
	fs.ftruncateSync(fd, 0);
	fs.writeSync(fd, tail.subarray(tail.indexOf("\n") + 1, length));
}

// src/process.ts
var child_process2 = require("node:child_process");

// src/pid-file.ts
var fs2 = require("node:fs");
var MAX_BYTES = 32;
function readPidFile(path) {
	let fd;
	try {
		fd = fs2.openSync(path, fs2.constants.O_RDONLY | fs2.constants.O_NONBLOCK);
	} catch (error) {
		const { code } = error;
		return code === "ENOENT" ? `No PID file at ${path}` : `PID file ${path} can'\''t be read: ${code}`;
	}
	try {
		const stat = fs2.fstatSync(fd);
		if (!stat.isFile()) return `PID file ${path} is no regular file`;
		const buffer = Buffer.alloc(MAX_BYTES + 1);
		const text = buffer.toString("utf8", 0, fs2.readSync(fd, buffer, 0, buffer.length, 0)).trim();
		const pid = /^\d+$/.test(text) ? Number(text) : 0;
		if (pid <= 1 || text.length > 10) return `PID file ${path} holds no usable process id`;
		return { pid, writtenAtMs: stat.mtimeMs };
	} finally {
		fs2.closeSync(fd);
	}
}

// src/process-table.ts
var child_process = require("node:child_process");
var fs3 = require("node:fs");
var node_path3 = require("node:path");
var TICK_MS = 10;
var PS_TIMEOUT_MS = 1e3;
function inspectProcess(pid) {
	return hasProc() ? inspectByProc(pid) : inspectByPs(pid);
}
function listeningPorts(pid) {
	return portsAmong(listeningSockets(), pid);
}
function listenersOn(port) {
	const sockets = new Map([...listeningSockets()].filter(([, its]) => its === port));
	if (sockets.size === 0) return [];
	return fs3.readdirSync("/proc").map(Number).filter((pid) => portsAmong(sockets, pid)?.length).map(inspectByProc).filter((info) => info !== null);
}
function portsAmong(sockets, pid) {
	const descriptors = attempt(() => fs3.readdirSync(`/proc/${pid}/fd`), null);
	return descriptors?.map((fd) => sockets.get(linkOrEmpty(`/proc/${pid}/fd/${fd}`))).filter((port) => port !== void 0) ?? null;
}
function hasProc() {
	return readOrEmpty("/proc/self/stat") !== "";
}
function inspectByProc(pid) {
	const stat = readOrEmpty(`/proc/${pid}/stat`);
	const match = /^\d+ \((.*)\) (.*)$/s.exec(stat);
	const fields = match?.[2]?.split(" ") ?? [];
	if (match === null || fields[0] === "Z" || fields[0] === "X") return null;
	const bootSeconds = Number(/^btime (\d+)$/m.exec(readOrEmpty("/proc/stat"))?.[1] ?? 0);
	const executable = node_path3.basename(linkOrEmpty(`/proc/${pid}/exe`)).replace(/ \(deleted\)$/, "");
	return {
		pid,
		// Field 22 of proc_pid_stat(5); `fields` starts at the third.
		startedAtMs: bootSeconds * 1e3 + Number(fields[19]) * TICK_MS,
		executable: executable || match[1]
	};
}
function listeningSockets() {
	const sockets = new Map();
	for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
		for (const line of readOrEmpty(table).split("\n").slice(1)) {
			const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
			if (state === "0A") sockets.set(`socket:[${inode}]`, Number.parseInt(local?.split(":")[1] ?? "", 16));
		}
	}
	return sockets;
}
function inspectByPs(pid) {
	const ps = () => child_process.execFileSync("env", ["LC_ALL=C", "ps", "-o", "stat=,lstart=,comm=", "-p", String(pid)], {
		encoding: "utf8",
		stdio: ["ignore", "pipe", "ignore"],
		timeout: PS_TIMEOUT_MS
	});
	const match = /^\s*([^Z\s]\S*)\s+(\S+ \S+ +\d+ [\d:]+ \d{4})\s+(.*\S)\s*$/.exec(attempt(ps, ""));
	return match && {
		pid,
		startedAtMs: Date.parse(match[2]),
		executable: node_path3.basename(match[3])
	};
}
function readOrEmpty(path) {
	return attempt(() => fs3.readFileSync(path, "utf8"), "");
}
function linkOrEmpty(path) {
	return attempt(() => fs3.readlinkSync(path), "");
}

// src/process.ts
var CLOCK_SLACK_MS = 2e3;
var POLL_MS = 50;
var VERSION_TIMEOUT_MS = 1e3;
var STATE_SAVE_SINCE = [0, 12, 0];
function findAgentApi({ pidFile, agentApiPort }, explain2) {
	const named = pidFile === null ? null : readPidFile(pidFile);
	if (typeof named === "string") explain2(named);
	else if (named !== null) {
		const info = inspectProcess(named.pid);
		if (info === null) explain2(`PID file ${pidFile} is stale: process ${named.pid} is gone`);
		else {
			const stranger = whyStranger(info, named.writtenAtMs, agentApiPort);
			if (stranger === null) return info;
			explain2(
				`PID file ${pidFile} is stale: process ${named.pid} (${info.executable}) ${stranger}; leaving it alone`
			);
		}
	}
	return listenersOn(agentApiPort).find(isNamedAgentApi) ?? null;
}
function whyStranger(info, writtenAtMs, port) {
	const ports = listeningPorts(info.pid);
	const listens = ports?.includes(port) ?? false;
	if (listens && isNamedAgentApi(info)) return null;
	if (info.startedAtMs > writtenAtMs + CLOCK_SLACK_MS) return "started after the file was written";
	if (listens) return null;
	if (!isNamedAgentApi(info)) return `is not AgentAPI on port ${port}`;
	return ports === null || ports.length === 0 ? null : `listens on port ${ports.join()}, not on ${port}`;
}
function isNamedAgentApi({ executable }) {
	return executable.startsWith("agentapi");
}
async function savesStateOnSignal(info) {
	const own = isNamedAgentApi(info) && inspectProcess(process.pid) !== null ? `/proc/${info.pid}/exe` : "agentapi";
	const version = await new Promise((resolve) => {
		child_process2.execFile(own, ["--version"], { timeout: VERSION_TIMEOUT_MS }, (_error, stdout) => resolve(stdout.trim()));
	});
	const parts = /(\d+)\.(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number);
	const different = parts?.findIndex((part, index) => part !== STATE_SAVE_SINCE[index]) ?? -1;
	return {
		saves: different === -1 || parts[different] > STATE_SAVE_SINCE[different],
		version
	};
}
function isRunning({ pid, startedAtMs }) {
	const now = inspectProcess(pid);
	return now !== null && Math.abs(now.startedAtMs - startedAtMs) < CLOCK_SLACK_MS;
}
function sendSignal(info, signal) {
	if (!isRunning(info)) return "it is gone";
	try {
		process.kill(info.pid, signal);
		return null;
	} catch (error) {
		const { code } = error;
		return code === "ESRCH" ? "it is gone" : code === "EPERM" ? "it belongs to another user" : String(code);
	}
}
async function waitUntilGone(info, deadline) {
	for (; ; ) {
		if (!isRunning(info)) return true;
		if (deadline.remainingMs() === 0) return false;
		await deadline.sleep(POLL_MS);
	}
}

// src/agentapi.ts
var net = require("node:net");

// src/http.ts
var http = require("node:http");
var https = require("node:https");
function exchange(request2, reader, deadline) {
	const { method, url } = request2;
	const what = `${method} ${url.origin}${url.pathname}`;
	const budgetMs = deadline.remainingMs();
	return new Promise((resolve, reject) => {
		let outgoing;
		let settled = false;
		const settle = (action) => {
			if (settled) return;
			settled = true;
			clearTimeout(timer);
			action();
			outgoing?.destroy();
		};
		const fail = (error) => settle(() => reject(error));
		const timer = setTimeout(() => fail(new DeadlineError(what, budgetMs)), budgetMs);
		const receive = (answer) => {
			const status = answer.statusCode ?? 0;
			const sink = reader(status);
			const guarded = (action) => {
				try {
					action();
				} catch (error) {
					fail(error);
				}
			};
			const cutOff = () => fail(new NetworkError(what, { message: "the answer was cut off" }));
			answer.on("data", (chunk) => guarded(() => sink.push(chunk)));
			answer.on("error", cutOff);
			answer.on("close", cutOff);
			answer.on("end", () => {
				if (!answer.complete) return cutOff();
				guarded(() => {
					const result = { status, headers: answer.headers, body: sink.end() };
					settle(() => resolve(result));
				});
			});
		};
		const send = (route) => {
			if (settled) return;
			outgoing = open(request2, route);
			outgoing.on("error", (error) => fail(new NetworkError(what, error)));
			outgoing.on("response", receive);
			outgoing.end(request2.body);
		};
		request2.route().then(send).catch(fail);
	});
}
function open({ method, url, headers, body }, route) {
	const send = url.protocol === "https:" ? https.request : http.request;
	return send(url, {
		...route,
		method,
		headers: {
			...headers,
			...route.headers,
			connection: "close",
			...body && { "content-length": String(body.byteLength) }
		}
	});
}
function textReader(maxBytes) {
	const chunks = [];
	let size = 0;
	return {
		push(chunk) {
			if (size < maxBytes) chunks.push(chunk);
			size += chunk.byteLength;
		},
		end: () => Buffer.concat(chunks).subarray(0, maxBytes).toString("utf8")
	};
}
function parseJson(text, source) {
	try {
		return JSON.parse(text);
	} catch {
		throw new WireError(source, `answered no JSON: ${JSON.stringify(text.slice(0, 80))}`);
	}
}

// src/agentapi.ts
var LOOPBACK = ["127.0.0.1", "::1", "127.0.0.1", "::1"];
var ERROR_MAX_BYTES = 200;
async function fetchHistory(port, keep, deadline) {
	const url = new URL(`http://localhost:${port}/messages`);
	let failure;
	for (const address of LOOPBACK) {
		try {
			const { status, body } = await exchange(
				{
					method: "GET",
					url,
					headers: { host: url.host, accept: "application/json" },
					route: async () => ({ createConnection: () => net.connect(port, address) })
				},
				(status2) => status2 === 200 ? historyReader(keep) : textReader(ERROR_MAX_BYTES),
				deadline
			);
			if (typeof body !== "string") return body;
			throw new HttpError("GET /messages of AgentAPI", status, body);
		} catch (error) {
			if (!(error instanceof ShutdownError) || error instanceof DeadlineError) throw error;
			if (failure === void 0 || !(error instanceof NetworkError)) failure = error;
		}
	}
	throw failure;
}
function historyReader(keep) {
	const chunks = [];
	return {
		push: (chunk) => void chunks.push(chunk),
		end() {
			const answer = parseJson(Buffer.concat(chunks).toString("utf8"), "AgentAPI");
			const messages = answer?.messages;
			if (messages === null) return { messages: [], total: 0 };
			if (!Array.isArray(messages)) throw new WireError("AgentAPI", "its answer has no list of messages");
			return { messages: messages.slice(-keep), total: messages.length };
		}
	};
}

// src/retry.ts
var BACKOFF_MIN_MS = 200;
var BACKOFF_MAX_MS = 3e3;
var ATTEMPT_MIN_MS = 250;
var SILENT = Symbol();
async function withRetries(attempt2, options) {
	const { deadline, onRetry, random = Math.random } = options;
	for (let tries = 0; ; tries++) {
		const running = attempt2();
		try {
			const patience = deadline.sleep(deadline.remainingMs() / 2).then(() => SILENT);
			const early = await Promise.race([running, patience]);
			if (early !== SILENT) return early;
		} catch (error) {
			const roomMs = deadline.remainingMs() - ATTEMPT_MIN_MS;
			if (!isTransient(error) || roomMs <= 0) throw error;
			const waitMs = waitBefore(error, tries, roomMs, random);
			onRetry(error.message, waitMs);
			await deadline.sleep(waitMs);
			continue;
		}
		if (deadline.remainingMs() < 2 * ATTEMPT_MIN_MS) return running;
		onRetry("No answer yet", 0);
		return firstSuccess([running, withRetries(attempt2, options)]);
	}
}
function isTransient(error) {
	if (error instanceof HttpError) return error.status === 429 || error.status >= 500;
	return error instanceof NetworkError && !error.permanent || error instanceof DeadlineError;
}
function waitBefore(error, tries, roomMs, random) {
	const askedMs = error instanceof HttpError ? error.retryAfterMs ?? 0 : 0;
	const honouredMs = Math.min(askedMs, roomMs / (tries === 0 ? 3 : 6));
	const spreadMs = Math.max(honouredMs, Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** tries));
	const jitterMs = Math.min(spreadMs, Math.max(BACKOFF_MIN_MS, roomMs / 4)) * random();
	return Math.min(roomMs, honouredMs + jitterMs);
}
async function firstSuccess(attempts) {
	try {
		return await Promise.any(attempts);
	} catch (error) {
		throw error.errors.at(-1);
	}
}

// src/route.ts
var http2 = require("node:http");
var net3 = require("node:net");
var tls2 = require("node:tls");

// src/proxy.ts
var net2 = require("node:net");
function proxyFor(url, settings) {
	const text = (url.protocol === "https:" ? settings.https : settings.http).trim();
	if (text === "" || !mayProxy(url, settings.noProxy)) return null;
	return attempt(() => {
		const proxy = new URL(/^[a-z0-9]+:\/\//i.test(text) ? text : `http://${text}`);
		decodeURIComponent(proxy.username + proxy.password);
		return proxy;
	}, null);
}
function mayProxy(url, noProxy) {
	const host = url.hostname.replace(/^\[|\]$/g, "").toLowerCase();
	if (host === "localhost" || isLoopback(host)) return false;
	const port = url.port || (url.protocol === "https:" ? "443" : "80");
	return !noProxy.split(",").map((entry) => entry.trim().toLowerCase()).some((entry) => entry !== "" && matches(entry, host, port));
}
function isLoopback(host) {
	return host === "::1" || net2.isIP(host) === 4 && host.startsWith("127.");
}
function matches(entry, host, port) {
	if (entry === "*") return true;
	if (/^[0-9a-f.:]+\/\d+$/.test(entry)) return isInNetwork(host, entry);
	const { name, portOnly } = net2.isIP(entry) === 6 ? { name: entry, portOnly: "" } : splitPort(entry);
	if (portOnly !== "" && portOnly !== port) return false;
	if (net2.isIP(host) !== 0) return name === host;
	const domain = name.replace(/^\*?\./, "");
	return host.endsWith(`.${domain}`) || host === domain && name === domain;
}
function splitPort(entry) {
	const match = /^\[?(.*?)\]?(?::(\d*))?$/.exec(entry);
	return { name: match?.[1] ?? entry, portOnly: match?.[2] ?? "" };
}
function isInNetwork(host, network) {
	const [address, prefix] = network.split("/");
	const family = net2.isIP(host);
	if (family === 0 || family !== net2.isIP(address)) return false;
	const type = family === 6 ? "ipv6" : "ipv4";
	const list = new net2.BlockList();
	attempt(() => list.addSubnet(address, Number(prefix), type), void 0);
	return list.check(host, type);
}

// src/trust.ts
var fs4 = require("node:fs");
var node_path4 = require("node:path");
var tls = require("node:tls");
var SYSTEM_FILES = [
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/pki/tls/cacert.pem",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/ssl/cert.pem"
];
function trustedAuthorities({ certFile, certDir, extraFile }) {
	const systemFiles = certFile === "" ? SYSTEM_FILES : [certFile];
	const system = systemFiles.map(readPem).find((pem) => pem !== "") ?? "";
	const fromDirs = certDir.split(":").filter(Boolean).flatMap(filesIn).map(readPem);
	return [...tls.rootCertificates, system, ...fromDirs, readPem(extraFile)].filter((pem) => pem !== "");
}
function filesIn(dir) {
	return attempt(() => fs4.readdirSync(dir), []).map((name) => node_path4.join(dir, name));
}
function readPem(path) {
	const text = attempt(() => fs4.readFileSync(path, "utf8"), "");
	return text.includes("-----BEGIN CERTIFICATE-----") ? text : "";
}

// src/route.ts
async function routeTo(url, network) {
	const proxy = proxyFor(url, network.proxy);
	if (proxy !== null && !/^https?:$/.test(proxy.protocol)) {
		throw new WireError(
			"HTTPS_PROXY or HTTP_PROXY",
			`a ${proxy.protocol} proxy is not supported, use an http one`
		);
	}
	if (url.protocol === "http:") {
		const createConnection = () => open2(proxy ?? url, network);
		return { createConnection, ...proxy && { path: url.href, headers: proxyHeaders(proxy) } };
	}
	const socket = proxy && await tunnel(url, proxy, network);
	return { createConnection: () => open2(url, network, socket) };
}
function tunnel(url, proxy, network) {
	const authority = `${url.hostname}:${portOf(url)}`;
	const what = `CONNECT ${authority} by proxy ${proxy.host}`;
	return new Promise((resolve, reject) => {
		const asking = http2.request({
			method: "CONNECT",
			path: authority,
			headers: { host: authority, ...proxyHeaders(proxy) },
			createConnection: () => open2(proxy, network)
		});
		asking.on("error", (error) => reject(new NetworkError(what, error)));
		const refuse = (status) => reject(
			new HttpError(what, status ?? 0, status === 407 ? "the proxy asks for a user and password" : "")
		);
		asking.on("response", (answer) => refuse(answer.statusCode));
		asking.on(
			"connect",
			(answer, socket) => answer.statusCode === 200 ? resolve(socket) : refuse(answer.statusCode)
		);
		asking.end();
	});
}
function proxyHeaders(proxy) {
	if (proxy.username === "") return {};
	const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
	return { "proxy-authorization": `Basic ${Buffer.from(credentials).toString("base64")}` };
}
function open2(url, network, socket) {
	const host = url.hostname.replace(/^\[|\]$/g, "");
	if (url.protocol === "http:") return net3.connect(portOf(url), host);
	const target = { host, port: portOf(url), ...socket && { socket } };
	const servername = /^[\d.]+$|:/.test(host) ? {} : { servername: host };
	return tls2.connect({ ...target, ...servername, ca: trustedAuthorities(network.trust) });
}
function portOf(url) {
	return Number(url.port) || (url.protocol === "https:" ? 443 : 80);
}

// src/coder.ts
var ANSWER_MAX_BYTES = 4096;
var QUOTE_MAX_CHARS = 200;
var MAX_REDIRECTS = 3;
var TASK_NOT_FOUND = "Resource not found or you do not have access to this resource";
async function postSnapshot(destination, body, deadline, log) {
	const url = snapshotUrl(destination);
	const post = async () => {
		const { status, headers, body: page } = await postTo(url, destination, body, deadline);
		if (status >= 200 && status < 300) return log.info("Log snapshot posted successfully");
		const texts = errorTexts(page);
		if (status === 404 && texts[0] !== TASK_NOT_FOUND) {
			return log.info("Log snapshot endpoint not supported by this Coder version, skipping");
		}
		throw new HttpError(
			`POST ${url.origin}${url.pathname}`,
			status,
			explain(status, headers.location) ?? texts.join(" ").trim(),
			retryAfterMs(headers["retry-after"])
		);
	};
	log.info(`Posting log snapshot to Coder (${body.byteLength} bytes)`);
	await withRetries(post, {
		deadline,
		onRetry: (why, waitMs) => log.info(`${why}; trying again in ${(waitMs / 1e3).toFixed(1)} s`)
	});
}
async function postTo(url, destination, body, deadline, redirects = 0) {
	const headers = {
		"coder-session-token": destination.coderToken,
		"content-type": "application/json",
		accept: "application/json"
	};
	const route = () => routeTo(url, destination.network);
	const answer = await exchange(
		{ method: "POST", url, headers, body, route },
		() => textReader(ANSWER_MAX_BYTES),
		deadline
	);
	const { location } = answer.headers;
	if (answer.status < 300 || answer.status >= 400 || location === void 0 || redirects === MAX_REDIRECTS) {
		return answer;
	}
	const next = parseUrl(location, url);
	const sameHost = next !== null && next.hostname === url.hostname && next.protocol >= url.protocol;
	return sameHost ? postTo(next, destination, body, deadline, redirects + 1) : answer;
}
function snapshotUrl({ coderUrl, coderToken, taskId }) {
	if (coderUrl === "")
		throw new WireError("CODER_AGENT_URL", "is not set, so there is nowhere to send the snapshot");
	if (coderToken === "")
		throw new WireError("CODER_AGENT_TOKEN", "is not set, so Coder would refuse the snapshot");
	const url = parseUrl(coderUrl);
	if (url === null) throw new WireError("CODER_AGENT_URL", `is no http or https address: "${coderUrl}"`);
	url.pathname = `${url.pathname.replace(/\/+$/, "")}/api/v2/workspaceagents/me/tasks/${encodeURIComponent(taskId)}/log-snapshot`;
	url.search = "?format=agentapi";
	return url;
}
function parseUrl(text, base) {
	const url = attempt(() => new URL(text, base), null);
	return url !== null && /^https?:$/.test(url.protocol) ? url : null;
}
function explain(status, location) {
	if (status === 401) {
		return "Coder refused the agent'\''s token, which is valid only while a stop directly follows a start of the same template version";
	}
	if (status === 404)
		return "Coder does not know this task here; it was deleted, or it belongs to another workspace";
	if (status >= 300 && status < 400) {
		return `redirected to ${location ?? "nowhere"}; the token is not sent there, correct Coder'\''s access URL instead`;
	}
	return null;
}
function errorTexts(page) {
	const texts = attempt(() => {
		const { message, detail } = JSON.parse(page);
		return [message, detail];
	}, [page]);
	return texts.filter((text) => typeof text === "string").map((text) => text.trim().slice(0, QUOTE_MAX_CHARS));
}
function retryAfterMs(header) {
	if (header === void 0) return null;
	const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1e3 : Date.parse(header) - Date.now();
	return Number.isFinite(ms) ? Math.max(0, ms) : null;
}

// src/message.ts
var ZERO_TIME = "0001-01-01T00:00:00Z";
var MAX_DEPTH = 100;
function mendMessages(messages, offset) {
	const counts = new Map();
	const note = (what) => void counts.set(what, (counts.get(what) ?? 0) + 1);
	const mended = [];
	let lastTime = messages.map((message) => field(message, "time")).find(isRfc3339) ?? ZERO_TIME;
	messages.forEach((raw, index) => {
		if (typeof raw !== "object" || raw === null || Array.isArray(raw)) {
			return note("Left out, no JSON object");
		}
		const { id, content, role, time, ...others } = raw;
		const text = asText(content);
		if (text === null) return note("Left out, content nested too deep");
		if (text !== content) note("Mended, content was no string");
		if (!Number.isSafeInteger(id)) note("Mended, id was no integer");
		if (role !== "user" && role !== "agent") note("Mended, role was neither user nor agent");
		if (!isRfc3339(time)) note("Mended, time was not RFC 3339");
		lastTime = asTime(time) ?? lastTime;
		mended.push({
			message: {
				id: Number.isSafeInteger(id) ? id : offset + index,
				content: text,
				role: role === "user" ? "user" : "agent",
				time: lastTime
			},
			extra: passable(others)
		});
	});
	return {
		mended,
		notes: [...counts].map(([what, count]) => `${what}: ${count} of ${messages.length} messages`)
	};
}
function field(message, name) {
	return message?.[name];
}
function asText(content) {
	if (typeof content === "string") return content;
	if (content === void 0 || content === null) return "";
	return isShallow(content, MAX_DEPTH) ? JSON.stringify(content) : null;
}
function asTime(value) {
	if (isRfc3339(value)) return value;
	const parsed = new Date(typeof value === "string" ? value : Number.NaN);
	const text = Number.isNaN(parsed.getTime()) ? "" : parsed.toISOString();
	return isRfc3339(text) ? text : null;
}
function isRfc3339(value) {
	if (typeof value !== "string") return false;
	const match = /^(\d{4})-(0[1-9]|1[0-2])-(\d\d)T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/.exec(
		value
	);
	if (match === null) return false;
	const [year, month, day] = match.slice(1).map(Number);
	return day >= 1 && day <= new Date(Date.UTC(year < 100 ? 2e3 + year : year, month, 0)).getUTCDate();
}
function passable(others) {
	return Object.fromEntries(
		Object.entries(others).filter(
			([name, value]) => !/^(?:id|content|role|time)$/i.test(name) && isShallow(value, MAX_DEPTH)
		)
	);
}
function isShallow(value, levels) {
	if (typeof value !== "object" || value === null) return true;
	return levels > 0 && Object.values(value).every((inner) => isShallow(inner, levels - 1));
}

// src/snapshot.ts
var SNAPSHOT_MAX_BYTES = 65536;
var HEAD = '\''{"messages":['\'';
var TAIL = "]}";
function buildSnapshot(messages, total, maxBytes = SNAPSHOT_MAX_BYTES) {
	const { mended, notes } = mendMessages(messages, total - messages.length);
	const whole = mended.map(({ message, extra }) => encode({ ...message, ...extra }));
	const encoded = bodyBytes(whole) <= maxBytes ? whole : mended.map(({ message }) => encode(message));
	let size = bodyBytes(encoded);
	let dropped = 0;
	while (size > maxBytes && dropped < encoded.length - 1) {
		size -= Buffer.byteLength(encoded[dropped++]) + 1;
	}
	if (dropped > 0) {
		notes.push(`Payload exceeds ${maxBytes} bytes, removing the ${dropped} oldest messages`);
	}
	let kept = encoded.slice(dropped);
	if (size > maxBytes) {
		notes.push(`Payload size ${size} bytes exceeds limit, truncating final message content`);
		kept = [encode(cutToFit(mended[dropped].message, maxBytes))];
	}
	return {
		body: Buffer.from(HEAD + kept.join() + TAIL),
		messageCount: kept.length,
		notes
	};
}
function encode(value) {
	return JSON.stringify(value).replace(
		/\\(?:u0000|ud[0-9a-f]{3}|.)/g,
		(escape) => escape.length === 6 ? "\uFFFD" : escape
	);
}
function bodyBytes(encoded) {
	const commas = Math.max(0, encoded.length - 1);
	return encoded.reduce((sum, text) => sum + Buffer.byteLength(text), HEAD.length + TAIL.length + commas);
}
function cutToFit(message, maxBytes) {
	const { content } = message;
	const from = (start2) => {
		const shown = content.slice(start2);
		const kib = Math.floor(Buffer.byteLength(shown) / 1024);
		return {
			...message,
			content: [`[...content truncated, showing last ${kib}KB...]`, "", shown].join("\n")
		};
	};
	let start = Math.max(0, content.length - maxBytes);
	let end = content.length;
	while (start < end) {
		const middle = Math.floor((start + end) / 2);
		if (bodyBytes([encode(from(middle))]) <= maxBytes) end = middle;
		else start = middle + 1;
	}
	const splitsPair = /^[\ud800-\udbff][\udc00-\udfff]$/.test(content.slice(start - 1, start + 1));
	return from(splitsPair ? start + 1 : start);
}

// src/state-file.ts
var fs5 = require("node:fs");
var POLL_MS2 = 50;
function readStateFile(path, keep) {
	const source = `State file ${path}`;
	let text;
	try {
		if (!fs5.statSync(path).isFile()) throw new Error("no regular file");
		text = fs5.readFileSync(path, "utf8");
	} catch (error) {
		const { code, message } = error;
		throw new WireError(source, code === "ENOENT" ? "does not exist" : message);
	}
	const messages = parseJson(text, source)?.messages ?? [];
	if (!Array.isArray(messages)) throw new WireError(source, "has no list of messages");
	return { messages: messages.slice(-keep).map(toWireMessage), total: messages.length };
}
function toWireMessage(saved) {
	if (typeof saved !== "object" || saved === null || !("message" in saved)) return saved;
	const { message, ...others } = saved;
	return { ...others, content: message };
}
function fileVersion(path) {
	const stat = attempt(() => fs5.statSync(path), null);
	return stat === null ? "" : [stat.ino, stat.mtimeMs, stat.size].join();
}
async function waitForNewFile(path, before, deadline) {
	while (["", before].includes(fileVersion(path))) {
		if (deadline.remainingMs() === 0) return false;
		await deadline.sleep(POLL_MS2);
	}
	return true;
}

// src/shutdown.ts
var FETCH_SHARE = 0.6;
var SAVE_MAX_MS = 1e3;
var KILL_RESERVE_MS = 400;
async function saveState(agentApi, { stateFile }, deadline, log) {
	const { saves, version } = await savesStateOnSignal(agentApi);
	if (!saves) {
		log.info(`Warning: state is not saved, ${version} is older than 0.12.0`);
		return { saved: Promise.resolve() };
	}
	const before = stateFile === null ? "" : fileVersion(stateFile);
	log.info(`Sending SIGUSR1 to AgentAPI (pid ${agentApi.pid}) to save state`);
	const failure = sendSignal(agentApi, "SIGUSR1");
	if (failure !== null) log.error(`SIGUSR1 did not reach AgentAPI: ${failure}`);
	if (failure !== null || stateFile === null) return { saved: Promise.resolve() };
	const saved = waitForNewFile(stateFile, before, deadline.capped(SAVE_MAX_MS)).then(
		(isNew) => log.info(isNew ? "AgentAPI saved its state" : "AgentAPI did not write its state file anew")
	);
	return { saved };
}
async function captureSnapshot(config, deadline, log, saved) {
	if (!config.snapshotEnabled) return log.info("Log snapshot disabled, skipping");
	if (config.taskId === "") return log.info("No task ID, skipping log snapshot");
	const { messages, total } = await readHistory(
		config,
		deadline.capped(deadline.remainingMs() * FETCH_SHARE),
		log,
		saved
	);
	const snapshot = buildSnapshot(messages, total);
	if (snapshot.messageCount > 0) log.info(`Retrieved ${messages.length} messages for log snapshot`);
	for (const note of snapshot.notes) log.info(note);
	if (snapshot.messageCount === 0) return log.info("No messages for log snapshot");
	await postSnapshot(config, snapshot.body, deadline, log);
}
async function readHistory(config, deadline, log, saved) {
	log.info(`Fetching messages from AgentAPI on port ${config.agentApiPort}`);
	try {
		return await fetchHistory(config.agentApiPort, config.maxMessages, deadline);
	} catch (error) {
		if (!(error instanceof ShutdownError) || !config.statePersistence || config.stateFile === null)
			throw error;
		log.error(error.message);
		await saved;
		const history = readStateFile(config.stateFile, config.maxMessages);
		log.info(`AgentAPI does not answer, using its state file ${config.stateFile}`);
		return history;
	}
}
async function stopAgentApi(agentApi, deadline, log) {
	log.info(`Sending SIGTERM to AgentAPI (pid ${agentApi.pid})`);
	const failure = sendSignal(agentApi, "SIGTERM");
	if (failure !== null) return log.info(`SIGTERM did not reach AgentAPI: ${failure}`);
	const killReserveMs = Math.min(KILL_RESERVE_MS, deadline.remainingMs() / 2);
	if (await waitUntilGone(agentApi, deadline.reserving(killReserveMs))) return;
	log.info(`Warning: AgentAPI (pid ${agentApi.pid}) ignores SIGTERM and time is up, sending SIGKILL`);
	sendSignal(agentApi, "SIGKILL");
	if (!await waitUntilGone(agentApi, deadline))
		log.error(`AgentAPI (pid ${agentApi.pid}) is still running`);
}

// src/main.ts
var EXIT_RUNTIME_TOO_OLD = 64;
var NODE_MIN_MAJOR = 18;
var STOP_RESERVE_MS = 3e3;
var STOP_RESERVE_SHARE = 0.4;
var EXIT_RESERVE_MS = 300;
async function main() {
	const config = readConfig(process.env);
	const log = openLog(config.logFile, [config.coderToken]);
	const budget = Deadline.in(config.budgetMs - process.uptime() * 1e3 - EXIT_RESERVE_MS);
	const step = async (action, afterFailure) => {
		try {
			return await action();
		} catch (error) {
			log.error(error instanceof ShutdownError ? error.message : String(error.stack));
			if (afterFailure !== void 0) log.info(afterFailure);
			return null;
		}
	};
	log.info("Shutting down AgentAPI");
	for (const fault of config.faults) log.error(fault);
	const agentApi = await step(() => findAgentApi(config, log.info));
	const stopReserveMs = Math.min(STOP_RESERVE_MS, config.budgetMs * STOP_RESERVE_SHARE);
	const beforeStop = budget.reserving(agentApi === null ? 0 : stopReserveMs);
	const saving = agentApi !== null && config.statePersistence ? await step(() => saveState(agentApi, config, beforeStop, log)) : null;
	await step(
		() => captureSnapshot(config, beforeStop, log, saving?.saved),
		"Log snapshot capture failed, continuing shutdown"
	);
	await saving?.saved;
	if (agentApi !== null) await step(() => stopAgentApi(agentApi, budget, log));
	log.info(`Shutdown complete in ${process.uptime().toFixed(1)} s`);
}
if (!process.versions.bun && !process.versions.deno && Number.parseInt(process.versions.node) < NODE_MIN_MAJOR) {
	process.exit(EXIT_RUNTIME_TOO_OLD);
}
void main().then(() => process.exit(0));'

main
