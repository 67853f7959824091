# Who serves AgentAPI's port, and whom the PID file names. Part of the start script, see agentapi-start.sh.
# shellcheck shell=sh disable=SC2154 # the variables are set there

# The last one found is asked: curl is the fastest and knows the most.
find_http_client() {
  http_client=none
  for _client in deno bun node wget curl; do
    ! have "$_client" || http_client=$_client
  done
}

# Prints what GET /status answers. Returns 0 only for status 200. Where there is nothing to ask with, a listener counts.
get_status() {
  if [ "$http_client" = none ]; then
    [ -n "$(listening_socket)" ]
  else
    # Which of them "localhost" means is up to AgentAPI.
    ask 127.0.0.1 || ask ::1
  fi
}

# Loopback never goes through a proxy. AgentAPI accepts the Host header localhost:PORT whatever its settings.
ask() (
  unset http_proxy HTTP_PROXY all_proxy ALL_PROXY NODE_USE_ENV_PROXY NODE_OPTIONS BUN_OPTIONS
  _url=http://$1:$port/status
  [ "$1" != ::1 ] || _url="http://[::1]:$port/status"
  case $http_client in
    curl)
      _answer=$(curl -q -s -g --noproxy '*' --max-time 2 -H "Host: localhost:$port" -w ' %{http_code}' "$_url")
      [ "${_answer##* }" = 200 ] && printf '%s\n' "${_answer% *}"
      ;;
    wget)
      case $(wget --help 2>&1) in
        *--no-proxy*) set -- --no-proxy --max-redirect=0 -t 1 -T 2 ;;
        *' -T '*) set -- -T 2 ;;
        *) set -- ;;
      esac
      wget -q -O - --header "Host: localhost:$port" "$@" "$_url" 2>/dev/null
      ;;
    *)
      _option=-e
      [ "$http_client" != deno ] || _option='eval'
      "$http_client" "$_option" "import('node:http').then(({ get }) => get(
        { host: '$1', port: $port, path: '/status', headers: { host: 'localhost:$port' }, timeout: 2000 },
        (answer) => {
          answer.on('data', (chunk) => process.stdout.write(chunk));
          answer.on('end', () => { process.exitCode = answer.statusCode === 200 ? 0 : 1; });
        },
      ).on('timeout', () => process.exit(1)).on('error', () => process.exit(1)))" 2>/dev/null
      ;;
  esac
)

# Prints the inode of the socket that listens on the port, on loopback or on every address. Nothing outside Linux.
listening_socket() {
  cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v port="$(printf '%04X' "$port")" '
    $4 == "0A" && split($2, local, ":") && local[2] == port &&
      local[1] ~ /^(0+|0100007F|0+1000000|0+FFFF00000100007F)$/ { print $10; exit }' # 0A is LISTEN
}

# Prints the process that listens on the port, if the system tells us.
listening_pid() {
  _socket=$(listening_socket)
  [ -n "$_socket" ] || return 0
  # shellcheck disable=SC2012 # find prints no links in POSIX
  ls -l /proc/[0-9]*/fd 2>/dev/null | awk -v socket="socket:[$_socket]" '
    /^\/proc\// { split($0, folder, "/") }
    $NF == socket { print folder[3]; exit }'
}

# Prints the name of the process's program; nothing when there is no such process.
program_of() {
  if [ -d /proc/self ]; then
    _program=$(readlink "/proc/$1/exe" 2>/dev/null)
  else
    _program=$(ps -o comm= -p "$1" 2>/dev/null)
  fi
  _program=${_program% (deleted)}
  printf '%s\n' "${_program##*/}"
}

# Prints which PID file the process was told to write when it was started. That tells one module's AgentAPI from
# another's: PIDs repeat in every new container, so a number alone tells nothing.
pid_file_of() {
  { tr '\0' '\n' <"/proc/$1/environ" | sed -n 's/^AGENTAPI_PID_FILE=//p'; } 2>/dev/null
}

# Returns 0 when this module's AgentAPI serves the port already, 1 when the port is free; fails when it is taken.
port_is_served() {
  _answer=$(get_status) || _answer=
  _pid=$(listening_pid)
  [ -n "$_answer$(listening_socket)" ] || return 1
  is_agentapi "$_answer" "$_pid" ||
    fail "port $port is already in use by something that is not AgentAPI${_pid:+ ($(program_of "$_pid"), process $_pid)}. End it, or set agentapi_port to another port."
  case $(pid_file_of "$_pid") in
    '' | "$pid_file") return 0 ;; # no answer where the system does not tell
  esac
  fail "port $port is already in use by another module's AgentAPI (process $_pid). Set agentapi_port of one of them to another port."
}

is_agentapi() {
  case $1 in
    *'"status"'*'"stable"'* | *'"status"'*'"running"'*) return 0 ;;
  esac
  [ "$http_client" = none ] || return 1
  case $(program_of "$2") in
    agentapi*) return 0 ;;
  esac
  return 1
}

# AgentAPI refuses to start when the number in its PID file belongs to any live process. After a container was killed,
# the file is still there and the number may be anybody's.
check_pid_file() {
  [ -e "$pid_file" ] || [ -h "$pid_file" ] || return 0
  [ -f "$pid_file" ] || [ -h "$pid_file" ] || fail "the PID file $pid_file is no regular file; remove it or set pid_file_path"
  _pid=$(head -n 1 "$pid_file" 2>/dev/null)
  case $_pid in
    '' | *[!0-9]*) say "Removing the PID file $pid_file, which holds no process number" ;;
    *)
      case $(program_of "$_pid") in
        agentapi*)
          case $(pid_file_of "$_pid") in
            '' | "$pid_file")
              warn "AgentAPI runs already (process $_pid), but does not serve port $port"
              return 0
              ;;
          esac
          ;;
      esac
      say "Removing the PID file $pid_file: process $_pid is not this module's AgentAPI"
      ;;
  esac
  rm -f "$pid_file" || fail "the PID file $pid_file cannot be removed"
}
