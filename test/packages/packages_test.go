package packages

import (
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/version"
)

// release is the directory that make package has filled, which the environment variable PACKAGES
// names.
func release(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("PACKAGES")
	if dir == "" {
		t.Skip("PACKAGES is not set: .ci/run packages makes packages and tests them")
	}
	if !filepath.IsAbs(dir) {
		t.Fatalf("PACKAGES is %q: it has to be an absolute path", dir)
	}
	return dir
}

// architecture is one that a release may have, by its names.
type architecture struct {
	goarch, rpm string
	machine     elf.Machine
}

var architectures = []architecture{{"amd64", "x86_64", elf.EM_X86_64}, {"arm64", "aarch64", elf.EM_AARCH64}}

// packageVersion is the version as packages have it: 1.0.0~dev is before 1.0.0.
var packageVersion = strings.Replace(version.Version, "-", "~", 1)

func (a architecture) deb() string {
	return fmt.Sprintf("fluent-bit-wasmtime_%s_%s.deb", packageVersion, a.goarch)
}

func (a architecture) rpmFile() string {
	return fmt.Sprintf("fluent-bit-wasmtime-%s-1.%s.rpm", packageVersion, a.rpm)
}

func (a architecture) name() string {
	return fmt.Sprintf("fluent-bit-wasmtime-%s-linux-%s", version.Version, a.goarch)
}

// each runs a test for each architecture that the release has. That of this machine has to be there.
func each(t *testing.T, test func(t *testing.T, dir string, a architecture)) {
	dir := release(t)
	for _, a := range architectures {
		t.Run(a.goarch, func(t *testing.T) {
			if _, err := os.Stat(filepath.Join(dir, a.deb())); err != nil {
				if a.goarch == runtime.GOARCH {
					t.Fatal(err)
				}
				t.Skip("not packed")
			}
			test(t, dir, a)
		})
	}
}

func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skip("not tested: there is no " + program)
	}
}

func sum(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func TestChecksums(t *testing.T) {
	dir := release(t)
	text, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		want, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		listed[name] = true
		if got := sum(t, filepath.Join(dir, name)); got != want {
			t.Errorf("%s: %s is listed, and it has %s", name, want, got)
		}
	}
	for _, f := range listing(t, dir) {
		if f != "SHA256SUMS" && !listed[f] {
			t.Errorf("%s is not listed", f)
		}
	}
}

// unpacked is a tarball in a directory: the files that installed has, below PREFIX.
func unpacked(t *testing.T, dir string, a architecture) string {
	t.Helper()
	to := t.TempDir()
	run(t, "tar", "-C", to, "-xzf", filepath.Join(dir, a.name()+".tar.gz"))
	return filepath.Join(to, a.name())
}

func TestTarball(t *testing.T) {
	each(t, func(t *testing.T, dir string, a architecture) {
		tree := unpacked(t, dir, a)
		programs, docs := split(listing(t, tree))
		if diff := cmp.Diff(installed, programs); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		for _, d := range append([]string{"THIRD-PARTY-LICENSES", "sbom.cdx.json"}, documents...) {
			if !slices.Contains(docs, d) {
				t.Errorf("%s is not among the documents", d)
			}
		}
		for _, name := range []string{"bin/flb-wasmtime", "lib/fluent-bit/flb-filter_wasmtime.so"} {
			f, err := elf.Open(filepath.Join(tree, name))
			if err != nil {
				t.Fatal(err)
			}
			if f.Machine != a.machine {
				t.Errorf("%s is for %v, want %v", name, f.Machine, a.machine)
			}
			f.Close()
		}
	})
}

// floor is the newest version of glibc that objdump finds to be needed, weak references aside.
func floor(t *testing.T, paths ...string) string {
	t.Helper()
	highest := [2]int{}
	// Version References:
	//   required from libc.so.6:
	//     0x06969197 0x00 03 GLIBC_2.17
	need := regexp.MustCompile(`0x[0-9a-f]+ 0x([0-9a-f]+) \d+ GLIBC_(\d+)\.(\d+)`)
	for _, path := range paths {
		for _, m := range need.FindAllStringSubmatch(run(t, "objdump", "-p", path), -1) {
			var v [2]int
			fmt.Sscan(m[2], &v[0])
			fmt.Sscan(m[3], &v[1])
			if m[1] != "02" && slices.Compare(v[:], highest[:]) > 0 {
				highest = v
			}
		}
	}
	return fmt.Sprintf("%d.%d", highest[0], highest[1])
}

