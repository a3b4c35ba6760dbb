#!/bin/bash
# pid 1 of the guest: mounts, modules, udev, then the job that the host left in the shared folder
# (9p tag "lab", at /mnt/lab). What the job writes goes to the port "lab.out"; its exit status is
# left in the shared folder.
export PATH=/usr/local/bin:/usr/sbin:/usr/bin HOME=/root LC_ALL=C
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=755,size=80% tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /dev/shm
mkdir -p /run/lock /run/udev /run/mpath-lab
ln -sfn /proc/self/fd /dev/fd
hostname lab
modprobe -a 9p 9pnet_virtio virtio_console virtio_rng sd_mod sg scsi_dh_alua target_core_mod \
	target_core_file tcm_loop iscsi_target_mod iscsi_tcp dm-mod dm-multipath dm-service-time \
	dm-round-robin dm-queue-length
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=none lab /mnt/lab
mount -t configfs configfs /sys/kernel/config
# Only 127.0.0.1: every iSCSI portal brings an address of its own, so that taking the address away
# makes that path hang.
ip link set lo up
ip address flush dev lo
ip address add 127.0.0.1/32 dev lo
ulimit -n 1048576
cp /mnt/lab/bin/* /usr/local/bin/
/lib/systemd/systemd-udevd --daemon >/run/udevd.log 2>&1
# Nothing is triggered: the disks that matter come later.

cd /root
cut -d' ' -f1 /proc/uptime >/mnt/lab/booted
. /mnt/lab/job	# sets "job", an array, and "console": whether a person sits at the serial port
if [ "$console" = yes ]; then
	# A session of its own, so that the shell has job control.
	setsid --ctty --wait "${job[@]}" </dev/ttyS0 >/dev/ttyS0 2>&1
else
	for port in /sys/class/virtio-ports/*; do
		[ "$(cat "$port/name")" = lab.out ] && out=/dev/${port##*/}
	done
	# A pipe, so that the job may open /dev/stderr; daemons that keep it open do not hold us back.
	exec 3> >(exec cat >"$out")
	writer=$!
	"${job[@]}" </dev/null >&3 2>&3
fi
status=$?
dmesg >/mnt/lab/dmesg
exec 3>&-
timeout 1 tail --pid="$writer" -f /dev/null 2>/dev/null
echo "$status" >/mnt/lab/status.new
mv /mnt/lab/status.new /mnt/lab/status
echo b >/proc/sysrq-trigger	# with -no-reboot this ends QEMU at once
sleep 10
