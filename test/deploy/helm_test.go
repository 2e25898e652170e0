package deploy

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// chartValues are the values of the chart fluent/fluent-bit (0.58.1) that are used here. The chart
// has no schema: a key that it doesn't know is ignored in silence.
type chartValues struct {
	PodSecurityContext            *corev1.PodSecurityContext                         `json:"podSecurityContext"`
	SecurityContext               *corev1.SecurityContext                            `json:"securityContext"`
	Resources                     corev1.ResourceRequirements                        `json:"resources"`
	TerminationGracePeriodSeconds *int64                                             `json:"terminationGracePeriodSeconds"`
	UpdateStrategy                *appsv1.DaemonSetUpdateStrategy                    `json:"updateStrategy"`
	MinReadySeconds               int32                                              `json:"minReadySeconds"`
	LivenessProbe                 *corev1.Probe                                      `json:"livenessProbe"`
	DaemonSetVolumes              []corev1.Volume                                    `json:"daemonSetVolumes"`
	DaemonSetVolumeMounts         []corev1.VolumeMount                               `json:"daemonSetVolumeMounts"`
	ExtraVolumes                  []corev1.Volume                                    `json:"extraVolumes"`
	ExtraVolumeMounts             []corev1.VolumeMount                               `json:"extraVolumeMounts"`
	InitContainers                []corev1.Container                                 `json:"initContainers"`
	Args                          []string                                           `json:"args"`
	HotReload                     struct{ Enabled bool }                             `json:"hotReload"`
	Config                        struct{ Service, Inputs, Filters, Outputs string } `json:"config"`
}

func TestHelm(t *testing.T) {
	for _, name := range ways {
		t.Run(name, func(t *testing.T) {
			d := valued(t, name)
			d.checkPod(t)
			d.checkPlugin(t)
			d.checkWay(t, name)
			d.checkConfig(t)
		})
	}
}

// valued is the pod that the chart makes of its values, as far as they are given here.
func valued(t *testing.T, name string) deployment {
	t.Helper()
	var v chartValues
	// A list or mapping of the second file takes the place of the first file's, as with helm -f.
	decode(t, read(t, "helm", "values.yaml"), &v)
	decode(t, read(t, "helm", name+".yaml"), &v)
	config := corev1.Volume{Name: "config"}
	config.ConfigMap = &corev1.ConfigMapVolumeSource{}
	c := corev1.Container{
		Name: "fluent-bit", Image: "cr.fluentbit.io/fluent/fluent-bit:5.1.1",
		Args: v.Args, SecurityContext: v.SecurityContext, Resources: v.Resources,
		LivenessProbe: v.LivenessProbe, ReadinessProbe: &corev1.Probe{}, // the chart's own
		VolumeMounts: slices.Concat([]corev1.VolumeMount{{Name: "config", MountPath: "/fluent-bit/etc/conf"}},
			v.DaemonSetVolumeMounts, v.ExtraVolumeMounts),
	}
	d := deployment{pod: corev1.PodSpec{
		InitContainers:                v.InitContainers,
		Containers:                    []corev1.Container{c},
		SecurityContext:               v.PodSecurityContext,
		TerminationGracePeriodSeconds: v.TerminationGracePeriodSeconds,
		Volumes:                       slices.Concat([]corev1.Volume{config}, v.DaemonSetVolumes, v.ExtraVolumes),
	}}
	if v.HotReload.Enabled {
		reloader := c
		reloader.Name, reloader.VolumeMounts = "reloader", nil
		d.pod.Containers = append(d.pod.Containers, reloader)
	}
	d.config = strings.NewReplacer("{{ .Values.logLevel }}", "info", "{{ .Values.metricsPort }}", "2020").
		Replace(v.Config.Service + v.Config.Inputs + v.Config.Filters + v.Config.Outputs)
	if strings.Contains(d.config, "{{") {
		t.Errorf("values in the configuration that are not known here:\n%s", d.config)
	}
	return d
}

// TestHelmChart renders the chart itself, if FLUENT_BIT_CHART names its directory: it is in no
// registry of Go modules.
func TestHelmChart(t *testing.T) {
	chart := os.Getenv("FLUENT_BIT_CHART")
	if chart == "" {
		t.Skip("FLUENT_BIT_CHART does not name the directory of the chart fluent/fluent-bit")
	}
	var defaults map[string]any
	b, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(b, &defaults); err != nil {
		t.Fatal(err)
	}
	for _, name := range ways {
		t.Run(name, func(t *testing.T) {
			files := []string{filepath.Join(deploy, "helm", "values.yaml"), filepath.Join(deploy, "helm", name+".yaml")}
			for _, file := range files {
				var values map[string]any
				decode(t, read(t, "helm", filepath.Base(file)), &values)
				for key := range values {
					if _, ok := defaults[key]; !ok {
						t.Errorf("%s: the chart has no value %s", file, key)
					}
				}
			}
			var stderr bytes.Buffer
			helm := exec.Command("go", "run", "helm.sh/helm/v3/cmd/helm@v3.21.4", "template", "fluent-bit", chart,
				"--namespace", "logging", "--skip-tests", "-f", files[0], "-f", files[1])
			helm.Stderr = &stderr
			stream, err := helm.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, stderr.Bytes())
			}
			objects := documents(t, stream)
			t.Log(slices.Sorted(maps.Keys(objects)))
			var set appsv1.DaemonSet
			decode(t, objects["DaemonSet/fluent-bit"], &set)
			var config corev1.ConfigMap
			decode(t, objects["ConfigMap/fluent-bit"], &config)
			d := deployment{pod: set.Spec.Template.Spec, config: config.Data["fluent-bit.conf"]}
			// The reloader's resources are the chart's.
			for i := range d.pod.Containers {
				if c := &d.pod.Containers[i]; c.Name == "reloader" {
					c.Resources = d.pod.Containers[0].Resources
				}
			}
			d.checkPod(t)
			d.checkPlugin(t)
			d.checkWay(t, name)
			d.checkConfig(t)
			if reloadable := regexp.MustCompile(`(?m)--enable-hot-reload`).Match(stream); reloadable != (name == "volume") {
				t.Errorf("Fluent Bit reloads: %v", reloadable)
			}
		})
	}
}
