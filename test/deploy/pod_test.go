package deploy

import (
	"path"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// checkPod checks what docs/deploy.md says of every pod.
func (d deployment) checkPod(t *testing.T) {
	t.Helper()
	fluentBit := d.fluentBit(t)
	for _, c := range slices.Concat(d.pod.InitContainers, d.pod.Containers) {
		d.checkHardened(t, c)
		if strings.Contains(c.Image, ":latest") || !strings.Contains(c.Image, ":") {
			t.Errorf("%s: image %s names no version", c.Name, c.Image)
		}
	}
	if fluentBit.LivenessProbe == nil || fluentBit.ReadinessProbe == nil {
		t.Error("a probe is missing")
	}
	if grace := d.pod.TerminationGracePeriodSeconds; grace == nil || *grace < 5+10+5 {
		t.Error("the pod may be killed before Fluent Bit and its outputs have ended")
	}
	d.checkVolumes(t)
	d.checkPaths(t, fluentBit)
	d.checkMemory(t, fluentBit)
}

func (d deployment) checkHardened(t *testing.T, c corev1.Container) {
	t.Helper()
	s := c.SecurityContext
	if s == nil {
		t.Errorf("%s has no securityContext", c.Name)
		return
	}
	is := func(b *bool, want bool) bool { return b != nil && *b == want }
	if !is(s.ReadOnlyRootFilesystem, true) {
		t.Errorf("%s can write to its root filesystem", c.Name)
	}
	if !is(s.AllowPrivilegeEscalation, false) || s.Privileged != nil && *s.Privileged {
		t.Errorf("%s can gain privileges", c.Name)
	}
	if s.Capabilities == nil || !slices.Contains(s.Capabilities.Drop, "ALL") || len(s.Capabilities.Add) > 0 {
		t.Errorf("%s has capabilities", c.Name)
	}
	pod := d.pod.SecurityContext
	if pod == nil || pod.SeccompProfile == nil || pod.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault || s.SeccompProfile != nil {
		t.Errorf("%s does not run with the seccomp profile RuntimeDefault", c.Name)
	}
	// Only what reads the logs of a node, or makes files for it, is root.
	node := slices.ContainsFunc(d.pod.Volumes, func(v corev1.Volume) bool { return v.HostPath != nil && v.HostPath.Path == "/var/log" })
	if nonRoot := is(s.RunAsNonRoot, true) || is(pod.RunAsNonRoot, true); !node && !nonRoot {
		t.Errorf("%s may run as root, and reads no logs of the node", c.Name)
	}
	if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() {
		t.Errorf("%s has resources %v", c.Name, c.Resources)
	}
	if !c.Resources.Limits.Cpu().IsZero() {
		t.Errorf("%s is throttled", c.Name)
	}
}

// checkVolumes: what is mounted is there, what is there is mounted, and a node's logs, plugin and
// modules can't be written to.
func (d deployment) checkVolumes(t *testing.T) {
	t.Helper()
	used := map[string]bool{}
	for _, c := range slices.Concat(d.pod.InitContainers, d.pod.Containers) {
		for _, m := range c.VolumeMounts {
			used[m.Name] = true
			if v := d.volume(m.Name); v == nil {
				t.Errorf("%s mounts %s, which is no volume", c.Name, m.Name)
			} else if v.HostPath != nil && !m.ReadOnly && v.HostPath.Path != "/var/lib/fluent-bit" {
				t.Errorf("%s may write to %s of the node", c.Name, v.HostPath.Path)
			}
		}
	}
	for _, v := range d.pod.Volumes {
		if !used[v.Name] {
			t.Errorf("volume %s is not used", v.Name)
		}
	}
}

func (d deployment) volume(name string) *corev1.Volume {
	for i := range d.pod.Volumes {
		if d.pod.Volumes[i].Name == name {
			return &d.pod.Volumes[i]
		}
	}
	return nil
}

// mounted returns the volume that a path of a container lies in.
func (d deployment) mounted(c corev1.Container, at string) (*corev1.Volume, corev1.VolumeMount) {
	var best corev1.VolumeMount
	for _, m := range c.VolumeMounts {
		if (at == m.MountPath || strings.HasPrefix(at, strings.TrimSuffix(m.MountPath, "/")+"/")) && len(m.MountPath) > len(best.MountPath) {
			best = m
		}
	}
	return d.volume(best.Name), best
}

// checkPaths: files that the command line and the configuration name lie in volumes that deliver
// them, and files that Fluent Bit writes where it may write.
func (d deployment) checkPaths(t *testing.T, c corev1.Container) {
	t.Helper()
	delivered := append([]string{d.plugin(t, c)}, d.option("wasm_path")...)
	if len(delivered) < 2 {
		t.Errorf("no module in:\n%s", d.config)
	}
	for _, at := range delivered {
		v, m := d.mounted(c, at)
		switch {
		case v == nil:
			t.Errorf("%s lies in no volume", at)
		case v.ConfigMap != nil || v.Secret != nil:
			t.Errorf("%s comes from a ConfigMap or Secret", at)
		case !m.ReadOnly:
			t.Errorf("Fluent Bit may write to %s", at)
		case v.EmptyDir != nil && !d.filled(v.Name):
			t.Errorf("nothing puts %s into the empty directory %s", at, v.Name)
		}
	}
	for _, name := range []string{"cache_dir", "db", "storage.path"} {
		for _, at := range d.option(name) {
			if v, m := d.mounted(c, at); v == nil || m.ReadOnly {
				t.Errorf("%s %s can't be written to", name, at)
			} else if name == "cache_dir" && at == m.MountPath {
				// The plugin makes it with mode 0700; a volume's own directory has another.
				t.Errorf("cache_dir %s is the volume itself", at)
			}
		}
	}
}

// plugin is the object that the command line names.
func (d deployment) plugin(t *testing.T, c corev1.Container) string {
	t.Helper()
	for i, arg := range c.Args {
		if at, ok := strings.CutPrefix(arg, "--plugin="); ok {
			return at
		}
		if arg == "-e" && i+1 < len(c.Args) {
			return c.Args[i+1]
		}
	}
	t.Fatalf("no plugin in %q", c.Args)
	return ""
}

// filled tells whether an init container has a volume to write to.
func (d deployment) filled(volume string) bool {
	return slices.ContainsFunc(d.pod.InitContainers, func(c corev1.Container) bool {
		return slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == volume && !m.ReadOnly })
	})
}

