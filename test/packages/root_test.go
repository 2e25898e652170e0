package packages

import (
	"bytes"
	"io/fs"
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
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/oracle"
)

// bareRoot is a system in a directory, of which nothing but its base is installed. The environment
// variable PACKAGES_ROOTS lists those to test in, which debootstrap has made.
type bareRoot struct{ dir string }

func roots(t *testing.T) []string {
	release(t)
	list := filepath.SplitList(os.Getenv("PACKAGES_ROOTS"))
	if len(list) == 0 {
		t.Skip("PACKAGES_ROOTS is not set: .ci/run packages makes roots and names them")
	}
	return list
}

// newRoot copies a root, which a test may then change.
func newRoot(t *testing.T, base string) bareRoot {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("not tested: only root can enter another root")
	}
	dir := filepath.Join(t.TempDir(), "root")
	run(t, "cp", "-a", base, dir)
	return bareRoot{dir}
}

// enter runs a program in the root, with /proc where it may be mounted.
func (r bareRoot) enter(args ...string) (stdout, stderr string, err error) {
	script := `mount -t proc proc "$0/proc" 2>/dev/null; exec chroot "$0" "$@"`
	cmd := exec.Command("unshare", append([]string{"--mount", "--propagation", "private", "sh", "-c", script, r.dir}, args...)...)
	if exec.Command("unshare", "--mount", "true").Run() != nil {
		cmd = exec.Command("chroot", append([]string{r.dir}, args...)...)
	}
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=/root", "DEBIAN_FRONTEND=noninteractive"}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

func (r bareRoot) run(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, err := r.enter(args...)
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(args, " "), err, stdout, stderr)
	}
	return stdout
}

// put copies a file into the root.
func (r bareRoot) put(t *testing.T, from, to string) {
	t.Helper()
	to = filepath.Join(r.dir, to)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, "cp", "-L", from, to)
}

