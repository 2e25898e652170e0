package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/test/fluentbit"
)

// copies copies files of the build into a directory, as cp in an init container does: each is a
// file of its own. A pair of names is a file and what the copy is called.
func copies(t *testing.T, pairs ...[2]string) string {
	t.Helper()
	dir := t.TempDir()
	for _, pair := range pairs {
		path, err := fluentbit.Plugin(pair[0])
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, pair[1]), b, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	filterFile = "flb-filter_wasmtime.so"
	outputFile = "out_wasmtime.so"
)

// loadedPipeline has the filter and the output, which writes to FILE.
const (
	loadedClassic = `
[SERVICE]
    flush 0.2
    grace 1
    MORE
[INPUT]
    name dummy
    tag app
    dummy {"n":1}
    rate 50
    samples 3
[FILTER]
    name wasmtime
    match *
    wasm_path WRAP
    function_name filter
[OUTPUT]
    name wasmtime
    match *
    wasm_path WRAP
    function_name filter
    emit_to file://FILE
`
	loadedYAML = `
service:
  flush: 0.2
  grace: 1
  MORE
PLUGINS
pipeline:
  inputs:
    - {name: dummy, tag: app, dummy: '{"n":1}', rate: 50, samples: 3}
  filters:
    - {name: wasmtime, match: '*', wasm_path: WRAP, function_name: filter}
  outputs:
    - {name: wasmtime, match: '*', wasm_path: WRAP, function_name: filter, emit_to: 'file://FILE'}
`
)

// pluginsFile is a plugins file that names paths.
func pluginsFile(t *testing.T, paths []string) string {
	path := filepath.Join(t.TempDir(), "plugins.conf")
	writeFile(t, path, "[PLUGINS]\n    Path "+strings.Join(paths, "\n    Path ")+"\n")
	return path
}

// Copies of the plugin's files are loaded in each way that Fluent Bit has, in either order, and
// both the filter and the output run.
func TestLoad(t *testing.T) {
	for _, way := range []struct {
		name string
		yaml bool
		// set makes the arguments, and what takes the places of MORE and PLUGINS.
		set func(t *testing.T, paths []string) (args []string, service, plugins string)
	}{
		{name: "-e", set: func(t *testing.T, paths []string) ([]string, string, string) {
			return []string{"-e", paths[0], "-e", paths[1]}, "", ""
		}},
		{name: "--plugin", set: func(t *testing.T, paths []string) ([]string, string, string) {
			return []string{"--plugin=" + paths[0], "--plugin=" + paths[1]}, "", ""
		}},
		{name: "plugins_file", set: func(t *testing.T, paths []string) ([]string, string, string) {
			return nil, "plugins_file " + pluginsFile(t, paths), ""
		}},
		{name: "plugins_file in YAML", yaml: true, set: func(t *testing.T, paths []string) ([]string, string, string) {
			return nil, "plugins_file: " + pluginsFile(t, paths), ""
		}},
		{name: "plugins", yaml: true, set: func(t *testing.T, paths []string) ([]string, string, string) {
			return nil, "", "plugins:\n  - " + paths[0] + "\n  - " + paths[1]
		}},
	} {
		t.Run(way.name, func(t *testing.T) {
			eachFluentBit(t, func(t *testing.T, fb fluentBit) {
				if way.yaml {
					needYAML(t, fb)
				}
				if way.name == "plugins" && !fb.hasYAMLPlugins(t) {
					t.Skip("this Fluent Bit has no plugins in YAML")
				}
				dir := copies(t, [2]string{filterFile, filterFile}, [2]string{outputFile, outputFile})
				for _, names := range [][]string{{filterFile, outputFile}, {outputFile, filterFile}} {
					paths := []string{filepath.Join(dir, names[0]), filepath.Join(dir, names[1])}
					args, service, plugins := way.set(t, paths)
					runDir := t.TempDir()
					file := filepath.Join(runDir, "out.json")
					conf, text := filepath.Join(runDir, "fluent-bit.conf"), loadedClassic
					if way.yaml {
						conf, text = filepath.Join(runDir, "fluent-bit.yaml"), loadedYAML
					}
					writeFile(t, conf, strings.NewReplacer("MORE", service, "PLUGINS", plugins,
						"WRAP", guest(t, "wrap"), "FILE", file).Replace(text))
					p := fb.exec(t, runDir, append(args, "-c", conf)...)
					p.until("three results", func() bool {
						b, _ := os.ReadFile(file)
						return strings.Count(string(b), "\n") == 3
					})
					p.stop()
					b, err := os.ReadFile(file)
					if err != nil {
						t.Fatal(err)
					}
					// Wrapped by the filter, and by the output.
					if want := `"record":{"tag":"app"`; strings.Count(string(b), want) != 3 {
						t.Errorf("%v first: not three times %s: %s", names[0], want, b)
					}
				}
			})
		})
	}
}

// Loaded alone, the small file of another name brings the object from beside it.
func TestAliasAlone(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		dir := copies(t, [2]string{filterFile, filterFile}, [2]string{outputFile, outputFile})
		run := t.TempDir()
		file := filepath.Join(run, "out.json")
		p := fb.exec(t, run, "-e", filepath.Join(dir, outputFile), "-f", "0.2", "-i", "dummy", "-p", "samples=1",
			"-o", "wasmtime", "-p", "match=*", "-p", "wasm_path="+guest(t, "wrap"), "-p", "function_name=filter", "-p", "emit_to=file://"+file)
		p.until("a result", func() bool {
			b, _ := os.ReadFile(file)
			return strings.Contains(string(b), `"record":{`)
		})
		p.stop()
	})
}

// Without the object the error names the file that is missing.
func TestAliasWithoutTheObject(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		dir := copies(t, [2]string{outputFile, outputFile})
		p := fb.exec(t, dir, "-e", filepath.Join(dir, outputFile), "-i", "dummy", "-o", "null")
		p.wait()
		if !strings.Contains(p.log.String(), filterFile+": cannot open shared object file") {
			t.Errorf("the log does not name the missing file")
		}
	})
}

// A second copy of the object itself can't be loaded; the first one says what to do, wherever the
// command line has the second, and for what lies beside it.
func TestSecondCopy(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		one := copies(t, [2]string{filterFile, filterFile}, [2]string{filterFile, outputFile})
		other := copies(t, [2]string{filterFile, outputFile})
		first := filepath.Join(one, filterFile)
		for _, second := range []string{filepath.Join(one, outputFile), filepath.Join(other, outputFile)} {
			for _, args := range [][]string{{"-e", first, "-e", second}, {"-e" + first, "-e" + second}, {"--plugin=" + first, "--plugin=" + second}} {
				p := fb.exec(t, one, append(args, "-i", "dummy", "-o", "null")...)
				p.until("the cure", func() bool {
					return strings.Contains(p.log.String(), fmt.Sprintf("%s and %s are two copies of the plugin", first, second)) &&
						strings.Contains(p.log.String(), "the small files that come with it, or links")
				})
				p.cmd.Process.Kill()
				p.wait()
			}
		}
	})
}

// hasYAMLPlugins says whether plugins can be named in YAML: by what is said of one that is missing.
func (fb fluentBit) hasYAMLPlugins(t *testing.T) bool {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "fluent-bit.yaml")
	writeFile(t, path, "plugins:\n  - /no/such/flb-filter_x.so\npipeline:\n  inputs:\n    - name: no_such_input\n")
	p := fb.exec(t, dir, "-c", path)
	p.wait()
	return strings.Contains(p.log.String(), "/no/such/flb-filter_x.so")
}
