package packages

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
)

const images = root + "/packaging/image/"

var inImage = []string{
	"install",
	"usr/lib/fluent-bit/flb-filter_wasm.so",
	"usr/lib/fluent-bit/flb-filter_wasmtime.so",
	"usr/lib/fluent-bit/flb-processor_wasmtime.so",
	"usr/lib/fluent-bit/out_wasmtime.so",
	"usr/share/doc/fluent-bit-wasmtime/LICENSE",
	"usr/share/doc/fluent-bit-wasmtime/THIRD-PARTY-LICENSES",
	"usr/share/doc/fluent-bit-wasmtime/sbom.cdx.json",
}

// context is the directory that images are built from: build/image, next to the packages.
func context(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(filepath.Dir(release(t)), "image")
	if _, err := os.Stat(dir); err != nil {
		t.Fatalf("%v: make image-tree makes it", err)
	}
	return dir
}

// checkInstalls runs the program of an image in a root with nothing in it but the image, and a
// volume.
func checkInstalls(t *testing.T, tree string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("not tested: only root can enter another root")
	}
	to := filepath.Join(t.TempDir(), "image")
	run(t, "cp", "-a", tree, to)
	volume := filepath.Join(to, "plugin")
	if err := os.Mkdir(volume, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(volume, 65532, 65532); err != nil {
		t.Fatal(err)
	}
	for _, done := range []string{"installed", "kept"} {
		out := run(t, "chroot", "--userspec=65532:65532", to, "/install", "/plugin")
		if strings.Count(out, done+" /plugin/") != 4 {
			t.Errorf("want 4 files %s:\n%s", done, out)
		}
	}
	plugins := filepath.Join(to, "usr/lib/fluent-bit")
	if diff := cmp.Diff(listing(t, plugins), listing(t, volume)); diff != "" {
		t.Errorf("in the volume (-want +got):\n%s", diff)
	}
	for _, name := range listing(t, plugins) {
		if sum(t, filepath.Join(plugins, name)) != sum(t, filepath.Join(volume, name)) {
			t.Errorf("%s is another file in the volume", name)
		}
	}
	out, err := exec.Command("chroot", to, "/install", "/nowhere").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "/nowhere does not exist: mount a volume there") {
		t.Errorf("into no directory: %v, %q", err, out)
	}
}

func TestImageTree(t *testing.T) {
	each(t, func(t *testing.T, dir string, a architecture) {
		tree := filepath.Join(context(t), "linux-"+a.goarch)
		if diff := cmp.Diff(inImage, listing(t, tree)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		// Nothing in the image could load a dynamic program.
		f, err := elf.Open(filepath.Join(tree, "install"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if libraries, _ := f.ImportedLibraries(); f.Machine != a.machine || len(libraries) > 0 {
			t.Errorf("install is for %v, and needs %q", f.Machine, libraries)
		}
		packed := unpacked(t, dir, a)
		for _, name := range listing(t, filepath.Join(tree, "usr")) {
			if sum(t, filepath.Join(tree, "usr", name)) != sum(t, filepath.Join(packed, name)) {
				t.Errorf("%s is another file than in the tarball", name)
			}
		}
		if a.goarch == runtime.GOARCH {
			checkInstalls(t, tree)
		}
	})
}

// builder runs buildah, which needs no daemon, with images in a directory of its own.
type builder struct {
	t    *testing.T
	args []string
}

func newBuilder(t *testing.T) builder {
	needs(t, "buildah")
	dir := t.TempDir()
	b := builder{t, []string{"--storage-driver", "vfs", "--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run")}}
	if out, err := exec.Command("buildah", append(slices.Clone(b.args), "from", "scratch")...).CombinedOutput(); err != nil {
		t.Skipf("not tested: buildah does not run here: %s", out)
	}
	return b
}

func (b builder) run(args ...string) string {
	b.t.Helper()
	return strings.TrimSpace(run(b.t, "buildah", append(slices.Clone(b.args), args...)...))
}

// build builds an image and returns where its files are, and what it runs.
func (b builder) build(file string, args ...string) (tree, runs string) {
	b.t.Helper()
	image := b.run(append([]string{"bud", "--quiet", "--isolation", "chroot", "--build-arg", "TARGETARCH=" + runtime.GOARCH,
		"--pull-never", "-f", images + file}, append(args, context(b.t))...)...)
	image = image[strings.LastIndex(image, "\n")+1:]
	container := b.run("from", "--pull-never", image)
	return b.run("mount", container), b.run("inspect", "--type", "image", "--format", "{{.OCIv1.Config.User}} {{.OCIv1.Config.Entrypoint}} {{.OCIv1.Config.Cmd}}", image)
}

func TestPluginImage(t *testing.T) {
	tree, runs := newBuilder(t).build("plugin.Dockerfile")
	if diff := cmp.Diff(inImage, listing(t, tree)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if want := "65532:65532 [/install] [/plugin]"; runs != want {
		t.Errorf("it runs %q, want %q", runs, want)
	}
	checkInstalls(t, tree)
}

// The image on top of Fluent Bit's, which a root with a Fluent Bit of the environment stands for:
// at the place that it has in the official images.
func TestFluentBitImage(t *testing.T) {
	b := newBuilder(t)
	binaries, err := fluentbit.Find()
	if err != nil {
		t.Fatal(err)
	}
	list := roots(t)
	if len(binaries) == 0 {
		t.Skip("not tested: no Fluent Bit")
	}
	r := newRoot(t, list[len(list)-1])
	if !r.putFluentBit(t, binaries[0].Path) {
		t.Skipf("not tested: Fluent Bit does not run in %s", list[len(list)-1])
	}
	run(t, "mv", filepath.Join(r.dir, "opt/fluent-bit"), filepath.Join(r.dir, "fluent-bit"))
	run(t, "mkdir", filepath.Join(r.dir, "fluent-bit/etc"))
	base := b.run("from", "scratch")
	b.run("copy", base, r.dir, "/")
	b.run("commit", "--quiet", base, "localhost/fluent-bit:local")
	tree, runs := b.build("fluent-bit.Dockerfile", "--build-arg", "BASE=localhost/fluent-bit", "--build-arg", "FLUENT_BIT=local")
	words := strings.Fields(strings.NewReplacer("[", "", "]", "").Replace(runs))
	if !slices.Equal(words, []string{"/fluent-bit/bin/fluent-bit", "-e", "/usr/lib/fluent-bit/flb-filter_wasmtime.so", "-c", "/fluent-bit/etc/fluent-bit.conf"}) {
		t.Fatalf("it runs %q", words)
	}
	of := bareRoot{tree}
	for _, name := range []string{"fluent-bit.conf", "examples/sample.ndjson", "examples/parsers.conf", "examples/c/redact.wasm"} {
		of.put(t, filepath.Join(root, name), filepath.Join("/fluent-bit/etc", name))
	}
	out := of.run(t, append([]string{"sh", "-c", `cd /fluent-bit/etc && LD_LIBRARY_PATH=/fluent-bit/lib exec "$@"`, "sh"}, words...)...)
	if strings.Count(out, "***") == 0 {
		t.Errorf("nothing was masked:\n%.2000s", out)
	}
}
