#!/bin/sh
# The first process of the test VM (scripts/vm.ts). The VM's root is the host's own, read-only; this
# script lays fresh tmpfs over the places programs write to, brings up lo and vcan0, runs the command
# and powers off.
#
# It is started through a symbolic link in a directory shared with the host, which also holds
#   settings  the directories of the host to bring back where a tmpfs hides them
#   command   the command, as a shell script
#   status    (written here) the command's exit status; its absence means that the VM failed
#
# Console 0 is for the kernel's and this script's own messages; 1 and 2 are the command's stdout and stderr.

share=$(dirname "$0")
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

power_off() {
  sync
  # The kernel's own way: halt(8) belongs to an init system, which a container does not have.
  echo o >/proc/sysrq-trigger
  sleep 5
  halt -f -p
}

give_up() {
  echo "init: $*"
  power_off
}

mount -t proc proc /proc || echo "init: /proc cannot be mounted"
mount -t sysfs sysfs /sys || give_up "/sys cannot be mounted"

# The kernel has mounted devtmpfs, which lacks what udev would add.
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
ln -sfn /proc/self/fd /dev/fd
ln -sfn /proc/self/fd/0 /dev/stdin
ln -sfn /proc/self/fd/1 /dev/stdout
ln -sfn /proc/self/fd/2 /dev/stderr

# Sets "$@" to DIRECTORY:MODE words. It is read before a tmpfs hides the shared directory.
. "$share/settings"

for directory in /tmp /var/tmp /run /dev/shm; do
  mount -t tmpfs tmpfs "$directory" || give_up "no tmpfs on $directory"
done
chmod 1777 /tmp /var/tmp /dev/shm

for directory_mode in "$@"; do
  directory=${directory_mode%:*}
  mkdir -p "$directory" 2>/dev/null
  mount -t hostfs -o "$directory" hostfs "$directory" || give_up "$directory of the host cannot be mounted"
  [ "${directory_mode##*:}" = rw ] || mount -o remount,ro "$directory" || give_up "$directory stays writable"
done

mkdir -p /run/vm /tmp/home
mount -t hostfs -o "$share" hostfs /run/vm || give_up "the shared directory cannot be mounted"

exec 3>/dev/tty1 4>/dev/tty2
# The consoles are pipes to the host: bytes pass as they are, newlines included.
stty -opost <&3
stty -opost <&4

hostname vm 2>/dev/null || echo vm >/proc/sys/kernel/hostname

modules=/usr/lib/uml/modules/$(uname -r)/kernel
[ -d "$modules" ] || give_up "no kernel modules in $modules"
for module in net/can/can net/can/can-raw drivers/net/can/dev/can-dev drivers/net/can/vcan; do
  insmod "$modules/$module.ko" || give_up "module $module.ko cannot be loaded"
done

ip link set lo up || give_up "lo cannot be brought up"
ip link add vcan0 type vcan && ip link set vcan0 up || give_up "vcan0 cannot be brought up"

sh /run/vm/command </dev/null >&3 2>&4 3>&- 4>&-
status=$?

# Closing a console waits until its bytes are with the host.
exec 3>&- 4>&-
echo "$status" >/run/vm/status
power_off
