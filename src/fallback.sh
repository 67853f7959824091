# Without a JavaScript runtime.

fallback() {
  echo 'Error: no JavaScript runtime on PATH (node >= 18, bun or deno); install one to save log snapshots' >&2
  echo 'Log snapshot capture failed, continuing shutdown'
  echo 'Shutdown complete'
}
