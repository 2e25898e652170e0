package registry

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// digestOf is the part of a reference after @.
func digestOf(reference string) string { return reference[strings.LastIndexByte(reference, '@')+1:] }

func TestPushAndPull(t *testing.T) {
	s := serve(t, "", "", false)
	name := s.host() + "/team/redact"
	pushed := ok(t, "push", redact, name+":1.0", "--annotation", "org.opencontainers.image.vendor=us")
	if !strings.HasPrefix(pushed, name+"@sha256:") {
		t.Fatal(pushed)
	}
	// The same module has the same digest, and a change of it another one.
	if again := ok(t, "push", redact, name+":latest", "--annotation", "org.opencontainers.image.vendor=us"); again != pushed {
		t.Errorf("%s, then %s", pushed, again)
	}
	if other := ok(t, "push", enrich, name+":2.0"); other == pushed {
		t.Error("another module has the same digest")
	}
	// The layout, read by the types of its specification.
	text := s.get(t, "team/redact", "1.0")
	var m ocispec.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	module := read(t, redact)
	if digest.FromBytes(text).String() != digestOf(pushed) || m.SchemaVersion != 2 || m.MediaType != ocispec.MediaTypeImageManifest ||
		m.Config.MediaType != "application/vnd.wasm.config.v0+json" || len(m.Layers) != 1 || m.Layers[0].MediaType != "application/wasm" ||
		m.Layers[0].Digest != digest.FromBytes(module) || m.Annotations["org.opencontainers.image.vendor"] != "us" {
		t.Errorf("%s", text)
	}
	var config struct {
		Created, Architecture, OS string
		LayerDigests              []string
	}
	if err := json.Unmarshal(read(t, s.blob(m.Config.Digest.String())), &config); err != nil {
		t.Fatal(err)
	}
	if config.Architecture != "wasm" || config.OS != "wasip1" || config.Created != "1970-01-01T00:00:00Z" || len(config.LayerDigests) != 1 || config.LayerDigests[0] != m.Layers[0].Digest.String() {
		t.Errorf("%+v", config)
	}

	dir := t.TempDir()
	out := filepath.Join(dir, "redact.wasm")
	for i, reference := range []string{name + ":1.0", pushed, "oci://" + pushed} {
		line := ok(t, "pull", reference, "-o", out)
		if want := out + ": " + digest.FromBytes(module).String() + " from " + pushed; i == 0 && line != want || i > 0 && line != "" {
			t.Errorf("%s: %q", reference, line)
		}
		if !bytes.Equal(read(t, out), module) {
			t.Fatal("another module has come")
		}
	}
	info, err := os.Stat(out)
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Error(info.Mode(), err)
	}
	// Nothing is written where nothing changes.
	ok(t, "pull", pushed, "-o", out)
	if later, err := os.Stat(out); err != nil || !os.SameFile(info, later) || !info.ModTime().Equal(later.ModTime()) {
		t.Errorf("the file is written again: %v", err)
	}
	// A tag that has moved is another module; a digest is what it was.
	ok(t, "push", enrich, name+":1.0")
	if line := ok(t, "pull", name+":1.0", "-o", out); !strings.Contains(line, ": sha256:") || !bytes.Equal(read(t, out), read(t, enrich)) {
		t.Errorf("%q", line)
	}
	if line := ok(t, "pull", strings.Replace(pushed, "@", ":1.0@", 1), "-o", out); line == "" || !bytes.Equal(read(t, out), module) {
		t.Errorf("%q", line)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
}

// What is not a module does not come to a registry, nor out of it.
func TestNotModules(t *testing.T) {
	s := serve(t, "", "", false)
	name := s.host() + "/a"
	dir := t.TempDir()
	for file, test := range map[string]struct{ content, want string }{
		"text.wat":       {"(module)", "is WebAssembly text"},
		"component.wasm": {"\x00asm\x0d\x00\x01\x00", "is a WebAssembly component"},
		"code.cwasm":     {"\x00flbwasm\x02\x02\x00\x00\x00{}", "is machine code"},
		"broken.wasm":    {"\x00asm\x01\x00\x00\x00\x0a\x01\x01", "is not a module that can be compiled"},
		"page.wasm":      {"<html>", "is not a WebAssembly module"},
	} {
		write(t, filepath.Join(dir, file), []byte(test.content))
		refused(t, 2, test.want, "push", filepath.Join(dir, file), name+":1")
	}
	refused(t, 2, "give a tag", "push", redact, name+"@sha256:"+strings.Repeat("a", 64))
	refused(t, 1, name+":1 is not there", "pull", name+":1", "-o", filepath.Join(dir, "out"))

	pushed := ok(t, "push", redact, name+":1")
	var m ocispec.Manifest
	if err := json.Unmarshal(s.get(t, "a", "1"), &m); err != nil {
		t.Fatal(err)
	}
	index, err := json.Marshal(ocispec.Index{
		MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.Digest(digestOf(pushed)), Size: int64(len(s.get(t, "a", "1")))}},
	})
	if err != nil {
		t.Fatal(err)
	}
	index = bytes.Replace(index, []byte(`"schemaVersion":0`), []byte(`"schemaVersion":2`), 1)
	s.put(t, "a", "index", ocispec.MediaTypeImageIndex, index)
	refused(t, 1, "index of several manifests", "pull", name+":index", "-o", filepath.Join(dir, "out"))
	m.Layers[0].MediaType = ocispec.MediaTypeImageLayer
	image, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	s.put(t, "a", "image", ocispec.MediaTypeImageManifest, image)
	refused(t, 1, "no layer application/wasm", "pull", name+":image", "-o", filepath.Join(dir, "out"))
	// A layer that is called a module, and is none.
	m.Layers[0] = m.Config
	m.Layers[0].MediaType = "application/wasm"
	if image, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	s.put(t, "a", "none", ocispec.MediaTypeImageManifest, image)
	refused(t, 1, "is not a WebAssembly module", "pull", name+":none", "-o", filepath.Join(dir, "out"))
	if _, err := os.Stat(filepath.Join(dir, "out")); err == nil {
		t.Error("something has been written")
	}
}

