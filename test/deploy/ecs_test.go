package deploy

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What FireLens makes of a task definition includes the task's own file.
const fireLens = `[INPUT]
    Name forward
    unix_path %DIR%/fluent.sock
@INCLUDE %DIR%/extra.conf
[OUTPUT]
    Name null
    Match app-firelens*
`

func TestECS(t *testing.T) {
	var task struct {
		Family, NetworkMode, CPU, Memory string
		RequiresCompatibilities          []string
		ExecutionRoleArn, TaskRoleArn    string
		ContainerDefinitions             []struct {
			Name, Image, User     string
			Essential             bool
			MemoryReservation     int
			FirelensConfiguration *struct {
				Type    string
				Options map[string]string
			}
			LogConfiguration *struct {
				LogDriver string
				Options   map[string]string
			}
			DependsOn []struct{ ContainerName, Condition string }
		}
	}
	d := json.NewDecoder(bytes.NewReader(read(t, "ecs", "task-definition.json")))
	d.DisallowUnknownFields()
	if err := d.Decode(&task); err != nil {
		t.Fatal(err)
	}
	dockerfile := string(read(t, "ecs", "Dockerfile"))
	extra := string(read(t, "ecs", "extra.conf"))
	router := task.ContainerDefinitions[0]
	if router.FirelensConfiguration == nil || router.FirelensConfiguration.Options["config-file-type"] != "file" {
		t.Fatalf("the first container is not the log router: %+v", router)
	}
	// What the files name is where the Dockerfile puts it.
	for _, c := range []struct{ path, copy string }{
		{router.FirelensConfiguration.Options["config-file-value"], `COPY .*extra\.conf.* /fluent-bit/wasmtime/\n`},
		{regexp.MustCompile(`Plugins_File (\S+)`).FindStringSubmatch(extra)[1], `COPY .*plugins\.conf.* /fluent-bit/wasmtime/\n`},
		{regexp.MustCompile(`wasm_path +(\S+)`).FindStringSubmatch(extra)[1], `COPY redact-1\.0\.0\.wasm /modules/\n`},
		{regexp.MustCompile(`Path (\S+)`).FindStringSubmatch(string(read(t, "ecs", "plugins.conf")))[1], `COPY --from=plugin \S+ /usr/lib/fluent-bit/\n`},
	} {
		m := regexp.MustCompile(c.copy).FindString(dockerfile)
		fields := strings.Fields(m)
		if m == "" || filepath.Dir(c.path)+"/" != fields[len(fields)-1] {
			t.Errorf("%s is not put there by the Dockerfile", c.path)
		}
	}

	// Loaded by the included file's plugins file, in every Fluent Bit.
	conf := deployment{config: extra}
	conf.checkCommand(t, conf.here(t))
	for _, fluentBit := range fluentBits() {
		at := conf.here(t)
		dir := filepath.Dir(at)
		object, err := filepath.Abs(filepath.Join(build, "flb-filter_wasmtime.so"))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "plugins.conf"), strings.Replace(string(read(t, "ecs", "plugins.conf")), "/usr/lib/fluent-bit/flb-filter_wasmtime.so", object, 1))
		text := regexp.MustCompile(`Plugins_File .*`).ReplaceAllString(extra, "Plugins_File "+filepath.Join(dir, "plugins.conf"))
		text = strings.Replace(text, " "+modules, " "+dir+modules, 1)
		write(t, filepath.Join(dir, "extra.conf"), text)
		write(t, filepath.Join(dir, "fluent-bit.conf"), strings.ReplaceAll(fireLens, "%DIR%", dir))
		out, err := exec.Command(fluentBit, "-c", filepath.Join(dir, "fluent-bit.conf"), "--dry-run").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "test is successful") {
			t.Errorf("%s --dry-run: %v\n%s", fluentBit, err, out)
		}
	}
}
