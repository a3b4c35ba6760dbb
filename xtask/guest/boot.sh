#!/bin/sh
# pid 1 in the initramfs: load the disk's driver, mount the root file system, go on there.
b=/bin/busybox
$b mount -t devtmpfs devtmpfs /dev
for module in /modules/*.ko; do $b insmod "$module" 2>/dev/null; done
i=0
while [ ! -b /dev/vda ] && [ $i -lt 500 ]; do $b usleep 10000; i=$((i + 1)); done
$b mount -t ext4 -o noatime /dev/vda /root || { echo "lab: no root disk"; $b poweroff -f; }
$b mount -o move /dev /root/dev
exec $b switch_root /root /bin/bash /sbin/lab-init
