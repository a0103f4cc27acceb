# What is needed from Debian 12 and later, and how it is installed. Sourced by the other scripts.
# shellcheck shell=bash

build_packages=(
        gcc libc6-dev meson ninja-build pkgconf
        libmicrohttpd-dev libgnutls28-dev libcurl4-openssl-dev libconfig-dev libjson-c-dev
        libsqlite3-dev libssl-dev libsystemd-dev libunistring-dev libuv1-dev uthash-dev
)
fuzz_packages=(clang libclang-rt-dev)
coverage_packages=(gcovr)
demo_packages=(curl python3)
test_packages=(
        bash-completion curl libcmocka-dev man-db mandoc nghttp2-proxy openssl procps
        python3 python3-h2 python3-jsonschema python3-pytest python3-pytest-xdist python3-yaml slowhttptest
        sqlite3 systemd valgrind
)
browser_packages=(chromium) # Ubuntu offers it as a snap only, and the tests in a browser are skipped
package_packages=(build-essential debhelper dpkg-dev git lintian)
boot_packages=(debootstrap dpkg-dev systemd-container)

# as_root COMMAND...: runs it as root, through sudo when not root.
as_root() {
        if [ "$(id -u)" -eq 0 ]; then
                "$@"
        elif command -v sudo >/dev/null; then
                sudo "$@"
        else
                printf 'packages are missing, and there is no sudo; as root run: %s\n' \
                        "apt-get install ${missing[*]-}" >&2
                return 1
        fi
}

# install_packages NAME...: installs those that are missing, through sudo when not root.
install_packages() {
        local name missing=()
        for name in "$@"; do
                [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] ||
                        missing+=("$name")
        done
        [ "${#missing[@]}" -gt 0 ] || return 0
        printf 'installing: %s\n' "${missing[*]}"
        as_root apt-get update -qq || return
        as_root env DEBIAN_FRONTEND=noninteractive \
                apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# install_offered NAME...: like install_packages, but without those that this release does not offer.
install_offered() {
        local name
        for name in "$@"; do
                LC_ALL=C apt-cache policy "$name" | grep 'Candidate: [^(]' >/dev/null || continue
                install_packages "$name"
        done
}

# build_in FOLDER [MESON OPTION...]: configures once, and builds what has changed.
build_in() {
        local folder=$1 # relative to the repository; its log stands beside it
        shift
        local log=$folder.log
        {
                # Options given to an earlier configuration do not count: they are set again.
                if [ -f "$folder/build.ninja" ]; then
                        [ $# -eq 0 ] || meson configure "$folder" "$@"
                else
                        meson setup "$folder" "$@"
                fi && ninja -C "$folder"
        } >"$log" 2>&1 || {
                cat "$log" >&2
                return 1
        }
}

# download PACKAGE...: the first of them that there is, into the working directory.
download() {
        local package
        for package in "$@"; do
                apt-get download -qq "$package" && return
        done
        return 1
}

# use_program PROGRAM PACKAGE...: sees to it that a program is there. It is taken out of its
# package, which may have another name in each release: installing it could start a service.
use_program() {
        local program=$1 folder=$PWD/build-programs as_root=()
        shift
        PATH=$folder:$PATH
        command -v "$program" >/dev/null && return
        printf 'fetching: %s\n' "$program"
        [ "$(id -u)" -eq 0 ] || as_root=(sudo)
        rm -rf "$folder/new"
        mkdir -p "$folder/new"
        (
                cd "$folder/new"
                download "$@" 2>/dev/null || {
                        "${as_root[@]}" apt-get update -qq
                        download "$@" || {
                                printf 'apt has no package with %s: %s\n' "$program" "$*" >&2
                                exit 1
                        }
                }
                dpkg-deb --fsys-tarfile ./*.deb | tar -xO "./usr/bin/$program" >"$program"
                chmod 755 "$program"
                mv "$program" ..
        )
        rm -rf "$folder/new"
}
