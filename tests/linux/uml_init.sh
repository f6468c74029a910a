#!/bin/sh
# The first process inside user-mode Linux: mounts what tests need, runs them on a pure hierarchy of cgroups version 2, powers off.
# $1 is the repository, $2 the Python. The last line that it writes has the exit status of the tests.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
export HOME=/run TMPDIR=/run PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1
cd "$1" || exit 1
"$2" -m pytest tests/linux/test_cgroups.py tests/linux/test_cgroups_recovery.py tests/linux/test_cgroups_of_groups.py tests/linux/test_cgroups_devices.py tests/contract/test_bpf_devices.py -q -k 'not test_what and not test_a_second and not test_a_supervisor' -p no:cacheprovider -p no:xdist -p no:randomly --timeout 120
echo "ended with $?"
sync
echo o >/proc/sysrq-trigger
while :; do sleep 1; done
