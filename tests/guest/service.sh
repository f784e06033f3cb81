#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# shellcheck disable=SC2016 # what is quoted is for the guest's shell
# The service on a real systemd: a guest boots with systemd as its first
# process, and the units as they were built.  The socket starts the server; its
# sandbox and limits are in force; whatever happens to the server, it is there
# again, and so is every page.

. "${srcdir:=$(dirname "$0")}/functions.sh"

units=$top_builddir/service
guest_ram=512
libs=/usr/lib/x86_64-linux-gnu

# What of this system's systemd goes into the guest.
requires systemctl systemd-sysusers nbdcopy nbdinfo nbdkit mount
[ -x /lib/systemd/systemd ] || skip "systemd is not installed"
[ -f "$units/vmswap.service" ] || fail "$units/vmswap.service is not built"
requires qemu-system-x86_64 busybox cpio flock
guest_kernel=$("$srcdir/fetch-kernels" --cached 6.1 2>"$dir/fetch") ||
  skip "$(cat "$dir/fetch")"

# The unit, but for the place of the plugin and of the settings.
sed -e 's|[^ ]*/nbdkit-vmswap-plugin.so|/usr/lib/nbdkit-vmswap-plugin.so|' \
  -e 's|^ExecStart=[^ ]*|ExecStart=/usr/bin/nbdkit|' \
  -e 's|^EnvironmentFile=.*|EnvironmentFile=/etc/vmswap/vmswap.conf|' \
  "$units/vmswap.service" >"$dir/vmswap.service"
mem='guest=mem,size=16M,ivshmem=/run/vmswap/mem.ivshmem'
echo "VMSWAP_OPTIONS='pool=64M guest=web1,size=32M guest=load,size=16M $mem'" \
  >"$dir/vmswap.conf"
cat >"$dir/talk.service" <<'UNIT'
[Unit]
DefaultDependencies=no
After=sysinit.target
[Service]
ExecStart=/bin/sh /init talk
IgnoreSIGPIPE=no
UNIT
cat >"$dir/test.target" <<'UNIT'
[Unit]
Requires=basic.target talk.service systemd-sysusers.service
Wants=vmswap.socket
After=basic.target
UNIT
cat >"$dir/system.conf" <<'UNIT'
[Manager]
LogTarget=kmsg
LogLevel=info
DefaultStandardOutput=null
ShowStatus=no
UNIT
cat >"$dir/log.conf" <<'UNIT'
[Service]
StandardOutput=append:/run/vmswap.log
StandardError=inherit
UNIT
echo 'ID=test' >"$dir/os-release"

# Of the same size and another version, to be told apart.
version=$(nbdkit "$plugin" --dump-plugin | sed -n 's/^vmswap_version=//p')
sed "s/$version/$(echo "$version" | sed 's/[0-9]$/x/')/g" "$plugin" >"$dir/new.so"

system=/lib/systemd/system
set --
for unit in basic final local-fs local-fs-pre paths reboot shutdown slices \
            sockets swap sysinit timers umount; do
  set -- "$@" "$system/$unit.target=$system/$unit.target"
done
"$srcdir/build-initramfs" "$dir/initramfs" "$guest_kernel" \
  "$srcdir/service-init" /lib/systemd/systemd \
  "$(realpath "$(command -v systemctl)")" \
  "$(realpath "$(command -v systemd-sysusers)")" \
  "$(realpath "$(command -v nbdkit)")" \
  "$(realpath "$(command -v nbdcopy)")" "$(realpath "$(command -v nbdinfo)")" \
  "$(command -v mount)" "$(command -v mount)=/bin/mount" "$plugin" \
  "$plugin=/usr/lib/nbdkit-vmswap-plugin.so" \
  "$top_builddir/vmswapctl/vmswapctl=/usr/sbin/vmswapctl" \
  "$libs/nbdkit/filters/nbdkit-limit-filter.so=$libs/nbdkit/filters/nbdkit-limit-filter.so" \
  "$system/systemd-sysusers.service=$system/systemd-sysusers.service" \
  "$dir/talk.service=$system/talk.service" \
  "$dir/test.target=$system/default.target" \
  "$dir/system.conf=/etc/systemd/system.conf" \
  "$dir/log.conf=/etc/systemd/system/vmswap.service.d/log.conf" \
  "$dir/new.so=/new.so" "$top_srcdir/docs/UPGRADE.md=/docs/UPGRADE.md" \
  "$srcdir/document.sh=/document.sh" \
  "$dir/os-release=/etc/os-release" \
  "$top_srcdir/service/vmswap.sysusers=/usr/lib/sysusers.d/vmswap.conf" \
  "$dir/vmswap.conf=/etc/vmswap/vmswap.conf" \
  "$dir/vmswap.service=$system/vmswap.service" \
  "$top_srcdir/service/vmswap.socket=$system/vmswap.socket" \
  "$top_srcdir/service/run-vmswap.pool.mount=$system/run-vmswap.pool.mount" \
  "$@"

# on SECONDS COMMAND: in the guest; what it said is the reason when it fails.
on () { guest_run g "$1" "$2"; }

# Milliseconds of a command in the guest, from outside.
timed ()
{
  timed_from=$(date +%s%N)
  on "$@"
  timed_ms=$((($(date +%s%N) - timed_from) / 1000000))
}

guest_boot g
guest_ready g
on 5 'systemctl --version | head -n 1'
say "booted: $(cat "$dir/g.reply")"

