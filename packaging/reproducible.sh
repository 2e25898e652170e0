#!/bin/sh
# Builds and packs the commit that build/packages was made from once more, in another directory and
# without Go's caches of what was built, and compares:
#   packaging/reproducible.sh amd64|arm64 [c]
# With c, only C is compiled once more, and linked with what Go's cache has: that takes a quarter of the time. Go's compiler
# repeats itself, as Go's own tests say; without -trimpath, which it needs for that, the cache has nothing.
# Compilers and the engine, which cargo repeats by its Cargo.lock, are those of build/.
set -eu
cd "$(dirname "$0")/.."
arch=$1
if [ -n "$(git status --porcelain)" ]; then
    echo "$0: there are changes that are in no commit" >&2
    exit 2
fi
again=$(mktemp -d)
trap 'chmod -R u+w "$again"; rm -rf "$again"' EXIT
git clone -q . "$again/another/directory"
here=$PWD
cd "$again/another/directory"
mkdir build
for tool in zig rust; do # compilers
    [ ! -e "$here/build/$tool" ] || ln -s "$here/build/$tool" build/
done
if [ "${ENGINE:-go}" = lts ]; then
    mkdir build/engine
    cp -a "$here"/build/engine/linux-* "$here/build/engine/include" build/engine/
    touch build/engine/linux-*/libwasmtime.a # newer than its sources
fi
# The command writes its manual page; of another architecture it does not run here.
own=
[ "$arch" != "$(go env GOHOSTARCH)" ] || own="-o build COMMAND=build/dist/linux-$arch/flb-wasmtime"
case ${2:-} in
    c) export CGO_CFLAGS="$(go env CGO_CFLAGS) -g" ;; # what it was, but not to the cache
    *) cache=$again/cache ;;
esac
{ GOCACHE=${cache:-$(go env GOCACHE)} make dist ARCH="$arch" && make package ARCH="$arch" $own; } >"$again/log" 2>&1 || { cat "$again/log"; exit 1; }
cd build/packages
if ! (cd "$here/build/packages" && sha256sum -c --quiet SHA256SUMS); then
    echo "$0: build/packages is not what was made" >&2
    exit 1
fi
grep -F "$(printf '%s\n' *)" "$here/build/packages/SHA256SUMS" | grep -v ' SHA256SUMS$' | sha256sum -c
