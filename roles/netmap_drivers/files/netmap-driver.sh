#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Puts netmap and the netmap-patched NIC drivers of one kernel into use on this host, with a way back.
#
#   netmap-driver plan     [--management IFACE] [--on-management refuse|reboot] [--stop-appliance] DRIVER...
#   netmap-driver apply    [the same] [--way-back-s SECONDS] DRIVER...
#   netmap-driver confirm  DRIVER...
#   netmap-driver withdraw DRIVER...
#
# plan prints what is and what would be done as JSON and changes nothing. apply installs what the role put into the
# stage (the package of the modules, by apt; this command, what loads the modules at boot and what checks them) and swaps
# the running drivers with a timer armed that withdraws them again; confirm disarms it, once the interfaces are back and
# native. withdraw gives the stock drivers back, for now and for the next boot, and removes the package.
# A module is told by its build ID, which the kernel shows for the running one: Debian's modules carry no srcversion.
# Exit codes: 0 ok, 1 failed, 2 usage, 5 refused as unsafe.
set -euo pipefail
shopt -s nullglob
export LC_ALL=C DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin

release=$(uname -r)
stage=/var/lib/netmap-drivers/$release
installed=/lib/modules/$release/updates/netmap
package=netmap-modules-$(tr 'A-Z_' 'a-z-' <<<"$release")
deb=$stage/netmap-modules.deb
unpacked=$stage/unpacked # what is in it, so that a plan can compare before anything is installed
run=/run/netmap-driver
timer=netmap-driver-way-back
self=/usr/local/sbin/netmap-driver
management='' on_management=refuse stop_appliance='' way_back_s=120
drivers=() actions=() unsafe=() deferred=() swap=()

die() {
    local code=$1
    shift
    printf 'netmap-driver: %s\n' "$*" >&2
    exit "$code"
}

# ---- what is: read_* from the host

read_file_id() { # FILE -> build ID in hex; an ELF note: name size 4, value size 20, type 3, "GNU\0" (System V gABI)
    local at=
    if [ -r "$1" ]; then
        at=$(grep -obUaP '\x04\x00\x00\x00\x14\x00\x00\x00\x03\x00\x00\x00GNU\x00' "$1" | head -n 1 | cut -d : -f 1) || true
    fi
    if [ -n "$at" ]; then od -An -v -tx1 -j $((at + 16)) -N 20 "$1" | tr -d ' \n'; fi
}

read_loaded_id() { # MODULE -> build ID of the running module, nothing when it is not loaded
    local note=/sys/module/$1/notes/.note.gnu.build-id
    if [ -r "$note" ]; then od -An -v -tx1 -j 16 "$note" | tr -d ' \n'; fi
}

is_loaded() { [ -d "/sys/module/$1/sections" ] || [ -r "/sys/module/$1/refcnt" ]; }

wanted_file() { # MODULE -> the staged file, or what is installed where nothing is staged (confirm after a clean-up)
    if [ -r "$unpacked$installed/$1.ko" ]; then echo "$unpacked$installed/$1.ko"; else echo "$installed/$1.ko"; fi
}

is_current() { # the running module is the wanted file
    local wanted
    wanted=$(read_file_id "$(wanted_file "$1")")
    [ -n "$wanted" ] && [ "$wanted" = "$(read_loaded_id "$1")" ]
}

destination() { # FILE of the stage -> where it goes
    case $1 in
        netmap-driver) echo "$self" ;;
        modules-load.conf) echo /etc/modules-load.d/netmap-drivers.conf ;;
        modprobe.conf) echo /etc/modprobe.d/netmap-drivers.conf ;;
        check.service | check.timer) echo "/etc/systemd/system/netmap-drivers-$1" ;;
        apt.conf) echo /etc/apt/apt.conf.d/80netmap-drivers ;;
    esac
}

staged_files() { printf '%s\n' netmap-driver modules-load.conf modprobe.conf check.service check.timer apt.conf; }

is_installed() { cmp -s "$stage/$1" "$(destination "$1")"; }

is_package_known() { [ "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null)" = "install ok installed" ]; }

is_package_installed() { # by dpkg, from the staged file, and every file of it as it was
    local name
    is_package_known || return 1
    for name in netmap.ko "${drivers[@]/%/.ko}" manifest.json; do
        cmp -s "$unpacked$installed/$name" "$installed/$name" || return 1
    done
}

is_first() { # modprobe takes our file and no other
    [ "$(readlink -f "$(modinfo -n "$1" 2>/dev/null)")" = "$(readlink -f "$installed/$1.ko")" ]
}

