#!/bin/sh
# Builds and packs the commit that build/packages was made from once more, in another directory and
# without Go's caches of what was built, and compares:
#   packaging/reproducible.sh amd64|arm64
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
for library in "$here"/build/engine/linux-*/libwasmtime.a; do
    [ -e "$library" ] || continue
    mkdir -p build/engine
    cp -a "$(dirname "$library")" "$here/build/engine/include" build/engine/
done
find build -name libwasmtime.a -exec touch {} + # newer than its sources
# The command writes its manual page; of another architecture it does not run here.
own=
[ "$arch" != "$(go env GOHOSTARCH)" ] || own="-o build COMMAND=build/dist/linux-$arch/flb-wasmtime"
{ GOCACHE=$again/cache make dist ARCH="$arch" && make package ARCH="$arch" $own; } >"$again/log" 2>&1 || { cat "$again/log"; exit 1; }
cd build/packages
if ! (cd "$here/build/packages" && sha256sum -c --quiet SHA256SUMS); then
    echo "$0: build/packages is not what was made" >&2
    exit 1
fi
grep -F "$(printf '%s\n' *)" "$here/build/packages/SHA256SUMS" | grep -v ' SHA256SUMS$' | sha256sum -c