// What has been changed in the registry's own files is noticed, and what was there stays.
func TestTampering(t *testing.T) {
	s := serve(t, "", "", false)
	pushed := ok(t, "push", redact, s.host()+"/a:1")
	dir := t.TempDir()
	out := filepath.Join(dir, "out.wasm")
	write(t, out, []byte("what was there"))
	module := read(t, redact)
	blob := s.blob(digest.FromBytes(module).String())
	changed := bytes.Clone(module)
	changed[len(changed)-1] ^= 1
	for name, content := range map[string][]byte{"changed": changed, "shorter": module[:100], "longer": append(bytes.Clone(module), 0), "empty": nil} {
		write(t, blob, content)
		got := run(t, "", nil, "pull", pushed, "-o", out, "--plain-http")
		if got.code == 0 || got.stderr == "" || string(read(t, out)) != "what was there" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	write(t, blob, module)
	manifest := s.blob(digestOf(pushed))
	text := read(t, manifest)
	write(t, manifest, bytes.Replace(text, []byte("application/wasm"), []byte("application/Wasm"), 1))
	for _, reference := range []string{pushed, s.host() + "/a:1"} {
		if got := run(t, "", nil, "pull", reference, "-o", out, "--plain-http"); got.code == 0 || string(read(t, out)) != "what was there" {
			t.Errorf("%+v", got)
		}
	}
	write(t, manifest, text)
	if line := ok(t, "pull", pushed, "-o", out); line == "" || !bytes.Equal(read(t, out), module) {
		t.Errorf("%q", line)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
	if got := run(t, "", nil, "pull", pushed, "-o", dir, "--plain-http"); got.code != 1 || !strings.Contains(got.stderr, "not a regular file") {
		t.Errorf("a directory: %+v", got)
	}
	if got := run(t, "", nil, "pull", pushed, "-o", filepath.Join(dir, "none", "out"), "--plain-http"); got.code != 1 || !strings.Contains(got.stderr, "no such file") {
		t.Errorf("no directory: %+v", got)
	}
}

func TestLogin(t *testing.T) {
	s := serve(t, "user", "pass word", true)
	ca := s.certificate(t)
	name := s.host() + "/a:1"
	out := filepath.Join(t.TempDir(), "out.wasm")
	push := func(stdin string, env []string, more ...string) result {
		return run(t, stdin, env, append([]string{"push", redact, name, "--ca-file", ca}, more...)...)
	}
	for login, got := range map[string]result{
		"none":             push("", nil),
		"a wrong password": push("wrong", nil, "--username", "user", "--password-stdin"),
		"another user":     push("pass word", nil, "--username", "root", "--password-stdin"),
	} {
		if got.code != 1 || !strings.Contains(got.stderr, "docker login") || strings.Contains(got.stderr, "pass word") {
			t.Errorf("%s: %+v", login, got)
		}
	}
	for flags, got := range map[string]result{
		"no password":    push("", nil, "--username", "user"),
		"no user":        push("x", nil, "--password-stdin"),
		"an empty stdin": push("\n", nil, "--username", "user", "--password-stdin"),
	} {
		if got.code != 2 || got.stdout != "" {
			t.Errorf("%s: %+v", flags, got)
		}
	}
	if got := push("pass word\n", nil, "--username", "user", "--password-stdin"); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	// As docker login leaves it: in its file, or with a helper.
	config, helper := t.TempDir(), t.TempDir()
	auths, err := json.Marshal(map[string]any{"auths": map[string]any{s.host(): map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte("user:pass word"))}}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(config, "config.json"), auths)
	write(t, filepath.Join(helper, "config.json"), []byte(`{"credHelpers":{"`+s.host()+`":"test"}}`))
	script := "#!/bin/sh\nread -r server\n[ \"$1\" = get ] && echo '{\"ServerURL\":\"'\"$server\"'\",\"Username\":\"user\",\"Secret\":\"pass word\"}'\n"
	if err := os.WriteFile(filepath.Join(helper, "docker-credential-test"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	for by, env := range map[string][]string{
		"config.json": {"DOCKER_CONFIG=" + config},
		"a helper":    {"DOCKER_CONFIG=" + helper, "PATH=" + helper + ":" + os.Getenv("PATH")},
	} {
		if got := run(t, "", env, "pull", name, "-o", out, "--ca-file", ca); got.code != 0 || !bytes.Equal(read(t, out), read(t, redact)) {
			t.Errorf("%s: %+v", by, got)
		}
		os.Remove(out)
	}
	broken := t.TempDir()
	write(t, filepath.Join(broken, "config.json"), []byte("{"))
	if got := run(t, "", []string{"DOCKER_CONFIG=" + broken}, "pull", name, "-o", out, "--ca-file", ca); got.code != 2 || !strings.Contains(got.stderr, "config.json") {
		t.Errorf("%+v", got)
	}
	// And of certificates.
	if got := run(t, "", []string{"DOCKER_CONFIG=" + config}, "pull", name, "-o", out); got.code != 1 || !strings.Contains(got.stderr, "--ca-file") {
		t.Errorf("%+v", got)
	}
	if got := run(t, "", []string{"DOCKER_CONFIG=" + config}, "pull", name, "-o", out, "--insecure"); got.code != 0 {
		t.Errorf("%+v", got)
	}
}

func TestProxyAndAbsence(t *testing.T) {
	s := serve(t, "", "", false)
	ok(t, "push", redact, s.host()+"/a:1")
	out := filepath.Join(t.TempDir(), "out.wasm")
	var through atomic.Int32
	target, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		if r.In.URL.Host == "registry.example" {
			through.Add(1)
		}
		r.SetURL(target)
	}})
	defer proxy.Close()
	if got := run(t, "", []string{"HTTP_PROXY=" + proxy.URL}, "pull", "registry.example/a:1", "-o", out, "--plain-http"); got.code != 0 || through.Load() == 0 {
		t.Errorf("%d requests; %+v", through.Load(), got)
	}
	if got := run(t, "", nil, "pull", s.host()+"/a:1", "-o", out); got.code != 1 || !strings.Contains(got.stderr, "--plain-http") {
		t.Errorf("%+v", got)
	}
	// Nobody is there, or nobody answers: another exit code, for who tries again.
	refused(t, 3, "not available", "pull", "127.0.0.1:1/a:1", "-o", out)
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer silent.Close()
	refused(t, 3, "not available", "pull", strings.TrimPrefix(silent.URL, "http://")+"/a:1", "-o", out, "--max-time", "200ms")
}

