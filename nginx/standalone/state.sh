# shellcheck shell=bash
# The state directory: whether it can be used, and what a server finds in it. Sourced, not run.

# The longest socket below it is the private engine's docker/exec/containerd/containerd.sock.ttrpc,
# and a unix socket's path has at most 107 characters.
state_dir_max=60

# Set STATE_DIR from $1, and give up if no server can live there.
state_dir_set() {
    [[ $1 == /* ]] || die "STATE_DIR=$1 is not an absolute path" "give one, like /var/lib/sandboxd"
    STATE_DIR=$(realpath -m -- "$1")
    [[ $STATE_DIR =~ ^(/[A-Za-z0-9._-]+)+$ ]] ||
        die "STATE_DIR=$STATE_DIR cannot be put into nginx's configuration" \
            "use letters, digits and . _ - only"
    [ ${#STATE_DIR} -le $state_dir_max ] ||
        die "STATE_DIR=$STATE_DIR is too long: ${#STATE_DIR} characters, $state_dir_max are possible" \
            "(unix sockets are made below it); choose a shorter path"
}

# The nearest directory on the way to STATE_DIR that exists.
state_dir_ancestor() {
    local dir=$STATE_DIR
    until [ -e "$dir" ]; do
        dir=$(dirname "$dir")
    done
    printf '%s' "$dir"
}

# Give up unless nginx's workers and the service's can reach STATE_DIR and nobody else can change it.
state_dir_check() {
    local dir user
    dir=$(state_dir_ancestor)
    [ -d "$dir" ] || die "$dir is not a directory" "choose another STATE_DIR"
    for user in www-data sandboxd; do
        setpriv --reuid "$user" --regid "$user" --clear-groups test -x "$dir" ||
            die "the user $user cannot reach $dir" \
                "choose another STATE_DIR, or let others pass: chmod o+x on each directory above it"
    done
    [ "$dir" = "$STATE_DIR" ] || return 0
    case $(stat -c %U "$dir") in
    root | sandboxd) ;;
    *) die "$dir belongs to another user" "choose another STATE_DIR, or chown root $dir" ;;
    esac
    [ -z "$(find "$dir" -maxdepth 0 -perm -o+w)" ] ||
        die "everybody may write to $dir" "chmod o-w $dir"
}

# Write standard input to the file $1 with mode $2 and group $3, whole or not at all.
write_file() {
    local new
    new=$(mktemp "$1.XXXXXX")
    cat >"$new"
    chown "root:$3" "$new"
    chmod "$2" "$new"
    mv -T "$new" "$1"
}

make_certificate() {
    local tls=$STATE_DIR/tls
    [ ! -e "$tls/cert.pem" ] || [ ! -e "$tls/key.pem" ] || return 0
    say "Making a certificate for localhost and $(uname -n) (tls/cert.pem)"
    openssl ecparam -name prime256v1 -genkey -noout | write_file "$tls/key.pem" 600 root
    openssl req -x509 -new -key "$tls/key.pem" -sha256 -days 3650 -config /dev/stdin <<END |
[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = localhost
[extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, DNS:$(uname -n), IP:127.0.0.1, IP:::1
END
        write_file "$tls/cert.pem" 644 root
}

# The line of an htpasswd file for user $1 and the password on standard input. A plain salted hash,
# because nginx checks it with every request: enough for random passwords, not for chosen ones.
htpasswd_line() {
    local password salt
    IFS= read -r password || true
    salt=$(openssl rand -hex 8)
    printf '%s:{SSHA}%s\n' "$1" "$({
        printf '%s%s' "$password" "$salt" | openssl dgst -sha1 -binary
        printf '%s' "$salt"
    } | openssl base64 -A)"
}

# Let user $1 in with the password on standard input, instead of any they had. nginx reads the file
# with every request.
set_password() {
    local file=$STATE_DIR/htpasswd line
    line=$(htpasswd_line "$1")
    (
        flock 8
        {
            [ ! -e "$file" ] || awk -F: -v name="$1" '$1 != name' "$file"
            printf '%s\n' "$line"
        } | write_file "$file" 640 www-data
    ) 8>"$STATE_DIR/htpasswd.lock"
}

new_password() {
    openssl rand -hex 16
}

make_admin() {
    local file=$STATE_DIR/admin-password
    if [ ! -e "$file" ]; then
        new_password | write_file "$file" 600 root
        set_password admin <"$file"
        say "Made the user admin with the password $(cat "$file") (kept in admin-password)"
    elif ! grep -qs '^admin:' "$STATE_DIR/htpasswd"; then
        set_password admin <"$file"
    fi
}

# What an admin edits begins as a copy, and is never touched again.
copy_yaml() {
    [ ! -e "$STATE_DIR/yaml" ] || return 0
    say "Copying the default configuration (yaml/)"
    rm -rf "$STATE_DIR/yaml.new"
    cp -R "$root/yaml" "$STATE_DIR/yaml.new"
    chgrp sandboxd "$STATE_DIR/yaml.new/access.yaml" # who may do what is not for everybody to read
    chmod 640 "$STATE_DIR/yaml.new/access.yaml"
    mv -T "$STATE_DIR/yaml.new" "$STATE_DIR/yaml"
}

# Fill STATE_DIR with what is missing in it.
state_dir_fill() {
    mkdir -p "$STATE_DIR"
    mkdir -p "$STATE_DIR"/{run,tls,nginx,log}
    chmod 750 "$STATE_DIR/log"
    make_certificate
    make_admin
    copy_yaml
}