// files are those of the root, without the notes that package managers keep.
func (r bareRoot) files(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	err := filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(r.dir, path)
		if slices.Contains([]string{"proc", "var/lib/dpkg", "var/lib/rpm", "root/.rpmdb", "var/log", "var/cache", "usr/lib/sysimage"}, name) {
			return fs.SkipDir
		}
		found[name] = true
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// where the packages put the documentation, and a tarball unpacked in /usr/local.
const (
	usrDoc   = "/usr/" + doc
	localDoc = "/usr/local/" + doc
)

// filters runs each example that has a module, with the command that is on PATH.
func (r bareRoot) filters(t *testing.T, doc string) {
	t.Helper()
	if out := r.run(t, "flb-wasmtime", "version"); !strings.HasPrefix(out, "flb-wasmtime "+version.Version) {
		t.Errorf("flb-wasmtime version says %q", out)
	}
	ran := 0
	configs, err := filepath.Glob(filepath.Join(r.dir, doc, "examples/*/fluent-bit.conf"))
	if err != nil {
		t.Fatal(err)
	}
	bare, err := filepath.Glob(filepath.Join(r.dir, doc, "examples/*/bare/fluent-bit.conf"))
	if err != nil {
		t.Fatal(err)
	}
	configs = append(configs, bare...)
	for _, config := range configs {
		dir := filepath.Dir(config)
		if modules, _ := filepath.Glob(filepath.Join(dir, "*.wasm")); len(modules) == 0 {
			continue
		}
		example := strings.TrimSuffix(dir, "/bare")
		name, form := filepath.Base(example), strings.TrimPrefix(dir, example)
		// Paths in the configurations of examples count from the directory above.
		out := r.run(t, "sh", "-c", `cd "$1" && exec flb-wasmtime run --config "examples/$2$3/fluent-bit.conf" --tag app.web --time 2023-11-14T22:13:20.123456789Z "examples/$2/input.ndjson"`, "sh", doc, name, form)
		want, err := os.ReadFile(filepath.Join(example, "expected.ndjson"))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(oracle.JSONValues(t, want), oracle.JSONValues(t, []byte(out))); diff != "" {
			t.Errorf("%s%s:\n%s", name, form, diff)
		}
		ran++
	}
	if ran < 3 {
		t.Errorf("%d examples were run", ran)
	}
}

// loads opens the plugin by each of its names, as Fluent Bit does, with what a bare Debian has for that.
func (r bareRoot) loads(t *testing.T, plugins string) {
	t.Helper()
	for name, symbol := range map[string]string{
		"flb-filter_wasmtime.so":    "filter_wasmtime_plugin",
		"flb-filter_wasm.so":        "filter_wasm_plugin",
		"flb-processor_wasmtime.so": "processor_wasmtime_plugin",
		"out_wasmtime.so":           "FLBPluginRegister",
	} {
		r.run(t, "perl", "-MDynaLoader", "-e", `
			my $object = DynaLoader::dl_load_file($ARGV[0], 0) or die DynaLoader::dl_error();
			DynaLoader::dl_find_symbol($object, $ARGV[1]) or die DynaLoader::dl_error();`, filepath.Join(plugins, name), symbol)
	}
}

var library = regexp.MustCompile(`(?m)=> (/\S+)`)

// putFluentBit copies a Fluent Bit with what the root lacks of its libraries, and reports whether
// it runs there.
func (r bareRoot) putFluentBit(t *testing.T, path string) (ok bool) {
	t.Helper()
	r.put(t, path, "/opt/fluent-bit/bin/fluent-bit")
	for _, m := range library.FindAllStringSubmatch(run(t, "ldd", path), -1) {
		name := filepath.Base(m[1])
		found, _ := filepath.Glob(filepath.Join(r.dir, "lib/*-linux-gnu", name))
		usr, _ := filepath.Glob(filepath.Join(r.dir, "usr/lib/*-linux-gnu", name))
		if len(found)+len(usr) == 0 {
			r.put(t, m[1], "/opt/fluent-bit/lib/"+name)
		}
	}
	_, _, err := r.enter("env", "LD_LIBRARY_PATH=/opt/fluent-bit/lib", "/opt/fluent-bit/bin/fluent-bit", "--version")
	return err == nil
}

// fluentBits runs the project's own configuration in the Fluent Bits of the environment: secrets
// are masked there.
func (r bareRoot) fluentBits(t *testing.T, doc, plugins string) {
	t.Helper()
	binaries, err := fluentbit.Find()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range binaries {
		if !r.putFluentBit(t, b.Path) {
			t.Logf("Fluent Bit %s does not run here: it was linked against a newer system", b.Version)
			continue
		}
		out := r.run(t, "sh", "-c", `cd "$1" && LD_LIBRARY_PATH=/opt/fluent-bit/lib exec /opt/fluent-bit/bin/fluent-bit -e "$2/flb-filter_wasmtime.so" -e "$2/out_wasmtime.so" -c fluent-bit.conf`, "sh", doc, plugins)
		records, masked := 0, 0
		for line := range strings.Lines(out) {
			if strings.HasPrefix(line, "{") {
				records++
				if strings.Contains(line, "***") {
					masked++
				}
			}
		}
		sample, err := os.ReadFile(filepath.Join(r.dir, doc, "examples/sample.ndjson"))
		if err != nil {
			t.Fatal(err)
		}
		if want := bytes.Count(sample, []byte("\n")); records != want || masked == 0 {
			t.Errorf("Fluent Bit %s: %d records came out, want %d; %d of them masked:\n%.2000s", b.Version, records, want, masked, out)
		}
		t.Logf("Fluent Bit %s: %d records, %d masked", b.Version, records, masked)
	}
	run(t, "rm", "-rf", filepath.Join(r.dir, "opt/fluent-bit"))
}

// A package is installed in a root, filters there, and leaves nothing when it is removed.
func TestRoot(t *testing.T) {
	this := architectures[slices.IndexFunc(architectures, func(a architecture) bool { return a.goarch == runtime.GOARCH })]
	for _, base := range roots(t) {
		dir := release(t)
		for _, way := range []struct {
			name, doc, plugins string
			install, remove    func(t *testing.T, r bareRoot)
		}{
			{"deb", usrDoc, "/usr/lib/fluent-bit",
				func(t *testing.T, r bareRoot) {
					r.put(t, filepath.Join(dir, this.deb()), "/tmp/this.deb")
					r.run(t, "dpkg", "-i", "/tmp/this.deb")
					if err := os.Remove(filepath.Join(r.dir, "tmp/this.deb")); err != nil {
						t.Fatal(err)
					}
					if out := r.run(t, "dpkg", "--verify", "fluent-bit-wasmtime"); out != "" {
						t.Errorf("dpkg --verify: %s", out)
					}
				},
				func(t *testing.T, r bareRoot) { r.run(t, "dpkg", "--purge", "fluent-bit-wasmtime") }},
			{"rpm", usrDoc, "/usr/lib/fluent-bit",
				func(t *testing.T, r bareRoot) {
					needs(t, "rpm")
					// What it requires is there, but not by rpm.
					run(t, "rpm", "--root", r.dir, "--install", "--nodeps", "--nosignature", filepath.Join(dir, this.rpmFile()))
					run(t, "rpm", "--root", r.dir, "--verify", "--nodeps", "fluent-bit-wasmtime")
				},
				func(t *testing.T, r bareRoot) {
					run(t, "rpm", "--root", r.dir, "--erase", "fluent-bit-wasmtime")
				}},
			{"tarball", localDoc, "/usr/local/lib/fluent-bit",
				func(t *testing.T, r bareRoot) {
					run(t, "tar", "-C", filepath.Join(r.dir, "usr/local"), "--strip-components=1", "-xzf", filepath.Join(dir, this.name()+".tar.gz"))
				},
				nil},
		} {
			t.Run(filepath.Base(base)+"/"+way.name, func(t *testing.T) {
				r := newRoot(t, base)
				before := r.files(t)
				way.install(t, r)
				r.filters(t, way.doc)
				r.loads(t, way.plugins)
				r.fluentBits(t, way.doc, way.plugins)
				if way.remove == nil {
					return
				}
				way.remove(t, r)
				after := r.files(t)
				for name := range after {
					if !before[name] && name != "opt/fluent-bit" {
						t.Errorf("%s was left behind", name)
					}
				}
				for name := range before {
					if !after[name] {
						t.Errorf("%s was there before, and is gone", name)
					}
				}
			})
		}
	}
}