func TestInspect(t *testing.T) {
	s := serve(t, "", "", false)
	dir := t.TempDir()
	module := filepath.Join(dir, "m.wasm")
	if got := run(t, "", nil, "annotate", redact, "source=https://git.example/redact", "version=1.2", "license=Apache-2.0", "-o", module); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	pushed := ok(t, "push", module, s.host()+"/a:1")
	var remote, local map[string]any
	for into, argument := range map[*map[string]any]string{&remote: s.host() + "/a:1", &local: module} {
		if err := json.Unmarshal([]byte(ok(t, "inspect", "--json", argument)), into); err != nil {
			t.Fatal(err)
		}
	}
	sum := digest.FromBytes(read(t, module)).Encoded()
	annotations, _ := remote["annotations"].(map[string]any)
	if remote["digest"] != digestOf(pushed) || remote["sha256"] != sum || annotations["org.opencontainers.image.version"] != "1.2" ||
		annotations["org.opencontainers.image.source"] != "https://git.example/redact" || annotations["org.opencontainers.image.licenses"] != "Apache-2.0" {
		t.Errorf("%v", remote)
	}
	for _, key := range []string{"digest", "annotations", "module"} {
		delete(remote, key)
		delete(local, key)
	}
	a, _ := json.Marshal(remote)
	b, _ := json.Marshal(local)
	if !bytes.Equal(a, b) {
		t.Errorf("%s\n%s", a, b)
	}
	table := ok(t, "inspect", pushed)
	for _, want := range []string{"sha256         " + sum, "source=https://git.example/redact", "ABI            flb_"} {
		if !strings.Contains(table, want) {
			t.Errorf("%q is not in\n%s", want, table)
		}
	}
	// The hash is the one that the filter asks for.
	if got := run(t, "", nil, "check", module, "--wasm-sha256", sum); got.code != 0 {
		t.Errorf("%+v", got)
	}
	if got := run(t, "", nil, "check", redact, "--wasm-sha256", "sha256:"+sum); got.code != 1 || !strings.Contains(got.stderr, sum) {
		t.Errorf("%+v", got)
	}
}
