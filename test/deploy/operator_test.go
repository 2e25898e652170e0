package deploy

import (
	"maps"
	"slices"
	"strings"
	"testing"

	fluentbit "github.com/fluent/fluent-operator/v3/apis/fluentbit/v1alpha2"
	"github.com/fluent/fluent-operator/v3/apis/fluentbit/v1alpha2/plugins"
	"github.com/fluent/fluent-operator/v3/pkg/operator"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// The operator's own code makes the DaemonSet and the configuration of the objects.
func TestOperator(t *testing.T) {
	for _, name := range ways {
		t.Run(name, func(t *testing.T) {
			d := operated(t, name)
			d.checkPod(t)
			d.checkPlugin(t)
			d.checkConfig(t)
			// The operator's watcher takes one -e, and only with -poll signals after a change.
			c := d.fluentBit(t)
			if want := []string{"-e", d.plugin(t, c), "-poll"}; !slices.Equal(c.Args, want) {
				t.Errorf("the watcher gets %q, want %q", c.Args, want)
			}
		})
	}
}

func operated(t *testing.T, name string) deployment {
	t.Helper()
	objects := documents(t, read(t, "operator", name+".yaml"))
	var fb fluentbit.FluentBit
	if len(objects) != 1 {
		t.Fatalf("objects: %v", slices.Sorted(maps.Keys(objects)))
	}
	decode(t, objects["FluentBit/fluent-bit"], &fb)
	set := operator.MakeDaemonSet(fb, "/var/log/containers")
	d := deployment{pod: set.Spec.Template.Spec}
	// The operator mounts what it always mounts: the logs, and the Secret with the configuration.
	if set.Labels["app.kubernetes.io/name"] == "" {
		t.Error("the DaemonSet would select nothing: FluentBit has no labels")
	}
	if fb.APIVersion != "fluentbit.fluent.io/v1alpha2" {
		t.Errorf("apiVersion %s", fb.APIVersion)
	}
	d.config = rendered(t, fb.Spec.FluentBitConfigName)
	return d
}

// rendered is the configuration that the operator makes of pipeline.yaml.
func rendered(t *testing.T, name string) string {
	t.Helper()
	objects := documents(t, read(t, "operator", "pipeline.yaml"))
	var config fluentbit.ClusterFluentBitConfig
	var inputs fluentbit.ClusterInputList
	var filters fluentbit.ClusterFilterList
	var outputs fluentbit.ClusterOutputList
	selected := func(selector metav1.LabelSelector, meta metav1.ObjectMeta) {
		s, err := metav1.LabelSelectorAsSelector(&selector)
		if err != nil {
			t.Fatal(err)
		}
		if !s.Matches(labels.Set(meta.Labels)) || s.Empty() {
			t.Errorf("%s is not selected by %s", meta.Name, name)
		}
	}
	decode(t, objects["ClusterFluentBitConfig/"+name], &config)
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		switch kind, _, _ := strings.Cut(key, "/"); kind {
		case "ClusterFluentBitConfig":
		case "ClusterInput":
			var o fluentbit.ClusterInput
			decode(t, objects[key], &o)
			selected(config.Spec.InputSelector, o.ObjectMeta)
			inputs.Items = append(inputs.Items, o)
		case "ClusterFilter":
			var o fluentbit.ClusterFilter
			decode(t, objects[key], &o)
			selected(config.Spec.FilterSelector, o.ObjectMeta)
			filters.Items = append(filters.Items, o)
		case "ClusterOutput":
			var o fluentbit.ClusterOutput
			decode(t, objects[key], &o)
			selected(config.Spec.OutputSelector, o.ObjectMeta)
			outputs.Items = append(outputs.Items, o)
		default:
			t.Fatalf("%s: this kind is not known here", key)
		}
	}
	text, err := config.RenderMainConfig(plugins.SecretLoader{}, inputs, filters, outputs, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