func TestDeb(t *testing.T) {
	needs(t, "dpkg-deb")
	each(t, func(t *testing.T, dir string, a architecture) {
		deb := filepath.Join(dir, a.deb())
		to := t.TempDir()
		run(t, "dpkg-deb", "-x", deb, to)
		glibc := floor(t, filepath.Join(to, "usr/bin/flb-wasmtime"), filepath.Join(to, "usr/lib/fluent-bit/flb-filter_wasmtime.so"))
		for field, want := range map[string]string{
			"Package": "fluent-bit-wasmtime", "Version": packageVersion, "Architecture": a.goarch,
			"Depends": "libc6 (>= " + glibc + ")", "Recommends": "fluent-bit",
		} {
			got := strings.TrimSpace(run(t, "dpkg-deb", "-f", deb, field))
			if got != want && !(field == "Depends" && got == want+", libgcc-s1 | libgcc1") {
				t.Errorf("%s: %q, want %q", field, got, want)
			}
		}
		want := strings.NewReplacer("man1/flb-wasmtime.1", "man1/flb-wasmtime.1.gz", "zsh/site-functions", "zsh/vendor-completions")
		files := listing(t, filepath.Join(to, "usr"))
		for _, f := range installed {
			if f = want.Replace(f); !slices.Contains(files, f) {
				t.Errorf("%s is missing", f)
			}
		}
		for _, f := range []string{"copyright", "THIRD-PARTY-LICENSES", "sbom.cdx.json"} {
			if !slices.Contains(files, doc+f) {
				t.Errorf("%s is missing", doc+f)
			}
		}
		for _, line := range strings.Split(strings.TrimSpace(run(t, "dpkg-deb", "-c", deb)), "\n") {
			if !strings.Contains(line, " root/root ") {
				t.Errorf("not of root: %s", line)
			}
		}
	})
}

