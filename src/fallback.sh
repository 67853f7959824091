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
