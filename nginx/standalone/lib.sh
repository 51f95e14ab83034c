# shellcheck shell=bash
# What the scripts in this folder share: messages, waiting, and processes that are known by their
# session. Sourced, not run. STATE_DIR is the server's state directory, once a script has set it.

set -euo pipefail
umask 022
export LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

standalone=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$standalone/../.." && pwd)
# The environment may name others, of another flavour for example.
SANDBOXD=${SANDBOXD:-$root/build/release/sandboxd}
GUEST=${GUEST:-$root/build/release/sandbox-guest}
# A program that starts sandboxd, with less privileges for example.
SANDBOXD_UNDER=${SANDBOXD_UNDER:-}

say() {
    printf '==> %s\n' "$*"
}

# Give up: what is wrong, then, a line an argument, what to do about it.
die() {
    printf 'error: %s\n' "$1" >&2
    shift
    [ $# -eq 0 ] || printf '       %s\n' "$@" >&2
    exit 1
}

# Give up because of what the end of the log $1 says.
die_with_log() {
    local log=$1
    shift
    printf -- '--- the end of %s\n' "$log" >&2
    tail -n 20 "$log" >&2 || true
    printf -- '---\n' >&2
    die "$@"
}

need_root() {
    [ "$(id -u)" -eq 0 ] || die "$1 needs root: it starts nginx, containers and mounts" \
        "run it again as root (sudo make ...)"
}

# Wait until a command succeeds, for $1 seconds at most.
wait_until() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}

# Start a command in the background as the leader of a session of its own, so that neither Ctrl-C nor
# the end of a terminal reaches it, and set $started to its pid. It keeps no descriptor of ours open:
# make waits for everybody who holds its pipes.
start_session() {
    local log=$1 fd
    shift
    (
        cd /
        for fd in /proc/self/fd/*; do
            fd=${fd##*/}
            [ "$fd" -le 2 ] || eval "exec $fd>&-"
        done
        exec setsid "$@" </dev/null >>"$log" 2>&1
    ) &
    started=$!
}

# The pid in a pid file; fails if there is none.
read_pid() {
    local pid
    { read -r pid <"$1"; } 2>/dev/null || [ -n "${pid:-}" ] || return 1
    [[ $pid =~ ^[1-9][0-9]*$ ]] || return 1
    printf '%s' "$pid"
}

# Whether a process runs the program of this name; one whose file was replaced since counts.
runs_program() {
    local exe
    exe=$(readlink "/proc/$1/exe" 2>/dev/null) || return 1
    exe=${exe% (deleted)}
    [ "${exe##*/}" = "$2" ]
}

# Set $command_line to a process's, with blanks between the words and at the end; fails if it is gone.
read_command_line() {
    local words=()
    { mapfile -d '' -t words <"/proc/$1/cmdline"; } 2>/dev/null || return 1
    command_line="${words[*]} "
}

# Whether a process's command line names our state directory, or is gone already (a zombie's is).
names_state_dir() {
    read_command_line "$1" || return 0
    [ "$command_line" = ' ' ] || [[ $command_line == *"$STATE_DIR"[/\ ]* ]]
}

# The pids of program $2 in the session that process $1 led. A pid file may be older than the last
# boot and its number somebody else's by now, so the leader must be ours, and each of them must run
# the program; but a leader that was killed may have left its workers behind, and they count.
session_pids() {
    local leader=$1 program=$2 dir stat session
    names_state_dir "$leader" || return 0
    for dir in /proc/[0-9]*; do
        { read -r stat <"$dir/stat"; } 2>/dev/null || continue
        # After the name, which may hold anything: state, parent, group, session.
        read -r _ _ _ session _ <<<"${stat##*) }"
        [ "$session" = "$leader" ] || continue
        ! runs_program "${dir#/proc/}" "$program" || printf '%s\n' "${dir#/proc/}"
    done
}

session_ended() {
    [ -z "$(session_pids "$1" "$2")" ]
}

# Whether program $1 runs, by the word of its pid file $2.
program_runs() {
    local pid
    pid=$(read_pid "$2") && names_state_dir "$pid" && runs_program "$pid" "$1"
}

# End program $1, whose pid file is $2: signal $3, and after $4 seconds KILL.
stop_program() {
    local program=$1 pidfile=$2 signal=$3 seconds=$4 pid pids
    if pid=$(read_pid "$pidfile") && ! session_ended "$pid" "$program"; then
        say "Stopping $program"
        if runs_program "$pid" "$program"; then
            kill -s "$signal" "$pid" || true
        fi
        if ! runs_program "$pid" "$program" || ! wait_until "$seconds" session_ended "$pid" "$program"; then
            pids=$(session_pids "$pid" "$program")
            # shellcheck disable=SC2086 # one word a pid
            kill -s KILL $pids 2>/dev/null || true
            wait_until 5 session_ended "$pid" "$program" || die "$program does not end (pid $pid)"
        fi
    fi
    rm -f "$pidfile"
}

# The mount points below a directory, the newest first.
mounts_below() {
    awk -v below="$1/" 'index($5, below) == 1 { at[++n] = $5 } END { while (n) print at[n--] }' \
        /proc/self/mountinfo
}

# Unmount all that is mounted below a directory. mountinfo writes blanks as octal escapes.
unmount_below() {
    local at
    mounts_below "$1" | while read -r at; do
        printf -v at '%b' "${at//\\/\\0}"
        umount "$at" 2>/dev/null || umount --lazy "$at" || true
    done
}