// Debian's own check finds nothing to complain of, but for what its file of overrides names.
func TestLintian(t *testing.T) {
	needs(t, "lintian")
	each(t, func(t *testing.T, dir string, a architecture) {
		out, err := exec.Command("lintian", "--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0",
			filepath.Join(dir, a.deb())).CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

func TestRPM(t *testing.T) {
	needs(t, "rpm")
	each(t, func(t *testing.T, dir string, a architecture) {
		file := filepath.Join(dir, a.rpmFile())
		tree := unpacked(t, dir, a)
		query := func(format string) string { return run(t, "rpm", "-qp", "--queryformat", format, file) }
		if got, want := query("%{NAME} %{VERSION} %{ARCH} %{LICENSE}"), "fluent-bit-wasmtime "+packageVersion+" "+a.rpm+" Apache-2.0"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		glibc := floor(t, filepath.Join(tree, "bin/flb-wasmtime"), filepath.Join(tree, "lib/fluent-bit/flb-filter_wasmtime.so"))
		requires := strings.Fields(query("[%{REQUIRENAME}\n]"))
		if want := "libc.so.6(GLIBC_" + glibc + ")(64bit)"; !slices.Contains(requires, want) {
			t.Errorf("it requires %q, and not %q", requires, want)
		}
		files := strings.Split(query("[%{FILENAMES} -> %{FILELINKTOS}\n]"), "\n")
		for _, f := range installed {
			f = "/usr/" + strings.Replace(f, "flb-wasmtime.1", "flb-wasmtime.1.gz", 1)
			if !strings.Contains(f, " -> ") {
				f += " -> "
			}
			if !slices.Contains(files, f) {
				t.Errorf("%s is missing", f)
			}
		}
		// Directories of other packages are not this one's: their modes might differ.
		for _, f := range files {
			if f == "/usr -> " || f == "/usr/bin -> " || f == "/usr/lib -> " || f == "/usr/share -> " {
				t.Errorf("it has the directory %s", f)
			}
		}
		run(t, "rpm", "-K", "--nosignature", file)
	})
}

type bom struct {
	Components []struct {
		Ref      string `json:"bom-ref"`
		Name     string
		Version  string
		PURL     string
		Licenses []struct{ Expression string }
		Hashes   []struct{ Alg, Content string }
	}
	Dependencies []struct {
		Ref       string
		DependsOn []string
	}
}

// crateFile is a source file of a crate, as the binaries name it where they may panic.
var crateFile = regexp.MustCompile(`/([a-zA-Z0-9_-]+)-(\d+\.\d+\.\d+)/src/`)

// The bill of materials has the binaries, each Go module that they say they are linked from, and each
// crate that shows in them, all with licences, whose texts are there.
func TestBill(t *testing.T) {
	each(t, func(t *testing.T, dir string, a architecture) {
		tree := unpacked(t, dir, a)
		text, err := os.ReadFile(filepath.Join(dir, a.name()+".cdx.json"))
		if err != nil {
			t.Fatal(err)
		}
		inTarball, err := os.ReadFile(filepath.Join(tree, doc, "sbom.cdx.json"))
		if err != nil || string(inTarball) != string(text) {
			t.Errorf("the tarball has another one: %v", err)
		}
		var b bom
		if err := json.Unmarshal(text, &b); err != nil {
			t.Fatal(err)
		}
		hashes, purls := map[string]string{}, map[string]bool{}
		for _, c := range b.Components {
			purls[c.PURL] = true
			if len(c.Hashes) > 0 {
				hashes[c.Name] = c.Hashes[0].Content
			}
			if len(c.Licenses) == 0 || c.Licenses[0].Expression == "" {
				t.Errorf("%s has no licence", c.Ref)
			}
		}
		notices, err := os.ReadFile(filepath.Join(tree, doc, "THIRD-PARTY-LICENSES"))
		if err != nil {
			t.Fatal(err)
		}
		crates := 0
		for _, name := range []string{"bin/flb-wasmtime", "lib/fluent-bit/flb-filter_wasmtime.so"} {
			path := filepath.Join(tree, name)
			if got := sum(t, path); hashes[filepath.Base(name)] != got {
				t.Errorf("%s: hash %q, want %q", name, hashes[filepath.Base(name)], got)
			}
			at := slices.IndexFunc(b.Dependencies, func(d struct {
				Ref       string
				DependsOn []string
			}) bool {
				return d.Ref == "file:"+filepath.Base(name)
			})
			if at < 0 {
				t.Fatalf("no dependencies of %s", name)
			}
			has := func(purl, line string) {
				if !purls[purl] || !slices.Contains(b.Dependencies[at].DependsOn, purl) {
					t.Errorf("%s: %s is missing", name, purl)
				}
				if !strings.Contains(string(notices), "  "+line+" ") {
					t.Errorf("%s: the licence of %s is missing", name, line)
				}
			}
			info, err := buildinfo.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range info.Deps {
				has("pkg:golang/"+m.Path+"@"+m.Version, m.Path+" "+m.Version)
			}
			has("pkg:golang/std@"+strings.TrimPrefix(info.GoVersion, "go"), "standard library "+strings.TrimPrefix(info.GoVersion, "go"))
			binary, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range crateFile.FindAllSubmatch(binary, -1) {
				has(fmt.Sprintf("pkg:cargo/%s@%s", m[1], m[2]), fmt.Sprintf("%s %s", m[1], m[2]))
				crates++
			}
		}
		if crates == 0 {
			t.Error("no crate shows in the binaries: nothing was compared")
		}
		for _, words := range []string{"Permission is hereby granted, free of charge", "Version 2.0, January 2004", "LLVM Exceptions to the Apache 2.0 License"} {
			if !strings.Contains(string(notices), words) {
				t.Errorf("%q is not among the licences", words)
			}
		}
	})
}

// validator checks a file against CycloneDX's own schema, and the expressions of its licences.
const validator = `
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())
if error: sys.exit(str(error)[:2000])
import json
from license_expression import get_spdx_licensing
spdx = get_spdx_licensing()
for c in json.load(open(sys.argv[1]))["components"]:
    for l in c["licenses"]:
        spdx.parse(l["expression"], validate=True, strict=True)
`

func TestBillSchema(t *testing.T) {
	if err := exec.Command("python3", "-c", "import cyclonedx.validation.json, jsonschema, license_expression").Run(); err != nil {
		t.Skip("not tested: python3 has no cyclonedx")
	}
	each(t, func(t *testing.T, dir string, a architecture) {
		run(t, "python3", "-c", validator, filepath.Join(dir, a.name()+".cdx.json"))
	})
}

// The manual page and the completions are what their readers can read.
func TestShells(t *testing.T) {
	tree := unpacked(t, release(t), architectures[slices.IndexFunc(architectures, func(a architecture) bool { return a.goarch == runtime.GOARCH })])
	for _, s := range []struct {
		program string
		args    []string
	}{
		{"bash", []string{"-n", filepath.Join(tree, "share/bash-completion/completions/flb-wasmtime")}},
		{"zsh", []string{"-n", filepath.Join(tree, "share/zsh/site-functions/_flb-wasmtime")}},
		{"fish", []string{"-n", filepath.Join(tree, "share/fish/vendor_completions.d/flb-wasmtime.fish")}},
		// The page has no date, and long lines.
		{"mandoc", []string{"-T", "lint", "-W", "error", filepath.Join(tree, "share/man/man1/flb-wasmtime.1")}},
	} {
		t.Run(s.program, func(t *testing.T) {
			needs(t, s.program)
			run(t, s.program, s.args...)
		})
	}
}
