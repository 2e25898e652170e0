package deploy

import (
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// ways are the ways that plugin and modules come to Fluent Bit in each kind of deployment.
var ways = []string{"image-volume", "init-container", "volume"}

func TestKubernetes(t *testing.T) {
	for _, name := range append(slices.Clone(ways), "registry", "aggregator") {
		t.Run(name, func(t *testing.T) {
			d := kustomized(t, name)
			d.checkPod(t)
			d.checkPlugin(t)
			d.checkWay(t, name)
			d.checkConfig(t)
			if c := d.fluentBit(t); c.StartupProbe == nil {
				t.Error("a module that takes long to compile has no startup probe")
			}
		})
	}
}

// checkWay checks that a deployment delivers as its name says.
func (d deployment) checkWay(t *testing.T, name string) {
	t.Helper()
	c := d.fluentBit(t)
	for _, at := range append(d.option("wasm_path"), d.plugin(t, c)) {
		v, _ := d.mounted(c, at)
		if v == nil {
			continue // said already
		}
		ok := map[string]bool{
			"image-volume":   v.Image != nil,
			"init-container": v.EmptyDir != nil,
			"registry":       v.EmptyDir != nil,
			"volume":         v.HostPath != nil,
			"aggregator":     v.PersistentVolumeClaim != nil || v.EmptyDir != nil,
		}[name]
		if !ok {
			t.Errorf("%s comes from %+v", at, v.VolumeSource)
		}
	}
	reloads := slices.ContainsFunc(d.pod.Containers, func(c corev1.Container) bool { return strings.HasPrefix(c.Name, "reloader") })
	if reloads != (name == "volume") {
		t.Errorf("a container asks for reloads: %v", reloads)
	}
}

// kustomized is what kubectl apply -k would apply.
func kustomized(t *testing.T, name string) deployment {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(deploy, "kubernetes", name))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := resources.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	var d deployment
	configMaps := map[string]corev1.ConfigMap{}
	objects := documents(t, stream)
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		text := objects[key]
		kind, _, _ := strings.Cut(key, "/")
		switch kind {
		case "DaemonSet":
			var o appsv1.DaemonSet
			decode(t, text, &o)
			d.pod = o.Spec.Template.Spec
			checkSelector(t, o.Spec.Selector.MatchLabels, o.Spec.Template.Labels)
		case "Deployment":
			var o appsv1.Deployment
			decode(t, text, &o)
			d.pod = o.Spec.Template.Spec
			checkSelector(t, o.Spec.Selector.MatchLabels, o.Spec.Template.Labels)
		case "ConfigMap":
			var o corev1.ConfigMap
			decode(t, text, &o)
			configMaps[o.Name] = o
		default:
			into, ok := map[string]any{
				"Namespace":             &corev1.Namespace{},
				"ServiceAccount":        &corev1.ServiceAccount{},
				"Service":               &corev1.Service{},
				"PersistentVolumeClaim": &corev1.PersistentVolumeClaim{},
				"ClusterRole":           &rbacv1.ClusterRole{},
				"ClusterRoleBinding":    &rbacv1.ClusterRoleBinding{},
				"NetworkPolicy":         &networkingv1.NetworkPolicy{},
				"PodDisruptionBudget":   &policyv1.PodDisruptionBudget{},
			}[kind]
			if !ok {
				t.Fatalf("%s: this kind is not known here", key)
			}
			decode(t, text, into)
		}
	}
	config := d.volume("config")
	if config == nil || config.ConfigMap == nil {
		t.Fatal("no configuration is mounted")
	}
	m, ok := configMaps[config.ConfigMap.Name]
	if !ok || len(m.BinaryData) > 0 {
		t.Fatalf("the ConfigMap %s is not there, or holds more than text", config.ConfigMap.Name)
	}
	// With a hash in the name a change is a rolling update; without, a hot reload.
	if hashed := !slices.Contains([]string{"fluent-bit", "aggregator"}, m.Name); hashed == (name == "volume") {
		t.Errorf("the ConfigMap is called %s", m.Name)
	}
	d.config, d.yaml = m.Data["fluent-bit.yaml"], true
	if args := d.fluentBit(t).Args; !slices.Contains(args, "--config=/fluent-bit/etc/conf/fluent-bit.yaml") {
		t.Errorf("Fluent Bit is started with %q", args)
	}
	return d
}

func checkSelector(t *testing.T, selector, labels map[string]string) {
	t.Helper()
	for key, value := range selector {
		if labels[key] != value {
			t.Errorf("the selector asks for %s", fmt.Sprint(key, "=", value))
		}
	}
}

// What Pod Security Admission would say: "restricted" takes the aggregator, and of the DaemonSets it
// has nothing against but what reading a node's logs takes.
func TestPodSecurity(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, name := range append(slices.Clone(ways), "registry", "aggregator") {
		d := kustomized(t, name)
		for _, result := range evaluator.EvaluatePod(restricted, &metav1.ObjectMeta{}, &d.pod) {
			root := []string{"hostPath volumes", "restricted volume types", "runAsNonRoot != true", "runAsUser=0"}
			if !result.Allowed && (name == "aggregator" || !slices.Contains(root, result.ForbiddenReason)) {
				t.Errorf("%s: %s: %s", name, result.ForbiddenReason, result.ForbiddenDetail)
			}
		}
	}
}

// What the pod of the registry runs is what the command takes, up to the registry: it names a module by
// its digest.
func TestPull(t *testing.T) {
	d := kustomized(t, "registry")
	i := slices.IndexFunc(d.pod.InitContainers, func(c corev1.Container) bool { return c.Name == "modules" })
	if i < 0 {
		t.Fatal("nothing pulls the module")
	}
	command := d.pod.InitContainers[i].Command
	if len(command) < 3 || command[0] != "flb-wasmtime" || command[1] != "pull" || !regexp.MustCompile(`@sha256:[0-9a-f]{64}$`).MatchString(command[2]) {
		t.Fatalf("%q", command)
	}
	key := filepath.Join(t.TempDir(), "cosign.pub")
	write(t, key, "-----BEGIN PUBLIC KEY-----\n"+
		"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEOxmztUI1WgY1VEdSbLU8+VLD5CzX\nqes4HQ2NcLQJ0palZzG73qPS8cI67UgvrKo4JKodCwCEGp1XIbDxo+smvA==\n"+
		"-----END PUBLIC KEY-----\n")
	args := slices.Clone(command[1:])
	args[1] = strings.Replace(args[1], "registry.example/", "127.0.0.1:1/", 1)
	for i, arg := range args {
		if name, path, ok := strings.Cut(arg, "="); ok && strings.HasPrefix(path, "/") {
			v, m := d.mounted(d.pod.InitContainers[slices.IndexFunc(d.pod.InitContainers, func(c corev1.Container) bool { return c.Name == "modules" })], path)
			if v == nil || (name == "--output") == m.ReadOnly {
				t.Errorf("%s: %+v", arg, m)
			}
			args[i] = name + "=" + filepath.Join(filepath.Dir(key), filepath.Base(path))
		}
	}
	out, err := exec.Command(filepath.Join(build, "flb-wasmtime"), args...).CombinedOutput()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 3 {
		t.Errorf("%v: %v: %s", args, err, out)
	}
}