# The socket starts the server, and the server says when it is ready.
on 20 '[ "$(show vmswap.socket ActiveState)" = active ] &&
[ "$(show vmswap.service ActiveState)" = inactive ] &&
[ "$(stat -c "%a %U %G" /run/vmswap/nbd.sock)" = "660 root vmswap" ]'
on 60 'nbdinfo --size "$uri" && [ "$(show vmswap.service ActiveState)" = active ]'
if grep -q '^Type=notify' "$units/vmswap.service"; then
  on 5 'show vmswap.service StatusText | grep "^Pool of 64M"'
fi
say "socket activation works"

# The pool has memory of its own, which nobody takes away by mistake.
on 10 '[ "$(stat -c "%a %U" /run/vmswap.pool)" = "700 vmswap" ] &&
grep "^vmswap /run/vmswap.pool tmpfs rw,nosuid,nodev,noexec" /proc/mounts &&
! systemctl stop run-vmswap.pool.mount &&
[ -f /run/vmswap.pool/pool.vmswap ]'

# The sandbox, as the kernel has it.
on 20 'status Uid "$(id -u vmswap)" && status NoNewPrivs 1 && status Seccomp 2 &&
status CapEff 0000000000000000 && status CapBnd 0000000000000000 &&
limit "Max core file size" 0 && limit "Max locked memory" unlimited &&
limit "Max stack size" 262144 && limit "Max data size" 2147483648 &&
limit "Max open files" 4096 &&
group memory.swap.max 0 && group pids.max 2048 &&
[ "$(cat "/proc/$(main_pid)/oom_score_adj")" = -900 ] &&
[ "$(status_value VmLck)" -gt 65536 ]'
# A thread has SCHED_IDLE: the filter of system calls let it.
on 20 'until_true 10 idle_thread'
on 20 '! inside touch /etc/x && ! inside touch /var/lib/x && ! inside touch /run/x &&
inside touch /var/lib/vmswap/x && inside touch /run/vmswap.pool/x &&
rm /run/vmswap.pool/x && ! inside ls /dev/mem &&
[ "$(readlink "/proc/$(main_pid)/ns/net")" != "$(readlink /proc/self/ns/net)" ]'
say "the sandbox is in force"

# Whatever happens to the server.
on 60 'pages put 1 8 && pages check'
control='[ "$(stat -c "%a %U" /run/vmswap/control)" = "600 vmswap" ] &&
vmswapctl status | grep "^web1 .* idle$"'
on 20 "$control"
shared='[ "$(stat -c "%a %U %G" /run/vmswap/mem.ivshmem)" = "660 vmswap vmswap" ]'
on 20 "$shared"
on 60 'killed KILL && pages check'
on 20 "$control"
on 20 "$shared"
# More often than systemd would take by default.
on 120 'i=0; while [ $i -lt 6 ]; do killed KILL || break; i=$((i + 1)); done;
[ $i = 6 ] && pages check'
say "killed 7 times"
timed 60 'systemctl restart vmswap.service'
on 60 'pages check'
on 60 'pages put 2 8 && systemctl stop vmswap.socket &&
[ "$(show vmswap.service ActiveState)" = inactive ] &&
[ "$(show vmswap.service Result)" = success ] && ! [ -e /run/vmswap/nbd.sock ] &&
[ "$(show run-vmswap.pool.mount ActiveState)" = active ] &&
! nbdinfo --size "$uri" && systemctl start vmswap.service && pages check'
on 20 "$control"
say "restarted in $timed_ms ms, and stopped and started"

# A client that is idle is in nobody's way: not of a stop, not of a restart.
on 20 'sleep 1000 | nbdcopy - "${uri%%web1*}load${uri#*web1}" & idle_pid=$!'
on 30 'until_true 20 connected'
timed 60 'systemctl restart vmswap.service'
[ $timed_ms -lt 25000 ] ||
  fail "a restart with an idle client took $timed_ms ms"
on 30 'another 0'
say "restarted in $timed_ms ms with an idle client"

# A crash leaves no file with memory of guests (but other processes' do).
on 60 'echo "/tmp/core.%p" >/proc/sys/kernel/core_pattern;
sh -c "ulimit -c unlimited; kill -SEGV \$\$"; ls /tmp/core.* && rm /tmp/core.*'
guest_expects g 'killed'
on 60 'killed SEGV && pages check && ! ls /tmp/core.*'
say "crashed without a core"

# The upgrade as docs/UPGRADE.md has it, forth and back, under load.
on 20 'rm -f /run/load.end; load & load_pid=$!; until_true 20 test -s /run/load.rounds'
on 60 'rehearse settings check replace && load_goes_on'
on 120 'rehearse settings restart-systemd look-systemd && load_goes_on'
grep -q 'web1 32M: .* swapped in' "$dir/g.reply" ||
  fail "the new server holds nothing: $(cat "$dir/g.reply")"
on 60 'nbdkit /usr/lib/nbdkit-vmswap-plugin.so --dump-plugin | grep "version=.*x$"'
on 120 'rehearse settings back restart-systemd look-systemd && load_goes_on'
on 60 'touch /run/load.end; wait $load_pid'
on 60 'pages check'
say "upgraded and back, under load, by the document"

# Operators who are not root, as vmswap.service(8) has it.
on 60 'printf "%s\n" "[Service]" SupplementaryGroups=root SystemCallFilter=fchownat \
  >/etc/systemd/system/vmswap.service.d/operators.conf &&
sed -i "s/^VMSWAP_OPTIONS=./&control-group=root /" /etc/vmswap/vmswap.conf &&
systemctl daemon-reload && systemctl restart vmswap.service && another 0 &&
[ "$(stat -c "%a %U %G" /run/vmswap/control)" = "660 vmswap root" ]'
on 20 "$shared"
say "operators may ask"
