#!/bin/sh
# Refuses a tag that is not the version of the sources, and writes what CHANGELOG.md says of it:
#   packaging/release.sh vVERSION
set -eu
cd "$(dirname "$0")/.."
tag=$1
version=$(make -s version)
case $version in
    *-dev) echo "$0: the sources are of $version, which is not released" >&2; exit 1 ;;
esac
if [ "$tag" != "v$version" ]; then
    echo "$0: the tag is $tag, and internal/version has $version: the tag has to be v$version" >&2
    exit 1
fi
awk -v heading="## [$version] - " '
    index($0, heading) == 1 { found = 1; next }
    found && /^## / { exit }
    found { print }
    END { if (!found) exit 1 }' CHANGELOG.md ||
    { echo "$0: CHANGELOG.md has no entry for $version" >&2; exit 1; }
