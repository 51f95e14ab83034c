# shellcheck shell=bash
# Starting and stopping the whole server: engine, sandboxd, nginx. Sourced, not run.

# shellcheck source=state.sh
. "$standalone/state.sh"
# shellcheck source=engine.sh
. "$standalone/engine.sh"
# shellcheck source=image.sh
. "$standalone/image.sh"

# One start or stop at a time; the lock goes with the script.
server_lock() {
    exec 9>"$STATE_DIR/lock"
    flock 9
}

server_runs() {
    program_runs sandboxd "$STATE_DIR/run/sandboxd.pid" &&
        program_runs nginx "$STATE_DIR/nginx/nginx.pid"
}

# The port that nginx was last configured with.
server_port() {
    sed -n 's/^ *listen \([0-9]*\) ssl;/\1/p' "$STATE_DIR/nginx/nginx.conf"
}

# curl as the admin, who is not to be seen in the list of processes.
api_call() {
    local port=$1 path=$2
    shift 2
    curl --silent --show-error --noproxy '*' --cacert "$STATE_DIR/tls/cert.pem" --config - \
        "$@" "https://localhost:$port/api/sandbox$path" <<END
user = "admin:$(cat "$STATE_DIR/admin-password")"
END
}

api_answers() {
    api_call "$1" /status --fail --max-time 5 --output /dev/null 2>/dev/null
}

# Whether the API on port $1 answers, or sandboxd with pid $2 has ended.
api_settled() {
    api_answers "$1" || ! kill -0 "$2" 2>/dev/null
}

port_check() {
    [[ $1 =~ ^[1-9][0-9]{0,4}$ && $1 -le 65535 ]] || die "PORT=$1 is no port" "use 1 to 65535"
}

# Whether somebody listens on TCP port $1, on any address.
port_busy() {
    awk -v port="$(printf ':%04X' "$1")" \
        '$4 == "0A" && substr($2, length($2) - 4) == port { busy = 1 } END { exit !busy }' \
        /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

program_check() {
    [[ -x $SANDBOXD && -e $GUEST ]] || die "$SANDBOXD or its guest is not built" "run make first"
}

# Copy a file of nginx/ to the state directory, with this server's paths and port.
render() {
    sed -e "s|/var/lib/sandboxd|$STATE_DIR|g" -e "s|\<8443\>|$2|g" "$1" |
        write_file "$STATE_DIR/nginx/${1##*/}" 644 root
}

nginx_run() {
    nginx -p "$STATE_DIR/nginx" -c "$STATE_DIR/nginx/nginx.conf" -e "$STATE_DIR/log/nginx-error.log" "$@"
}

nginx_start() {
    local port=$1 log=$STATE_DIR/log/nginx-error.log
    say "Starting nginx on port $port"
    render "$root/nginx/sandbox-upstream.conf" "$port"
    render "$root/nginx/sandbox-api.conf" "$port"
    render "$standalone/nginx.conf" "$port"
    # Where the kernel has no IPv6, listening on it is an error.
    grep -q . /proc/net/if_inet6 2>/dev/null || sed -i '/listen \[::\]/d' "$STATE_DIR/nginx/nginx.conf"
    # What it complains of is in its log as well.
    nginx_run 9>&- 2>/dev/null ||
        die_with_log "$log" "nginx does not start" "its log above says why"
}

sandboxd_start() {
    local log=$STATE_DIR/log/sandboxd.log answer
    say "Checking the configuration"
    answer=$("$SANDBOXD" check "$STATE_DIR/yaml" --docker "$docker_host" 2>&1) ||
        die "the configuration is not valid: $answer" "correct the files in $STATE_DIR/yaml"
    say "Starting sandboxd"
    start_session "$log" ${SANDBOXD_UNDER:+"$SANDBOXD_UNDER"} "$SANDBOXD" run --state "$STATE_DIR" --docker "$docker_host" --guest "$GUEST"
}

# Start everything and wait until the API answers on port $1; $started is sandboxd's pid afterwards.
server_start() {
    local port=$1 sandboxd
    engine_start
    base_image_make "$docker_host"
    sandboxd_start
    sandboxd=$started
    nginx_start "$port"
    wait_until 30 api_settled "$port" "$sandboxd" || true
    api_answers "$port" || die_with_log "$STATE_DIR/log/sandboxd.log" \
        "the API does not answer on port $port" "the log above says why; $STATE_DIR/log has more"
    started=$sandboxd
}

# How long a stop waits for requests in flight: what the YAML says, or its default.
drain_seconds() {
    local seconds
    seconds=$(sed -n 's/^ *drain_seconds: *\([0-9]\{1,4\}\).*/\1/p' "$STATE_DIR/yaml/sandbox.yaml" 2>/dev/null) || true
    printf '%s' "${seconds:-10}"
}

# End what server_start() started, or what is left of it. nginx goes first: it takes no more requests,
# and waits for the answers to those it has. sandboxd gets a little longer than it takes for itself.
server_stop() {
    local drain
    drain=$(drain_seconds)
    stop_program nginx "$STATE_DIR/nginx/nginx.pid" QUIT "$drain"
    stop_program sandboxd "$STATE_DIR/run/sandboxd.pid" TERM $((drain + 10))
    kill_containers
    private_stop
    rm -f "$STATE_DIR"/run/*.sock
    unmount_below "$STATE_DIR/slots"
    unmount_below "$STATE_DIR/guests"
    unmount_below "$STATE_DIR/run"
}

# Check all that can be checked before anything is changed, clear away what a dead server left, and
# fill the state directory. Sets $already to yes, and does none of it, if the server runs on this port.
server_prepare() {
    local port=$1
    already=no
    program_check
    port_check "$port"
    state_dir_check
    mkdir -p "$STATE_DIR"
    server_lock
    if server_runs; then
        [ "$(server_port)" = "$port" ] ||
            die "the server of $STATE_DIR runs already, on port $(server_port)" \
                "make down STATE_DIR=$STATE_DIR, or give that PORT"
        if api_answers "$port"; then
            already=yes
            return
        fi
    fi
    server_stop
    ! port_busy "$port" || die "port $port is in use by another program" \
        "choose another one: PORT=$((port + 1))"
    state_dir_fill
}
