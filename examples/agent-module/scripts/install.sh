#!/bin/sh
# Installs the agent. This one is a few lines of shell; a real one would come from its vendor.
set -eu

mkdir -p "$HOME/.local/bin"
cat >"$HOME/.local/bin/echo-agent" <<'AGENT'
#!/bin/sh
echo 'Echo agent. Say something.'
while printf '> ' && read -r line; do
  echo "You said: $line"
done
AGENT
chmod +x "$HOME/.local/bin/echo-agent"
