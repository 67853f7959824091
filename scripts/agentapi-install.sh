# Installs the release of AgentAPI that the module asks for. Part of the start script, see agentapi-start.sh.
# shellcheck shell=sh disable=SC2154 # the variables are set there

install_agentapi() {
  _installed=$(version_of agentapi)
  if [ -n "$_installed" ] && [ "$_installed" = "${ARG_AGENTAPI_VERSION#v}" ]; then
    say "AgentAPI $_installed is installed already"
    return 0
  fi
  find_asset
  _path=download/$ARG_AGENTAPI_VERSION
  [ "$ARG_AGENTAPI_VERSION" != latest ] || _path=latest/download
  say "Downloading AgentAPI $ARG_AGENTAPI_VERSION ($asset)"
  if download "${AGENTAPI_RELEASES_URL:-https://github.com/coder/agentapi/releases}/$_path/$asset" "$module_dir/agentapi.download" is_program; then
    install_program "$module_dir/agentapi.download" agentapi
  elif [ "$ARG_AGENTAPI_VERSION" = latest ] && [ -n "$_installed" ]; then
    warn "the latest AgentAPI could not be downloaded; going on with the installed version $_installed"
  else
    fail "AgentAPI $ARG_AGENTAPI_VERSION could not be downloaded${_installed:+; the installed version is $_installed}"
  fi
}

find_asset() {
  case $(uname -s) in
    Linux) asset=agentapi-linux ;;
    Darwin) asset=agentapi-darwin ;;
    *) fail "there is no AgentAPI for the operating system $(uname -s), only for Linux and Darwin" ;;
  esac
  case $(uname -m) in
    x86_64 | amd64) asset=$asset-amd64 ;;
    aarch64 | arm64) asset=$asset-arm64 ;;
    *) fail "there is no AgentAPI for the architecture $(uname -m), only for x86_64 (amd64) and aarch64 (arm64)" ;;
  esac
}

# version_of COMMAND: prints the X.Y.Z in what it says of its version, else all of that; nothing when it does not run.
version_of() {
  _text=$("$1" --version </dev/null 2>/dev/null) || return 0
  _number=$(printf '%s\n' "$_text" | sed -n 's/^[^0-9]*\([0-9][0-9]*\.[0-9][0-9]*\.[0-9][^ ]*\).*/\1/p')
  printf '%s\n' "${_number:-$_text}"
}

# download URL FILE CHECK: returns 0 once the function CHECK accepts the FILE.
download() {
  for _wait in 0 ${AGENTAPI_DOWNLOAD_WAITS:-1 2 4 8}; do
    [ "$_wait" = 0 ] || say "Trying again in $_wait s"
    sleep "$_wait"
    rm -f "$2"
    if _message=$( (umask 077 && fetch "$1" "$2" && "$3" "$2") 2>&1); then
      return 0
    fi
    rm -f "$2"
    warn "the download failed: $(printf '%s\n' "$_message" | tail -n 1)"
    case $_message in
      # The words of curl, GNU wget and busybox wget for what another try can't mend.
      *'error: 404'* | *'ERROR 404'* | *' 404 Not Found'* | *'neither curl nor wget'*) return 1 ;;
    esac
  done
  return 1
}

fetch() {
  if have curl; then
    # A stalled transfer ends as well: below 1 KiB/s for 30 s.
    curl -fsSL --connect-timeout 10 --speed-limit 1024 --speed-time 30 -o "$2" --url "$1"
  elif have wget; then
    case $(wget --help 2>&1) in
      *--no-proxy*) wget -nv -t 1 -T 30 -O "$2" "$1" ;;
      *' -T '*) wget -q -T 30 -O "$2" "$1" ;;
      *) wget -q -O "$2" "$1" ;; # busybox can be built without timeouts
    esac
  else
    echo 'there is neither curl nor wget' >&2
    return 1
  fi
}

# A page of a login portal is no program, and neither is half a program.
is_program() {
  case $(od -An -tx1 -N4 "$1" | tr -d ' \n') in
    7f454c46 | cffaedfe | cafebabe | 2321* | '') ;; # ELF, Mach-O (one architecture, several), #!, and there is no od
    *) echo 'what came is no program' >&2 && return 1 ;;
  esac
  chmod 700 "$1"
  [ -n "$(version_of "$1")" ] || { echo 'what came does not run here' >&2 && return 1; }
}

# install_program FILE NAME: into the folder for all users when we may, else into the module's own.
install_program() {
  if put '' "$1" "$install_dir/$2" || put 'sudo -n' "$1" "$install_dir/$2"; then
    rm -f "$bin_dir/$2"
    _place=$install_dir/$2
    # Another one may come earlier on PATH, or the folder may not be on it.
    [ "$(command -v "$2")" = "$_place" ] || ln -s "$_place" "$bin_dir/$2"
  else
    put '' "$1" "$bin_dir/$2" || fail "$2 can be written neither to $install_dir nor to $bin_dir"
    _place=$bin_dir/$2
  fi
  rm -f "$1"
  say "Installed $_place"
}

# put COMMAND FILE TARGET: copies, by way of COMMAND (nothing or sudo), beside the target and renames, so that a program
# that runs is never written to and a full disk leaves the old one.
put() {
  # shellcheck disable=SC2086 # words on purpose
  $1 cp "$2" "$3.new" && $1 chmod 755 "$3.new" && $1 mv -f "$3.new" "$3" && return 0
  # shellcheck disable=SC2086
  $1 rm -f "$3.new"
  return 1
} 2>/dev/null
