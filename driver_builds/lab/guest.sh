#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# The test guest's first process. What it finds goes to the kernel log, in line with what the kernel says, as
#     driver-builds|SUBJECT|STEP|ok or failed or says|TEXT
# scenario.py appends the calls of test_* and finish.

/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
echo on >/proc/sys/kernel/printk_devkmsg
echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
subject=guest

say() {
    echo "driver-builds|$subject|$1|$2|$3" >/dev/kmsg
}

# attempt STEP COMMAND...: what it prints, and how it ended; its last line is the reason when it failed.
attempt() {
    step=$1
    shift
    timeout -s KILL 120 "$@" >/tmp/said 2>&1
    status=$?
    while read -r line; do say "$step" says "$line"; done </tmp/said
    if [ $status = 0 ]; then say "$step" ok; else say "$step" failed "$(tail -n 1 /tmp/said) (status $status)"; fi
    return $status
}

# A kernel that has crashed once proves nothing afterwards: the host boots the rest anew. A driver that failed
# half way goes, if it can, so that the next one finds what it expects.
end() {
    say end ok
    if [ "$subject" != netmap ] && [ -d "/sys/module/$subject" ]; then timeout -s KILL 20 rmmod "$subject"; fi
    if dmesg | grep -qE 'Oops|BUG:|general protection|kernel panic|RCU read-side|rcu_preempt detected'; then finish; fi
    subject=guest
}

finish() {
    subject=guest
    say finish ok
    sleep 1
    poweroff -f
}

load_needed() {
    for needed in "$@"; do
        [ -d "/sys/module/$(echo "$needed" | tr - _)" ] || attempt load-needed insmod "/modules/$needed.ko" || return 1
    done
}

test_netmap() {
    subject=netmap
    say begin ok
    attempt load insmod /modules/netmap.ko buf_num=20480 && attempt move exercise both vale0:a vale0:b 2000
    end
}

# unload_netmap: the last thing in a guest, unless a driver that failed still holds it.
unload_netmap() {
    [ -n "$(ls /sys/module/netmap/holders)" ] && return
    subject=netmap
    attempt unload rmmod netmap
    subject=guest
}

# test_loading DRIVER [NEEDED...]: no hardware here; it resolves its symbols, loads and goes again, twice.
test_loading() {
    subject=$1
    shift
    say begin ok
    load_needed "$@" &&
        attempt load insmod "/modules/$subject.ko" && attempt unload rmmod "$subject" &&
        attempt load insmod "/modules/$subject.ko" && attempt unload rmmod "$subject"
    end
}

# Loaded six times in all, so reloaded five times.
# test_moving DRIVER PORTS [NEEDED...]: PORTS is how its two ports come to be: mac:PREFIX, or veth.
test_moving() {
    subject=$1
    ports=$2
    shift 2
    say begin ok
    load_needed "$@" && reload_and_move && close_while_busy && remove_while_open
    end
}

load_and_find() {
    attempt load insmod "/modules/$subject.ko" || return 1
    case $ports in
    mac:*) find_ports "${ports#mac:}" ;;
    veth) attempt link ip link add name end0 type veth && one=end0 && other=veth0 ;;
    esac
    if [ -z "$one" ] || [ -z "$other" ]; then
        say ports failed "the driver made no two ports; interfaces: $(echo /sys/class/net/*)"
        return 1
    fi
    attempt up ip link set "$one" up promisc on && attempt up ip link set "$other" up promisc on
}

find_ports() {
    one=
    other=
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        for port in /sys/class/net/*; do
            case $(cat "$port/address") in
            "$1:00") one=${port##*/} ;;
            "$1:01") other=${port##*/} ;;
            esac
        done
        [ -n "$one" ] && [ -n "$other" ] && return
        sleep 0.3
    done
}

reload_and_move() {
    for _ in 1 2 3 4; do
        load_and_find && attempt move exercise both "$one" "$other" 240 || return 1
        attempt unload rmmod "$subject" || return 1
    done
}

close_while_busy() {
    load_and_find || return 1
    attempt busy exercise busy "$one" "$other" &&
        attempt move exercise both "$one" "$other" 2000
}

is_running() {
    [ -d "/proc/$1" ] && ! grep -q 'State:.Z' "/proc/$1/status"
}

wait_for_end() {
    for _ in $(seq 1 "$2"); do
        is_running "$1" || return 0
        sleep 0.2
    done
    return 1
}

# Either is right: the kernel refuses, or waits for the port to be closed, or the port goes away under its holder.
remove_while_open() {
    exercise hold "$one" >/tmp/held 2>&1 &
    holder=$!
    for _ in $(seq 1 100); do
        grep -q adapter /tmp/held && break
        sleep 0.1
    done
    grep -q adapter /tmp/held || { say remove-open failed "cannot hold the port: $(tail -n 1 /tmp/held)"; return 1; }
    rmmod "$subject" >/tmp/removed 2>&1 &
    remover=$!
    if wait_for_end $remover 15; then
        if [ -d "/sys/module/$subject" ]; then how="refused: $(tail -n 1 /tmp/removed)"; else how="removed under its holder"; fi
    else
        how="waited until the port was closed"
    fi
    kill -KILL $holder
    if ! wait_for_end $holder 50; then say remove-open failed "the holder of the port cannot be killed"; return 1; fi
    if ! wait_for_end $remover 100; then say remove-open failed "rmmod hangs though the port is closed"; return 1; fi
    say remove-open ok "$how"
    [ -d "/sys/module/$subject" ] && { attempt unload rmmod "$subject" || return 1; }
    load_and_find && attempt move exercise both "$one" "$other" 240 && attempt unload rmmod "$subject"
}

say up ok "$(uname -r)"
