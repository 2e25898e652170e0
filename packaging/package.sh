#!/bin/sh
# Makes the packages of a release from binaries that are there:
#   packaging/package.sh amd64|arm64 DIRECTORY-OF-BINARIES DIRECTORY-OF-PACKAGES
# Two runs give the same bytes: times are SOURCE_DATE_EPOCH, or the last commit's.
set -eu
cd "$(dirname "$0")/.."
umask 022
export LC_ALL=C TZ=UTC0

nfpm=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.0
name=fluent-bit-wasmtime

arch=$1
from=$2
out=$3
case $arch in
    amd64) machine=x86_64 ;;
    arm64) machine=aarch64 ;;
    *) echo "$0: $arch is neither amd64 nor arm64" >&2; exit 2 ;;
esac

# Which of these engines was linked, the binaries show.
crates=$(echo packaging/crates/*.json | tr ' ' ,)
engine=build/engine/linux-$machine
if [ -e "$engine/libwasmtime.a" ]; then
    rust=$PWD/build/rust/usr # which engine/build has got from Debian if there was no other
    PATH=$rust/bin:$PATH LD_LIBRARY_PATH=$rust/lib/x86_64-linux-gnu:$rust/lib/aarch64-linux-gnu \
        go run ./packaging/inventory crates -manifest engine/Cargo.toml -library "$engine/libwasmtime.a" -o "$engine/crates.json"
    crates=$crates,$engine/crates.json
fi

version=$(make -s version)
package=$(echo "$version" | sed s/-/~/) # before the release
maintainer="The $name authors <$name@users.noreply.github.com>"
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) ||
        { echo "$0: without git set SOURCE_DATE_EPOCH to the time of the sources" >&2; exit 2; }
fi
export SOURCE_DATE_EPOCH

stage=build/stage/linux-$arch
doc=share/doc/$name
rm -rf "$stage"
mkdir -p "$stage" "$out"

# As a tarball has it: what make install installs, below a directory of the release's name.
release=$name-$version-linux-$arch
tree=$stage/$release
make -s install FROM="$from" DESTDIR="$PWD/$tree" PREFIX=
go run ./packaging/inventory write -crates "$crates" -version "$version" \
    -notices "$tree/$doc/THIRD-PARTY-LICENSES" -sbom "$tree/$doc/sbom.cdx.json" "$from/flb-filter_wasmtime.so" "$from/flb-wasmtime"
cp "$tree/$doc/sbom.cdx.json" "$out/$release.cdx.json"

stamp() { find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +; }
stamp "$tree"
tar -C "$stage" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" --format=gnu \
    -cf - "$release" | gzip -9n >"$out/$release.tar.gz"

# As distributions have it.
glibc='' libraries=''
eval "$(go run ./packaging/inventory needs "$from/flb-filter_wasmtime.so" "$from/flb-wasmtime")"
for format in deb rpm; do
    root=$stage/$format
    mkdir -p "$root"
    cp -a "$tree" "$root/usr"
    gzip -9n "$root/usr/share/man/man1/flb-wasmtime.1"
    if [ $format = deb ]; then
        mkdir "$root/usr/share/zsh/vendor-completions"
        mv "$root"/usr/share/zsh/site-functions/* "$root/usr/share/zsh/vendor-completions/"
        rmdir "$root/usr/share/zsh/site-functions"
        rm "$root/usr/$doc/LICENSE"
        cp packaging/copyright "$root/usr/$doc/copyright"
        gzip -9n >"$root/usr/$doc/changelog.gz" <<EOF
$name ($package) unstable; urgency=medium

  * Its changes are in CHANGELOG.md.

 -- $maintainer  $(date -R -d "@$SOURCE_DATE_EPOCH")
EOF
        mkdir -p "$root/usr/share/lintian/overrides"
        cp packaging/lintian-overrides "$root/usr/share/lintian/overrides/$name"
    fi
    stamp "$root"
    {
        cat <<EOF
name: $name
arch: $arch
version: $version
version_schema: semver
maintainer: $maintainer
description: |
  WebAssembly filters, processors and outputs for Fluent Bit, run by wasmtime
  A plugin for stock Fluent Bit, 1.9 to 5.1, in place of its wasm filter: the
  same modules, compiled instead of interpreted, within bounds of time and
  memory. The command flb-wasmtime runs, checks and measures modules without
  Fluent Bit.
homepage: https://github.com/fluent-bit-wasmtime/fluent-bit-wasmtime
license: Apache-2.0
section: admin
priority: optional
recommends: [fluent-bit]
rpm:
  group: Applications/System
  summary: WebAssembly filters, processors and outputs for Fluent Bit, run by wasmtime
  buildhost: localhost
contents:
  - {src: $root/, dst: /, type: tree}
overrides:
  deb:
    depends:
      - libc6 (>= $glibc)
EOF
        case " $libraries " in *" libgcc_s.so.1 "*) echo "      - libgcc-s1 | libgcc1" ;; esac
        cat <<EOF
  rpm:
    contents:
      - {src: $root/, dst: /, type: tree}
      # Of shells that need not be there.
      - {dst: /usr/share/fish, type: dir}
      - {dst: /usr/share/fish/vendor_completions.d, type: dir}
      - {dst: /usr/share/zsh, type: dir}
      - {dst: /usr/share/zsh/site-functions, type: dir}
    depends:
      - libc.so.6(GLIBC_$glibc)(64bit)
EOF
        for library in $libraries; do
            case $library in ld-linux* | libc.so.6) ;; *) echo "      - $library()(64bit)" ;; esac
        done
    } >"$stage/$format.yaml"
done
go run $nfpm package -f "$stage/deb.yaml" -p deb -t "$out/${name}_${package}_$arch.deb"
go run $nfpm package -f "$stage/rpm.yaml" -p rpm -t "$out/$name-$package-1.$machine.rpm"

(cd "$out" && sha256sum -- *.deb *.rpm *.tar.gz *.cdx.json >SHA256SUMS)
