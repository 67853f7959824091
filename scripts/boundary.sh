# Provides the wrapper that runs the AI agent inside a boundary. Part of the start script, see agentapi-start.sh.
# shellcheck shell=sh disable=SC2154 # the variables are set there

set_up_boundary() {
  if [ "$ARG_ENABLE_BOUNDARY" != true ]; then
    export AGENTAPI_BOUNDARY_PREFIX=''
    return 0
  fi
  if [ "$ARG_COMPILE_BOUNDARY_FROM_SOURCE" = true ]; then
    compile_boundary
  elif [ "$ARG_USE_BOUNDARY_DIRECTLY" = true ]; then
    install_boundary
  else
    copy_coder
  fi
  if [ "$ARG_COMPILE_BOUNDARY_FROM_SOURCE" = true ] || [ "$ARG_USE_BOUNDARY_DIRECTLY" = true ]; then
    have boundary || no_boundary 'it was installed, but is not on PATH'
    _command=$(quoted "$(command -v boundary)")
  else
    _command="$(quoted "$module_dir/coder-no-caps") boundary"
  fi
  export AGENTAPI_BOUNDARY_PREFIX="$module_dir/boundary-wrapper.sh"
  write_script "$AGENTAPI_BOUNDARY_PREFIX" "#!/bin/sh
exec $_command -- \"\$@\""
  say "Boundary is on, by $AGENTAPI_BOUNDARY_PREFIX"
}

no_boundary() {
  fail "Boundary cannot be enabled: $1"
}

# One word for a shell, whatever it holds.
quoted() {
  printf "'%s'" "$(printf '%s\n' "$1" | sed "s/'/'\\\\''/g")"
}

# A copy has no file capabilities; with them (CAP_NET_ADMIN), `coder boundary` could not make its network namespace.
copy_coder() {
  have coder || no_boundary 'there is no coder on PATH'
  put '' "$(command -v coder)" "$module_dir/coder-no-caps" ||
    no_boundary "coder cannot be copied to $module_dir/coder-no-caps"
}

# The installer chooses the build for this machine, and calls sudo itself.
install_boundary() {
  say "Installing boundary $ARG_BOUNDARY_VERSION"
  _installer=$module_dir/boundary-install.sh
  download "${BOUNDARY_INSTALL_URL:-https://raw.githubusercontent.com/coder/boundary/main/install.sh}" "$_installer" is_script ||
    no_boundary 'its install script could not be downloaded'
  have bash || no_boundary 'its install script needs bash'
  _target=$bin_dir
  if [ -w "$install_dir" ] || sudo -n true 2>/dev/null; then
    _target=$install_dir
  fi
  INSTALL_DIR="$_target" bash "$_installer" --version "$ARG_BOUNDARY_VERSION" </dev/null ||
    no_boundary 'its install script failed'
  rm -f "$_installer"
}

is_script() {
  case $(head -n 1 "$1") in
    '#!'*) ;;
    *) echo 'what came is no script' >&2 && return 1 ;;
  esac
}

compile_boundary() {
  say "Compiling boundary $ARG_BOUNDARY_VERSION"
  { have git && have make; } || no_boundary 'compiling it needs git and make'
  _sources=$module_dir/boundary
  rm -rf "$_sources"
  git clone -q -- "${BOUNDARY_REPOSITORY_URL:-https://github.com/coder/boundary.git}" "$_sources" </dev/null ||
    no_boundary 'its sources could not be cloned'
  [ "$ARG_BOUNDARY_VERSION" = latest ] || git -C "$_sources" checkout -q "$ARG_BOUNDARY_VERSION" -- ||
    no_boundary "its sources have no $ARG_BOUNDARY_VERSION"
  make -C "$_sources" build </dev/null || no_boundary 'it could not be compiled'
  install_program "$_sources/boundary" boundary
  rm -rf "$_sources"
}
