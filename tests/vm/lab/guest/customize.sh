#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# mmdebstrap runs this as `customize.sh ROOT`, with LAB_MANAGEMENT_MAC and LAB_MEDIA_MACS set: turns a bare Debian tree into a guest that reaches ssh quickly under
# emulation and keeps silent on its media NICs. Part of the image's key: any change here builds a new image.
set -eu
root=$1
here=$(dirname "$0")

# .deb files for the appliance role: fetched now, with the guest's own release and architecture, installed by the role.
packages=$(grep -v '^#' "$here/site-packages.txt" | tr '\n' ' ')
# shellcheck disable=SC2086  # a list of package names
chroot "$root" apt-get -q -y --no-install-recommends -o Dir::Cache::archives=/var/cache/site \
    -o APT::Keep-Downloaded-Packages=true --download-only install $packages
mkdir -p "$root/var/cache/site"
rm -rf "$root/var/cache/site/partial" "$root/var/cache/site/lock"

# From here on the guest has no package source: a role that tries to reach one fails at once instead of waiting.
rm -rf "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/* "$root"/var/lib/apt/lists/* \
    "$root"/etc/apt/apt.conf.d/99mmdebstrap
: >"$root/etc/apt/sources.list"

echo lab-appliance >"$root/etc/hostname"
echo '127.0.0.1 localhost lab-appliance' >"$root/etc/hosts"
echo '/dev/vda / ext4 noatime 0 1' >"$root/etc/fstab"

# Two 10-* files: the one NIC for management, and the media NICs, up but without any address, so that nothing but
# media ever leaves them.
mkdir -p "$root/etc/systemd/network"
cat >"$root/etc/systemd/network/10-management.network" <<NETWORK
[Match]
MACAddress=$LAB_MANAGEMENT_MAC
[Network]
Address=10.0.2.15/24
LinkLocalAddressing=no
IPv6AcceptRA=no
NETWORK
cat >"$root/etc/systemd/network/10-media.network" <<NETWORK
[Match]
MACAddress=$LAB_MEDIA_MACS
[Link]
RequiredForOnline=no
[Network]
LinkLocalAddressing=no
IPv6AcceptRA=no
LLDP=no
EmitLLDP=no
NETWORK
cat >"$root/etc/sysctl.d/10-silent.conf" <<'SYSCTL'
net.ipv6.conf.all.disable_ipv6 = 1
net.ipv6.conf.default.disable_ipv6 = 1
SYSCTL
chroot "$root" systemctl enable systemd-networkd.service

cat >"$root/etc/ssh/sshd_config.d/lab.conf" <<'SSHD'
UseDNS no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
MaxStartups 50
SSHD

# Nothing a throw-away guest needs; each one costs seconds under emulation.
for unit in getty@tty1.service serial-getty@ttyS0.service systemd-networkd-wait-online.service \
    systemd-timesyncd.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    e2scrub_reap.service fstrim.timer systemd-pstore.service systemd-journal-flush.service \
    systemd-update-utmp.service systemd-random-seed.service systemd-binfmt.service ldconfig.service \
    systemd-firstboot.service systemd-hwdb-update.service systemd-update-done.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done

# The initrd (its size is set by initramfs.conf, before the kernel is installed) gets the root disk's driver and file
# system, and qemu_fw_cfg, through which systemd takes the ssh key.
printf 'virtio_pci\nvirtio_blk\next4\ncrc32c\nqemu_fw_cfg\n' >"$root/etc/initramfs-tools/modules"
chroot "$root" update-initramfs -u -k all
