#!/bin/sh
# Starts AgentAPI with the agent: $1 is always "true", $2 the port.
set -eu

if [ -n "${AGENTAPI_BOUNDARY_PREFIX:-}" ]; then
  exec agentapi server --type=custom --port "$2" -- "$AGENTAPI_BOUNDARY_PREFIX" "$HOME/.local/bin/echo-agent"
fi
exec agentapi server --type=custom --port "$2" -- "$HOME/.local/bin/echo-agent"