// checkMemory: the instances of all filters fit into the container.
func (d deployment) checkMemory(t *testing.T, c corev1.Container) {
	t.Helper()
	limits := d.option("memory_limit")
	if len(limits) != len(d.option("wasm_path")) {
		t.Errorf("%d filters, %d memory limits: the default is as much as a small container", len(d.option("wasm_path")), len(limits))
	}
	var all int64
	for _, limit := range limits {
		n, err := resource.ParseQuantity(limit)
		if err != nil {
			t.Fatal(err)
		}
		all += n.Value()
	}
	if limit := c.Resources.Limits.Memory().Value(); 2*all > limit {
		t.Errorf("instances may take %d bytes, the container %d", all, limit)
	}
}

// checkPlugin: the image volume has the plugin where its package puts it, a copy just has it.
func (d deployment) checkPlugin(t *testing.T) {
	t.Helper()
	c := d.fluentBit(t)
	at := d.plugin(t, c)
	v, m := d.mounted(c, at)
	if v == nil {
		return // said already
	}
	want := path.Join(m.MountPath, "flb-filter_wasmtime.so")
	if v.Image != nil {
		want = path.Join(m.MountPath, "usr/lib/fluent-bit/flb-filter_wasmtime.so")
	}
	if at != want {
		t.Errorf("the plugin is at %s, want %s", at, want)
	}
}
