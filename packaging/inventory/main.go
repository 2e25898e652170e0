// Inventory says what is inside the plugin and the command: the Go modules that their build
// information lists, and the Rust crates of the engine, with licences. Packages have its output.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const usage = `usage:
  inventory crates {-manifest FILE | -published VERSION} -library FILE -o FILE
  inventory write -crates FILE[,FILE] -notices FILE -sbom FILE -version VERSION BINARY ...
  inventory needs BINARY ...
crates lists what is in a library of wasmtime's C API: of a Cargo.toml, or of wasmtime's release.
write makes the licences and the list of parts of a release. needs says, as variables of a shell,
the oldest glibc that binaries load with, and which libraries they ask for.
`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "inventory:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		args = []string{""}
	}
	flags := flag.NewFlagSet(args[0], flag.ExitOnError)
	switch args[0] {
	case "crates":
		manifest := flags.String("manifest", "", "")
		published := flags.String("published", "", "")
		library := flags.String("library", "", "")
		out := flags.String("o", "", "")
		_ = flags.Parse(args[1:])
		var e *engine
		var err error
		if *published != "" {
			e, err = publishedEngine(*published, *library)
		} else {
			e, err = newEngine(*manifest, *library)
		}
		if err != nil {
			return err
		}
		return e.write(*out)
	case "write":
		crates := flags.String("crates", "", "")
		notices := flags.String("notices", "", "")
		sbom := flags.String("sbom", "", "")
		version := flags.String("version", "", "")
		_ = flags.Parse(args[1:])
		return writeAll(strings.Split(*crates, ","), *notices, *sbom, *version, flags.Args())
	case "needs":
		n, err := readNeeds(args[1:])
		if err == nil {
			fmt.Printf("glibc=%s\nlibraries=%q\n", n.glibc, strings.Join(n.libraries, " "))
		}
		return err
	}
	fmt.Fprint(os.Stderr, usage)
	return fmt.Errorf("unknown command %q", args[0])
}

// component is a Go module, a crate, or a standard library.
type component struct {
	Name     string   `json:"name"`
	Version  string   `json:"version"`
	License  string   `json:"license"`            // an expression of SPDX
	Checksum string   `json:"checksum,omitempty"` // SHA-256 of the crate, in hexadecimal
	Texts    []string `json:"texts,omitempty"`    // what identifies its licences in texts

	purl string
	in   map[string]bool // base names of binaries
}

// texts are licences by what identifies them: two that differ in blanks alone are one.
type texts map[string]string

func writeAll(crateFiles []string, noticesPath, sbomPath, version string, binaries []string) error {
	var engines []*engine
	for _, path := range crateFiles {
		e, err := readEngine(path)
		if err != nil {
			return err
		}
		engines = append(engines, e)
	}
	licenses := texts{}
	var files []file
	modules := map[string]*component{}
	var linked *engine
	for _, path := range binaries {
		f, err := newFile(path)
		if err != nil {
			return err
		}
		files = append(files, f)
		if err := goModules(path, modules); err != nil {
			return err
		}
		e, err := engineOf(path, engines)
		if err != nil {
			return err
		}
		if linked != nil && e != linked {
			return fmt.Errorf("%s has %s in it, and %s %s", path, e.Name, binaries[0], linked.Name)
		}
		linked = e
	}
	goComponents, err := readGoLicenses(modules, licenses)
	if err != nil {
		return err
	}
	crates := linked.components(files, licenses)
	epoch, err := sourceDate()
	if err != nil {
		return err
	}
	b := bill{version: version, date: epoch, engine: linked.Name, files: files, goModules: goComponents, crates: crates}
	if err := os.WriteFile(noticesPath, b.notices(licenses), 0o644); err != nil {
		return err
	}
	json, err := b.cycloneDX()
	if err != nil {
		return err
	}
	return os.WriteFile(sbomPath, json, 0o644)
}

// bill is what is in a release for one machine.
type bill struct {
	version   string
	date      time.Time
	engine    string
	files     []file
	goModules []*component
	crates    []*component
}

// sourceDate is SOURCE_DATE_EPOCH, as https://reproducible-builds.org/specs/source-date-epoch/
// has it: what is written twice is to be the same.
func sourceDate() (time.Time, error) {
	var seconds int64
	if _, err := fmt.Sscan(os.Getenv("SOURCE_DATE_EPOCH"), &seconds); err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q: it has to be a number of seconds", os.Getenv("SOURCE_DATE_EPOCH"))
	}
	return time.Unix(seconds, 0).UTC(), nil
}

func base(path string) string { return filepath.Base(path) }
