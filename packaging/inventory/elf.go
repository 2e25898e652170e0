package main

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// file is a binary of the release.
type file struct {
	name, sha256 string
}

func newFile(path string) (file, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return file{}, err
	}
	sum := sha256.Sum256(b)
	return file{base(path), hex.EncodeToString(sum[:])}, nil
}

// needs are what binaries ask of the system.
type needs struct {
	glibc     string   // the newest version that they can't do without
	libraries []string // base names of shared libraries
}

// readNeeds joins what the binaries need. Versions that are asked for weakly need not be there.
func readNeeds(paths []string) (needs, error) {
	var n needs
	var floor [2]int
	for _, path := range paths {
		f, err := elf.Open(path)
		if err != nil {
			return n, err
		}
		versions, err := f.DynamicVersionNeeds()
		libraries, err2 := f.ImportedLibraries()
		f.Close()
		if err := errors.Join(err, err2); err != nil {
			return n, fmt.Errorf("%s: %w", path, err)
		}
		for _, l := range versions {
			for _, v := range l.Needs {
				if version, ok := strings.CutPrefix(v.Dep, "GLIBC_"); ok && v.Flags&elf.VER_FLG_WEAK == 0 {
					if at := numbers(version); slices.Compare(at[:], floor[:]) > 0 {
						floor = at
					}
				}
			}
		}
		n.libraries = append(n.libraries, libraries...)
	}
	if floor == [2]int{} {
		return n, errors.New("none of the files asks for a version of glibc")
	}
	n.glibc = fmt.Sprintf("%d.%d", floor[0], floor[1])
	slices.Sort(n.libraries)
	n.libraries = slices.Compact(n.libraries)
	return n, nil
}

func numbers(version string) (n [2]int) {
	for i, part := range strings.SplitN(version, ".", 3) {
		if i < 2 {
			n[i], _ = strconv.Atoi(part)
		}
	}
	return n
}
