#!/bin/sh
# The first process inside user-mode Linux: makes room to write, puts the units of deploy/systemd where systemd looks, and becomes systemd.
# $1 is the repository, $2 the Python, $3 the commands that systemd runs once it is up.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /mnt && mkdir /mnt/repository && mount --bind "$1" /mnt/repository || exit 1
for one in /run /var /tmp; do mount -t tmpfs tmp $one || exit 1; done
# it may have been below one of those
[ -d "$1" ] || { mkdir -p "$1" && mount --bind /mnt/repository "$1"; } || exit 1
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
units=/run/systemd/system
mkdir -p $units/merismos-master.service.d $units/merismos-agent.service.d
# nothing of the machine's own start is wanted
for one in sysinit basic network-online multi-user; do
    printf '[Unit]\nDescription=%s\nDefaultDependencies=no\n' $one >$units/$one.target
done
programs=${2%/*}
for one in merismos-master.service merismos-agent.service mesos_executors.slice; do
    sed "s#/usr/local/bin#$programs#" "$1/deploy/systemd/$one" >$units/$one
done
# the Python of the tests may lie in somebody's home, and this repository below /tmp
printf '[Service]\nProtectHome=read-only\nPrivateTmp=no\nEnvironment=MESOS_IP=127.0.0.1 MESOS_PORT=5050 PYTHONDONTWRITEBYTECODE=1\n' >$units/merismos-master.service.d/t.conf
printf '[Service]\nEnvironment=MESOS_IP=127.0.0.1 MESOS_MASTER=127.0.0.1:5050 MESOS_ISOLATION=cgroups/pids PYTHONDONTWRITEBYTECODE=1\n' >$units/merismos-agent.service.d/t.conf
cat >$units/proof.service <<X
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
Environment=HOME=/run PATH=$programs:/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1 NO_COLOR=1
ExecStart=/bin/sh -c '. $3; sync; echo o >/proc/sysrq-trigger'
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
X
exec /lib/systemd/systemd --unit=proof.service --show-status=0 --log-target=console --log-level=err
