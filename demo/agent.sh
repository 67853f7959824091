#!/bin/sh
# A terminal agent with few words: enough of a conversation partner to have something worth saving.

echo 'Hello, I am a scripted agent. Ask me to plan or to test.'
while printf '> ' && read -r line; do
  sleep 0.3
  case $line in
    *plan*) echo 'Plan: 1. read the failing test. 2. mend the parser. 3. run all tests again.' ;;
    *test*) echo 'All 12 tests pass. The parser now accepts empty lines.' ;;
    *) echo "I did not understand: $line" ;;
  esac
done
