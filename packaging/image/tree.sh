#!/bin/sh
# Assembles what the images for an architecture hold, from the tarball of the release:
#   packaging/image/tree.sh amd64|arm64
set -eu
cd "$(dirname "$0")/../.."
umask 022
arch=$1
release=fluent-bit-wasmtime-$(make -s version)-linux-$arch
doc=usr/share/doc/fluent-bit-wasmtime
tree=build/image/linux-$arch
rm -rf "$tree"
mkdir -p "$tree/$doc" "$tree/usr/lib"
tar -C "$tree/usr" --strip-components=1 -xzf "build/packages/$release.tar.gz" \
    "$release/lib/fluent-bit" "$release/share/doc/fluent-bit-wasmtime/LICENSE" \
    "$release/share/doc/fluent-bit-wasmtime/THIRD-PARTY-LICENSES" "$release/share/doc/fluent-bit-wasmtime/sbom.cdx.json"
CGO_ENABLED=0 GOOS=linux GOARCH=$arch go build -trimpath -ldflags='-s -w -buildid=' -o "$tree/install" ./packaging/image/install
