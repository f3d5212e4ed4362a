#!/bin/sh
# Run a program as docker does, by benchmarks/lab/container.py: `unshare --mount --propagation private container.sh ...`
#
#   container.sh ROOT USER GROUP GROUPS [ro SOURCE TARGET | rw SOURCE TARGET | tmpfs OPTIONS TARGET]... -- PROGRAM...
#
# ROOT is an empty folder, in which a root file system is made that holds nothing but what is named. CGROUPS in the
# environment names the files that take the process into its cgroups. Everything is gone with the process.
set -eu

# show ro|rw SOURCE TARGET: let a file or folder of this host be seen.
show() {
    if [ -d "$2" ]; then
        mkdir -p "$root$3"
    else
        mkdir -p "$root$(dirname "$3")"
        : >>"$root$3"
    fi
    mount --bind "$2" "$root$3"
    [ "$1" = rw ] || mount -o remount,bind,ro,nosuid "$root$3"
}

for file in $CGROUPS; do
    echo $$ >"$file"
done

root=$1 user=$2 group=$3 groups=$4
shift 4
mount -t tmpfs -o mode=755 tmpfs "$root"
mkdir "$root/dev" "$root/proc" "$root/srv" "$root/dev/shm"
for link in bin sbin lib lib64; do
    cp -P "/$link" "$root/$link"
done
for node in null zero full random urandom; do
    show rw "/dev/$node" "/dev/$node"
done
mount -t tmpfs -o size=64m,mode=1777,nosuid,nodev,noexec tmpfs "$root/dev/shm"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
while [ "$1" != -- ]; do
    if [ "$1" = tmpfs ]; then
        mkdir -p "$root$3"
        mount -t tmpfs -o "$2" tmpfs "$root$3"
    else
        show "$1" "$2" "$3"
    fi
    shift 3
done
shift
mount -o remount,ro "$root"
exec chroot "$root" setpriv --reuid="$user" --regid="$group" --groups="$groups" --inh-caps=-all --ambient-caps=-all \
    --bounding-set=-all --no-new-privs env --ignore-environment --chdir=/srv "$@"