is_indexed() {
    local name
    for name in netmap "${drivers[@]}"; do is_first "$name" || return 1; done
}

is_native() { # running, from our folder, holding netmap
    is_current "$1" && [ -e "/sys/module/netmap/holders/$1" ] && is_first "$1"
}

read_interfaces() { # DRIVER -> its interfaces, one a line
    local link
    for link in /sys/class/net/*/device/driver/module; do
        if [ "$(basename "$(readlink -f "$link")")" = "$1" ]; then
            link=${link#/sys/class/net/}
            echo "${link%%/*}"
        fi
    done
}

read_lower() { # IFACE -> itself and everything below a bridge, bond or VLAN
    local lower
    echo "$1"
    for lower in "/sys/class/net/$1"/lower_*; do read_lower "${lower##*/lower_}"; done
}

# Whoever came in by ssh must get out again, whatever the routing table says; so sshd's own addresses always count.
read_management() {
    local interface address
    {
        if [ -n "$management" ]; then
            echo "$management"
        else
            { ip -o -4 route show default; ip -o -6 route show default; } | grep -o ' dev [^ ]*' | cut -d ' ' -f 3 || true
        fi
        ss -Htnp state established | grep '"sshd' | awk '{print $3}' |
            sed -e 's/:[0-9]*$//' -e 's/^\[\(::ffff:\)\{0,1\}//' -e 's/\]$//' -e 's/%.*//' | sort -u |
            while read -r address; do ip -o addr show to "$address" | awk '{print $2}'; done || true
    } | sort -u | while read -r interface; do read_lower "$interface"; done | sort -u
}

read_netmap_users() { # open netmap files: each holds the module, and so does each patched driver
    local holders=(/sys/module/netmap/holders/*)
    if is_loaded netmap; then echo $(($(cat /sys/module/netmap/refcnt) - ${#holders[@]})); else echo 0; fi
}

read_in_use() { # DRIVER -> why it cannot be taken away now, nothing when it can
    local interface upper users
    is_loaded "$1" || return 0
    users=$(read_netmap_users)
    if [ "$users" -gt 0 ]; then
        echo "$users netmap port(s) are open"
    fi
    for interface in $(read_interfaces "$1"); do
        if ip -d -o link show dev "$interface" | grep -qE ' xdp|/xdp'; then echo "$interface has an XDP program"; fi
        for upper in "/sys/class/net/$interface"/upper_*; do echo "$interface is part of ${upper##*/upper_}"; done
    done
}

# ---- what to do: plan_* fills actions, unsafe, deferred, swap

plan_install() {
    local name
    is_package_installed || actions+=("install the package $package")
    for name in $(staged_files); do
        is_installed "$name" || actions+=("install $(destination "$name")")
    done
    if [ "${#actions[@]}" -eq 0 ] && ! is_indexed; then actions+=("index the installed modules"); fi
}

plan_swap() {
    local name holder in_use carried
    for name in "${drivers[@]}"; do is_current "$name" || swap+=("$name"); done
    if is_loaded netmap && ! is_current netmap; then
        swap=("${drivers[@]}")
        for holder in /sys/module/netmap/holders/*; do
            [[ " ${drivers[*]} " == *" ${holder##*/} "* ]] ||
                unsafe+=("netmap is to be replaced, but driver ${holder##*/} holds it and was not asked for; name it too")
        done
        actions+=("replace the running netmap")
    elif ! is_loaded netmap; then
        actions+=("load netmap")
    fi
    [ "${#swap[@]}" -gt 0 ] || return 0
    carried=$(read_management)
    for name in "${swap[@]}"; do
        plan_one_swap "$name" "$carried"
        in_use=$(read_in_use "$name" | paste -s -d , | sed 's/,/, /g')
        if [ -n "$in_use" ] && [ -z "$stop_appliance" ]; then
            unsafe+=("driver $name is in use: $in_use; stop what uses it, or allow the appliance to be stopped")
        fi
    done
    if [ "${#deferred[@]}" -gt 0 ]; then swap=(); fi
}

plan_one_swap() { # DRIVER CARRIED: the interfaces that carry the management connection
    local interface
    for interface in $(read_interfaces "$1"); do
        grep -qxF "$interface" <<<"$2" || continue
        if [ "$on_management" = reboot ]; then
            deferred+=("driver $1 carries the management interface $interface: it is taken into use at the next boot")
            return 0
        fi
        unsafe+=("driver $1 carries the management interface $interface: it cannot be swapped under the connection; move management to another interface, or allow a reboot")
    done
    actions+=("swap the running driver $1")
}

