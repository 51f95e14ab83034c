# shellcheck shell=bash
# The `base` template's image: busybox and the few files that programs expect, made here, so that no
# registry is needed. Sourced, not run.

base_image=sandbox-base
base_path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# Lay the image's files out in the directory $1.
base_image_tree() {
    local tree=$1 applet
    chmod 755 "$tree" # it becomes the container's root, with some storage drivers with its mode
    mkdir -p "$tree"/{bin,dev,etc,home,proc,root,run,sys,tmp,usr/bin,var/tmp}
    chmod 1777 "$tree/tmp" "$tree/var/tmp"
    chmod 700 "$tree/root"
    cp "$(command -v busybox)" "$tree/bin/busybox"
    for applet in $("$tree/bin/busybox" --list); do
        [ "$applet" = busybox ] || ln -s busybox "$tree/bin/$applet"
    done
    ln -s ../../bin/busybox "$tree/usr/bin/env"
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$tree/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$tree/etc/group"
}

base_image_exists() {
    engine_call "$1" "/images/$base_image:latest/json" --fail --max-time 10 --output /dev/null
}

# Give the engine at $1 the image, if it has none of that name.
base_image_make() {
    local host=$1 tree answer
    ! base_image_exists "$host" || return 0
    say "Making the image $base_image from busybox"
    tree=$(mktemp -d)
    base_image_tree "$tree"
    answer=$(tar -C "$tree" --numeric-owner --owner=0 --group=0 -c . | engine_call "$host" \
        "/images/create?fromSrc=-&repo=$base_image&tag=latest&changes=ENV%20PATH%3D$base_path" \
        --request POST --header 'Content-Type: application/x-tar' --data-binary @- --max-time 120) ||
        true
    rm -rf "$tree"
    base_image_exists "$host" || die "the engine did not take the image $base_image: $answer" \
        "is there room on the disk of the engine's data?"
}
