#!/bin/sh
# Debian keeps the venv module in a package of its own: install it when we may, say how when not.
set -eu
python=$1 folder=$2
rm -rf "$folder"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -q >/dev/null && apt-get install -y -q python3-venv >/dev/null
    exec "$python" -m venv "$folder"
fi
echo "error: $python has no venv module; install it: sudo apt-get install python3-venv" >&2
exit 1
