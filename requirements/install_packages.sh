#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# install_packages.sh LIST…: install what is missing of the Debian packages in the lists.
# Prints nothing and needs neither root nor network where nothing is missing.
set -eu

wanted=$(sed '/^#/d' "$@" | sort -u)
installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p')
missing=$(echo "$wanted" | grep -vxF "$installed" | tr '\n' ' ' || true)
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "missing Debian packages: not root, so not installed; run: sudo apt-get install --no-install-recommends $missing" >&2
    exit 1
fi
echo "installing Debian packages: $missing"
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
# shellcheck disable=SC2086 # the list is meant to be split
apt-get -qq install -y --no-install-recommends $missing >/dev/null
