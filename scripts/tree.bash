# Trees of Debian releases, for the scripts that try solvegate in one: built with debootstrap, entered
# with systemd-nspawn. Sourced after packages.bash.
# shellcheck shell=bash

releases=(bookworm trixie)

cannot_run() {
        printf 'cannot run here: %s\n' "$1" >&2
        exit 77
}

# require_release NAME: ends the script with 2 if there is no such release.
require_release() {
        [[ " ${releases[*]} " == *" $1 "* ]] || {
                printf 'unknown release %s; one of: %s\n' "$1" "${releases[*]}" >&2
                exit 2
        }
}

# this_release: the name of this machine's.
this_release() {
        (. /etc/os-release && printf '%s\n' "${VERSION_CODENAME-}")
}

# require_trees: ends the script with 77 where no tree can be built or entered.
require_trees() {
        local program
        [ "$(id -u)" -eq 0 ] || cannot_run "only root may enter a tree; try: sudo $0"
        install_packages "${boot_packages[@]}" || true
        for program in systemd-nspawn debootstrap; do
                command -v "$program" >/dev/null ||
                        cannot_run "there is no $program; install: ${boot_packages[*]}"
        done
}

# mirror_of_apt RELEASE: where apt of this machine gets that release from, or else another one of
# Debian: a mirror has them all.
mirror_of_apt() {
        apt-get indextargets --format '$(CODENAME) $(ORIGIN) $(COMPONENT) $(REPO_URI)' \
                'Created-By: Packages' | grep -v -- '-\(security\|updates\|backports\) ' |
                grep ' Debian main ' | sort -k "1,1" |
                awk -v release="$1" '$1 == release { first = $4 } { other = $4 }
                        END { print first != "" ? first : other }'
}

# find_mirror RELEASE: as mirror_of_apt, but an address, or nothing where there is none. In Debian's
# cloud images apt reads the addresses from a file, which debootstrap does not.
find_mirror() {
        local mirror
        mirror=$(mirror_of_apt "$1") || true
        case $mirror in
        mirror+file:*)
                mirror=${mirror#mirror+file:}
                grep -o -m 1 '^[a-z]*://[^[:space:]]*' "${mirror%/}" || true
                ;;
        *) printf '%s\n' "$mirror" ;;
        esac
}

# use_proxy: debootstrap does not read apt's configuration.
use_proxy() {
        local proxy=''
        eval "$(apt-config shell proxy Acquire::http::Proxy)"
        case $proxy in '' | DIRECT) return ;; esac # DIRECT is apt's word for none
        export http_proxy=$proxy https_proxy=$proxy
}

container=(
        systemd-nspawn --quiet --register=no --keep-unit --timezone=off --link-journal=no
        --console=pipe --hostname=debian
)

# check_container TREE LOG: ends the script with 77 where no container can be started.
check_container() {
        "${container[@]}" --resolv-conf=off -D "$1" /bin/true </dev/null >"$2" 2>&1 ||
                cannot_run "systemd-nspawn starts no container: $(tail -n 1 "$2")"
}

# in_tree TREE COMMAND...: runs it there as root, with this machine's network.
in_tree() {
        local tree=$1
        shift
        "${container[@]}" --resolv-conf=replace-host -D "$tree" "$@" </dev/null
}

# build_base TREE RELEASE PACKAGE...: a Debian of that release with these packages, and those they
# need. Its apt fetches as that of this machine does.
build_base() {
        local tree=$1 release=$2 log=$1.log mirror
        shift 2
        mirror=$(find_mirror "$release")
        [ -n "$mirror" ] || cannot_run "apt has no mirror of Debian; if it should have one, run: apt-get update"
        use_proxy
        rm -rf "$tree.new"
        printf 'building a tree of Debian %s in %s\n' "$release" "$tree"
        debootstrap --variant=minbase "$release" "$tree.new" "$mirror" >"$log" 2>&1 || {
                tail -n 5 "$log" >&2
                cannot_run "debootstrap could not build the tree, see $log"
        }
        check_container "$tree.new" "$log"
        printf '%s\n' '127.0.0.1 localhost' '127.0.1.1 debian' '::1 localhost' >"$tree.new/etc/hosts"
        apt-config dump | grep '^Acquire::[^"]* "' >"$tree.new/etc/apt/apt.conf.d/90acquire" || true
        in_tree "$tree.new" /bin/sh -c 'apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
                apt-get install -y -qq --no-install-recommends "$@" && apt-get clean' \
                sh "$@" >"$log" 2>&1 || {
                tail -n 5 "$log" >&2
                cannot_run "apt could not install what the tree needs, see $log"
        }
        mv "$tree.new" "$tree"
}

# clone_to TREE DIRECTORY OWNER: what is committed.
clone_to() {
        git clone -q --no-hardlinks . "$1$2"
        chroot "$1" chown -R "$3:" "$2"
}
