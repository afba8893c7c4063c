#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# look.sh VENV COMMAND: what is installed on this host, as JSON. Changes nothing.
# Release: the directory the link VENV leads to, nothing when its installation was not completed.
set -eu
venv=$1 command=$2
release=$(dirname "$(readlink "$venv" || echo /none/venv)")
[ -e "$release/complete" ] || release=''
daemon=$(systemctl show --property MainPID --value appliance.service 2>/dev/null || echo 0)
# The interpreter's path, which is in its release's directory.
running=$(tr '\0' '\n' 2>/dev/null <"/proc/$daemon/cmdline" | head -n 1 || true)
printf '{"release": "%s",\n "command": "%s",\n "running": "%s",\n "packages": {' \
    "${release##*/}" "$(readlink "$command" || true)" "${running%/venv/bin/*}"
dpkg-query --show --showformat='${db:Status-Status} ${Package} ${Version}\n' |
    awk '$1 == "installed" { printf "%s\"%s\": \"%s\"", separator, $2, $3; separator = ", " }'
printf '}}\n'
