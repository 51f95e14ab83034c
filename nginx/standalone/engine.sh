# shellcheck shell=bash
# The Docker Engine of a server: one that is there, or a private one below the state directory.
# Sourced, not run. `ENGINE=private` in the environment takes a private one in any case, and
# `STORAGE_DRIVER` and `DATA_ROOT` say how and where that keeps its data, if not as it does by itself.

system_socket=/var/run/docker.sock

# One request to the engine at $1 (unix:///path or tcp://host:port): path, then curl's options.
engine_call() {
    local host=$1 path=$2
    shift 2
    case $host in
    unix://*) curl --silent --unix-socket "${host#unix://}" "$@" "http://localhost$path" ;;
    tcp://*) curl --silent "$@" "http://${host#tcp://}$path" ;;
    *) return 1 ;;
    esac
}

engine_answers() {
    engine_call "$1" /_ping --fail --max-time 3 --output /dev/null
}

# The address of an engine that runs on this machine already; fails if there is none.
engine_find() {
    local host
    for host in "${DOCKER_HOST:-}" "unix://$system_socket"; do
        if [ -n "$host" ] && engine_answers "$host"; then
            printf '%s' "$host"
            return
        fi
    done
    return 1
}

private_host() {
    printf 'unix://%s/docker/docker.sock' "$STATE_DIR"
}

# Its own names in containerd, which may be the system's and serve others too.
private_namespace() {
    printf 'sandboxd-%s' "$(printf '%s' "$STATE_DIR" | sha256sum | cut -c 1-12)"
}

# Which engine this server uses. The answer is kept in STATE_DIR/engine, because the containers of an
# earlier start are in that engine and nowhere else.
engine_choose() {
    local choice=
    if [ "${ENGINE:-}" = private ]; then
        choice=private
    elif [ -n "${DOCKER_HOST:-}" ] && engine_answers "$DOCKER_HOST"; then
        choice=$DOCKER_HOST
    elif [ -s "$STATE_DIR/engine" ]; then
        choice=$(cat "$STATE_DIR/engine")
    else
        choice=$(engine_find) || choice=private
    fi
    printf '%s\n' "$choice" | write_file "$STATE_DIR/engine" 644 root
    printf '%s' "$choice"
}

# Make an engine answer, and set $docker_host to its address.
engine_start() {
    local choice
    choice=$(engine_choose)
    if [ "$choice" = private ]; then
        docker_host=$(private_host)
        private_start
        return
    fi
    docker_host=$choice
    say "Using the Docker Engine at $docker_host"
    engine_answers "$docker_host" ||
        die "the engine that this server has used, $docker_host, does not answer" \
            "start it, or remove $STATE_DIR/engine to have another one chosen"
}

private_start() {
    local docker=$STATE_DIR/docker log=$STATE_DIR/log/dockerd.log namespace
    say "Starting a private Docker Engine ($docker)"
    command -v dockerd >/dev/null ||
        die "no Docker Engine answers, and there is no dockerd to start" \
            "make deps installs docker.io; or set DOCKER_HOST"
    namespace=$(private_namespace)
    forwarding_take
    mkdir -p "$docker"
    chmod 711 "$docker" # where it remaps users, those of containers pass through
    # Settings of its own (runtimes, say), instead of those of the system's engine.
    [ -e "$docker/daemon.json" ] || echo '{}' >"$docker/daemon.json"
    # The run-time state of a dead engine misleads the next one: its pid files may name strangers.
    rm -rf --one-file-system "$docker/exec"
    start_session "$log" dockerd --host "$(private_host)" --group root \
        --config-file "$docker/daemon.json" \
        --data-root "${DATA_ROOT:-$docker/data}" --exec-root "$docker/exec" --pidfile "$docker/dockerd.pid" \
        --containerd-namespace "$namespace" --containerd-plugins-namespace "$namespace-plugins" \
        --bridge none --iptables=false --ip-forward=false ${STORAGE_DRIVER:+--storage-driver "$STORAGE_DRIVER"}
    wait_until 60 private_settled "$started" || true
    engine_answers "$docker_host" ||
        die_with_log "$log" "dockerd does not start" "its log above says why"
}

# Whether the engine with pid $1 answers, or never will.
private_settled() {
    engine_answers "$docker_host" || ! kill -0 "$1" 2>/dev/null
}

# The address of the engine that this server uses; fails before the first start.
engine_used() {
    local choice
    { read -r choice <"$STATE_DIR/engine"; } 2>/dev/null || return 1
    if [ "$choice" = private ]; then
        private_host
    else
        printf '%s' "$choice"
    fi
}