plan_all() {
    plan_install
    plan_swap
    if systemctl is-active --quiet "$timer.timer"; then actions+=("confirm what an interrupted run left unconfirmed"); fi
}

# ---- print it

json_text() {
    local text=${1//\\/\\\\}
    printf '"%s"' "${text//\"/\\\"}"
}

json_list() {
    local separator='' item
    printf '['
    for item in "$@"; do printf '%s' "$separator" && json_text "$item" && separator=', '; done
    printf ']'
}

yes_no() { if "$@"; then printf true; else printf false; fi; }

print_plan() {
    local name separator='' interfaces
    printf '{"release": "%s",\n "staged": {' "$release"
    for name in $(staged_files) netmap-modules.deb; do
        [ -r "$stage/$name" ] || continue
        [ "$name" != netmap-modules.deb ] || [ -d "$unpacked" ] || continue
        printf '%s"%s": "%s"' "$separator" "$name" "$(sha256sum <"$stage/$name" | cut -d ' ' -f 1)"
        separator=', '
    done
    separator=''
    printf '},\n "way_back_armed": %s, "netmap": {"loaded": %s, "current": %s, "users": %d},\n "drivers": [' \
        "$(yes_no systemctl is-active --quiet "$timer.timer")" "$(yes_no is_loaded netmap)" \
        "$(yes_no is_current netmap)" "$(read_netmap_users)"
    for name in "${drivers[@]}"; do
        mapfile -t interfaces < <(read_interfaces "$name")
        printf '%s\n  {"name": "%s", "loaded": %s, "current": %s, "native": %s, "interfaces": %s}' "$separator" "$name" \
            "$(yes_no is_loaded "$name")" "$(yes_no is_current "$name")" "$(yes_no is_native "$name")" \
            "$(json_list "${interfaces[@]}")"
        separator=','
    done
    printf '],\n "actions": %s,\n "unsafe": %s,\n "deferred": %s}\n' \
        "$(json_list "${actions[@]}")" "$(json_list "${unsafe[@]}")" "$(json_list "${deferred[@]}")"
}

# ---- do it

apply_install() {
    local name
    for name in $(staged_files); do
        [ -r "$stage/$name" ] || die 1 "$stage/$name is missing: the role puts it there; run playbooks/drivers.yml"
        [ "$name" != apt.conf ] || continue # it looks at what the others have put in place: last
        is_installed "$name" || install -D -m "$(stat -c %a "$stage/$name")" "$stage/$name" "$(destination "$name")"
    done
    is_package_installed || apply_package
    is_indexed || depmod "$release"
    is_indexed || die 1 "modprobe would take $(modinfo -n netmap "${drivers[@]}" | grep -v "^$installed/" | paste -s -d ' '), wanted the files in $installed; remove what overrides them (see depmod.d(5))"
    is_installed apt.conf || install -D -m 644 "$stage/apt.conf" "$(destination apt.conf)"
    if ! systemctl is-enabled --quiet netmap-drivers-check.timer; then
        systemctl daemon-reload
        systemctl enable --quiet --now netmap-drivers-check.timer
    fi
}

run_apt() { # whoever else installs something just now is waited for
    apt-get -q -y -o DPkg::Lock::Timeout=120 -o Dpkg::Options::=--force-confold "$@" >&2
}

apply_package() { # its scripts index the modules, and make an initramfs again that carries a driver
    [ -r "$deb" ] || die 1 "$deb is missing: the role puts it there; run playbooks/drivers.yml"
    run_apt --reinstall --allow-downgrades install "$deb" || die 1 "apt-get could not install $deb; see above"
}

remove_package() { # DRIVER...: the package goes; what these drivers need stays until the package is installed again
    local name aside
    is_package_known || return 0
    aside=$(mktemp -d "$run/kept-XXXXXX")
    for name in "$@"; do cp -p "$installed/netmap.ko" "$installed/$name.ko" "$aside/"; done
    run_apt remove "$package" || echo "netmap-driver: the package $package is not removed; run apt-get remove $package" >&2
    if [ $# -gt 0 ]; then
        mkdir -p "$installed"
        cp -p "$aside"/*.ko "$installed/"
        depmod "$release"
    fi
    rm -rf "$aside"
}

save_interfaces() { # DRIVER...: name, MTU, up or down, permanent addresses; a module takes them with it
    local name interface
    mkdir -p "$run"
    for name in "$@"; do
        for interface in $(read_interfaces "$name"); do
            printf '%s %s %s %s\n' "$interface" "$(cat "/sys/class/net/$interface/mtu")" \
                "$(if (($(cat "/sys/class/net/$interface/flags") & 1)); then echo up; else echo down; fi)" \
                "$(ip -o addr show dev "$interface" scope global permanent | awk '{printf "%s ", $4}')"
        done
    done >"$run/interfaces"
}

restore_interfaces() { # waits at most 30 s for udev's names
    local interface mtu state addresses address deadline=$((SECONDS + 30))
    [ -r "$run/interfaces" ] || return 0
    udevadm settle --timeout=30 || true
    while read -r interface mtu state addresses; do
        until [ -e "/sys/class/net/$interface" ]; do
            [ "$SECONDS" -lt "$deadline" ] || return 1
            sleep 0.2
        done
        ip link set dev "$interface" mtu "$mtu" "$state" || return 1
        for address in $addresses; do ip addr replace "$address" dev "$interface" || return 1; done
    done <"$run/interfaces"
}

arm_way_back() {
    systemctl stop "$timer.timer" 2>/dev/null || true
    systemctl reset-failed "$timer.service" "$timer.timer" 2>/dev/null || true
    systemd-run --quiet --unit="$timer" --on-active="${way_back_s}s" --timer-property=AccuracySec=1s \
        "$self" withdraw --way-back "${swap[@]}"
}

check_signature() { # before the stock driver is gone
    local name
    [ "$(cat /sys/module/module/parameters/sig_enforce 2>/dev/null || echo N)" = Y ] || return 0
    for name in netmap "${swap[@]}"; do
        [ -n "$(modinfo -F signer "$installed/$name.ko")" ] ||
            die 5 "the kernel loads signed modules only and $name.ko carries no signature; sign the artifacts with a key of this host"
    done
}

replace_modules() { # called in a condition, where set -e is off: every step says what it returns
    local name
    for name in "${swap[@]}"; do
        if is_loaded "$name"; then rmmod "$name" || return 1; fi
    done
    if is_loaded netmap && ! is_current netmap; then rmmod netmap || return 1; fi
    modprobe netmap || return 1
    for name in "${swap[@]}"; do modprobe "$name" || return 1; done
    restore_interfaces || return 1
    for name in "${swap[@]}"; do is_native "$name" || return 1; done
}

apply_swap() {
    local name reason
    check_signature
    for name in "${swap[@]}"; do
        reason=$(read_in_use "$name" | head -n 1)
        if [ -n "$reason" ] && systemctl is-active --quiet appliance.service; then
            touch "$run/start-appliance" # by confirm, or by the way back
            systemctl stop appliance.service
            reason=$(read_in_use "$name" | head -n 1)
        fi
        [ -z "$reason" ] || { start_appliance && die 5 "driver $name is in use: $reason; stop what uses it"; }
    done
    arm_way_back
    save_interfaces "${swap[@]}"
    if ! replace_modules; then
        apply_withdraw "${swap[@]}"
        die 1 "swapping ${swap[*]} failed, the stock drivers are back: $(dmesg 2>/dev/null | tail -n 3 | paste -s -d '|')"
    fi
}

start_appliance() { # where apply stopped it
    if [ -e "$run/start-appliance" ]; then systemctl start --no-block appliance.service; fi
    rm -f "$run/start-appliance"
}

apply_all() {
    plan_all
    [ "${#unsafe[@]}" -eq 0 ] || die 5 "$(printf '%s. ' "${unsafe[@]}")"
    apply_install
    if [ "${#swap[@]}" -gt 0 ]; then
        apply_swap
    elif [ "${#deferred[@]}" -eq 0 ] && ! is_loaded netmap; then
        modprobe netmap
    fi
    [ "${#actions[@]}" -eq 0 ] || printf 'changed: %s\n' "${actions[@]}"
    [ "${#deferred[@]}" -eq 0 ] || printf 'deferred: %s\n' "${deferred[@]}"
}

apply_confirm() {
    local name interface state rest
    for name in "${drivers[@]}"; do
        if is_loaded "$name" && ! is_native "$name" && ! is_deferred "$name"; then
            die 1 "driver $name is loaded from elsewhere than $installed, or without netmap: the way back was taken; see journalctl -u $timer"
        fi
    done
    if [ -r "$run/interfaces" ]; then
        while read -r interface _ state rest; do
            [ -e "/sys/class/net/$interface" ] || die 1 "interface $interface has not come back; the way back stays armed"
            [ "$state" = down ] || (($(cat "/sys/class/net/$interface/flags") & 1)) ||
                die 1 "interface $interface is down, it was up before; the way back stays armed"
        done <"$run/interfaces"
    fi
    systemctl stop "$timer.timer" 2>/dev/null || true
    rm -f "$run/interfaces"
    start_appliance
}

is_deferred() { [ "$on_management" = reboot ] && ! is_current "$1"; }

apply_withdraw() { # DRIVER...: first the network, then the package, which takes longer
    local name patched=() kept=()
    systemctl stop "$timer.timer" 2>/dev/null || true
    for name in "$@"; do
        if [ -e "/sys/module/netmap/holders/$name" ]; then patched+=("$name"); fi
        rm -f "$installed/$name.ko"
    done
    for name in "$installed"/*.ko; do
        name=$(basename "$name" .ko)
        if [ "$name" != netmap ]; then kept+=("$name"); fi
    done
    if [ "${#kept[@]}" -eq 0 ]; then remove_settings; fi
    depmod "$release"
    [ -r "$run/interfaces" ] || save_interfaces "${patched[@]}"
    for name in "${patched[@]}"; do rmmod "$name" || echo "netmap-driver: $name stays loaded until the next boot" >&2; done
    for name in "$@"; do modprobe "$name" || true; done
    restore_interfaces || echo "netmap-driver: an interface has not come back within 30 s" >&2
    rm -f "$run/interfaces"
    if is_loaded netmap && [ "$(cat /sys/module/netmap/refcnt)" -eq 0 ]; then rmmod netmap || true; fi
    remove_package "${kept[@]}"
    start_appliance
    printf 'changed: %s is the stock driver\n' "$@"
}

remove_settings() { # no driver of ours is left: nothing loads netmap, nothing looks for it
    rm -rf "$installed"
    systemctl disable --quiet --now netmap-drivers-check.timer 2>/dev/null || true
    rm -f /etc/modules-load.d/netmap-drivers.conf /etc/modprobe.d/netmap-drivers.conf \
        /etc/systemd/system/netmap-drivers-check.{service,timer} /etc/apt/apt.conf.d/80netmap-drivers
}

withdraw_checked() {
    local name interface found='' carried in_use
    carried=$(read_management)
    for name in "${drivers[@]}"; do
        if [ -e "$installed/$name.ko" ] || [ -e "/sys/module/netmap/holders/$name" ]; then found=yes; fi
        [ -e "/sys/module/netmap/holders/$name" ] || continue
        in_use=$(read_in_use "$name" | head -n 1)
        [ -z "$in_use" ] || die 5 "driver $name is in use: $in_use; stop what uses it"
        for interface in $(read_interfaces "$name"); do
            grep -qxF "$interface" <<<"$carried" || continue
            die 5 "driver $name carries the management interface $interface; run apt-get remove $package and boot"
        done
    done
    if is_package_known; then found=yes; fi
    if [ -n "$found" ]; then apply_withdraw "${drivers[@]}"; fi
}

# ---- command line

verb=${1-}
way_back=''
[ $# -eq 0 ] || shift
while [ $# -gt 0 ]; do
    case $1 in
        --management) management=$2 && shift 2 ;;
        --on-management) on_management=$2 && shift 2 ;;
        --stop-appliance) stop_appliance=yes && shift ;;
        --way-back-s) way_back_s=$2 && shift 2 ;;
        --way-back) way_back=yes && shift ;;
        --*) die 2 "unknown option $1" ;;
        *) drivers+=("$1") && shift ;;
    esac
done
[ "${#drivers[@]}" -gt 0 ] || die 2 "name at least one driver: netmap-driver plan|apply|confirm|withdraw DRIVER..."
case $on_management in refuse | reboot) ;; *) die 2 "--on-management is refuse or reboot, not $on_management" ;; esac

if [ "$verb" != plan ]; then
    mkdir -p "$run"
    exec 9>"$run/lock"
    flock -w 30 9 || [ -n "$way_back" ] || die 5 "another netmap-driver is at work"
fi
case $verb in
    plan) plan_all && print_plan ;;
    apply) apply_all ;;
    confirm) apply_confirm ;;
    withdraw) if [ -n "$way_back" ]; then apply_withdraw "${drivers[@]}"; else withdraw_checked; fi ;;
    *) die 2 "unknown verb '$verb': plan, apply, confirm or withdraw" ;;
esac