# The ids of this server's running containers: sandboxd labels them with the id in its file.
own_containers() {
    local instance filters
    { read -r instance <"$STATE_DIR/instance"; } 2>/dev/null || [ -n "${instance:-}" ] || return 0
    filters="%7B%22label%22%3A%5B%22sandbox.instance%3D$instance%22%5D%7D" # {"label":["sandbox.instance=..."]}
    engine_call "$1" "/containers/json?filters=$filters" --fail --max-time 10 |
        grep -o '"Id":"[0-9a-f]*"' | cut -d '"' -f 4
}

# Kill this server's containers. They are kept, stopped; to end them in the engine's own way takes
# 10 s for each that ignores TERM.
kill_containers() {
    local host id calls=()
    host=$(engine_used) && engine_answers "$host" || return 0
    for id in $(own_containers "$host"); do
        engine_call "$host" "/containers/$id/kill" --request POST --max-time 20 --output /dev/null &
        calls+=($!)
    done
    # Not for every child: the engine may be one.
    [ ${#calls[@]} -eq 0 ] || wait "${calls[@]}" || true
}

# End what outlives an engine that was killed: each container has a shim, a process of containerd's
# that knows it by our namespace.
private_kill_shims() {
    local namespace dir
    namespace=$(private_namespace)
    for dir in /proc/[0-9]*; do
        read_command_line "${dir#/proc/}" || continue
        [[ $command_line == *containerd-shim*" -namespace $namespace "* ]] || continue
        # The shim last: its children would be adopted by init.
        # shellcheck disable=SC2046 # one word a pid
        kill -s KILL $(cat "$dir"/task/*/children) "${dir#/proc/}" 2>/dev/null || true
    done
}

# End the private engine, if there is one, with all its containers and mounts.
private_stop() {
    local docker=$STATE_DIR/docker pid
    [ -d "$docker" ] || return 0
    stop_program dockerd "$docker/dockerd.pid" TERM 30
    if pid=$(read_pid "$docker/exec/containerd/containerd.pid") && runs_program "$pid" containerd &&
        names_state_dir "$pid"; then
        kill -s KILL "$pid"
    fi
    private_kill_shims
    unmount_below "$docker"
    full_network_remove
    forwarding_leave
}

# Remove what is left on the machine of the network of tier Full: the engine leaves the bridge, and
# sandboxd its packet filter, because containers may outlive it. With the engine gone, none does.
full_network_remove() {
    local instance
    { read -r instance <"$STATE_DIR/instance"; } 2>/dev/null || [ -n "${instance:-}" ] || return 0
    ip link delete "sbx${instance:0:12}" 2>/dev/null || true
    nft delete table inet "sandboxd_$instance" 2>/dev/null || true
}

forward=/proc/sys/net/ipv4/ip_forward
# Servers with a private engine for which forwarding was turned on, a file each; gone with a reboot,
# as the setting is.
forward_users=/run/sandboxd-forward

# Have the machine forward packets, which tier Full needs. Where it did not, it forwards those of our
# bridges only, and no longer than there are servers that need it.
forwarding_take() {
    (
        flock 8
        if [ "$(cat "$forward")" = 0 ]; then
            forwarding_start || {
                say "Containers of network Full get no network: packets cannot be forwarded"
                exit 0
            }
            mkdir -p "$forward_users"
        fi
        [ ! -d "$forward_users" ] || : >"$forward_users/$(private_namespace)"
    ) 8>"$forward_users.lock"
}

forwarding_start() {
    say "Turning on net.ipv4.ip_forward, for containers of network Full and nothing else"
    nft -f - <<'END' && { echo 1 >"$forward"; } 2>/dev/null
add table inet sandboxd_forward
delete table inet sandboxd_forward
table inet sandboxd_forward {
    chain forward {
        type filter hook forward priority filter; policy drop;
        iifname "sbx*" accept
        oifname "sbx*" accept
    }
}
END
}

# Turn it off again after the last server, if it was turned on for them.
forwarding_leave() {
    (
        flock 8
        rm -f "$forward_users/$(private_namespace)"
        rmdir "$forward_users" 2>/dev/null || exit 0
        say "Turning off net.ipv4.ip_forward"
        echo 0 >"$forward"
        nft delete table inet sandboxd_forward 2>/dev/null || true
    ) 8>"$forward_users.lock"
}
