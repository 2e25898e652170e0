package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// fake is a registry that says whatever a test has it say; a real one is in test/registry.
type fake struct {
	*httptest.Server
	answers map[string]http.HandlerFunc // by path below /v2/
	seen    []string                    // Authorization headers
}

func newFake(t *testing.T, start func(*httptest.Server)) *fake {
	t.Helper()
	f := &fake{answers: map[string]http.HandlerFunc{}}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.seen = append(f.seen, r.Header.Get("Authorization"))
		if answer := f.answers[strings.TrimPrefix(r.URL.Path, "/v2/")]; answer != nil {
			answer(w, r)
			return
		}
		http.NotFound(w, r)
	}))
	start(f.Server)
	t.Cleanup(f.Close)
	return f
}

func newPlain(t *testing.T) *fake { return newFake(t, (*httptest.Server).Start) }

func body(mediaType, digest string, b []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		if digest != "" {
			w.Header().Set("Docker-Content-Digest", digest)
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(b)))
		_, _ = w.Write(b)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func (f *fake) client(t *testing.T, reference string, c Config) *Client {
	t.Helper()
	_, host, _ := strings.Cut(f.URL, "://")
	r, err := ParseReference(host + "/" + reference)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	c.PlainHTTP = strings.HasPrefix(f.URL, "http://")
	client, err := New(r, c)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

const manifestType = ocispec.MediaTypeImageManifest

// module is no module: what it is does not matter here.
var module = []byte("the module")

func manifest(change func(*ocispec.Manifest)) []byte {
	var m ocispec.Manifest
	m.SchemaVersion, m.MediaType = 2, manifestType
	m.Config = descriptor(configType, []byte("{}"))
	m.Layers = []ocispec.Descriptor{descriptor(layerType, module)}
	if change != nil {
		change(&m)
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

func sum(b []byte) string { return digest.FromBytes(b).String() }

func TestReferences(t *testing.T) {
	sha := "sha256:" + strings.Repeat("a", 64)
	for text, want := range map[string]string{
		"registry.example/a/b:1.0":            "registry.example/a/b:1.0",
		"oci://registry.example:5000/a:1":     "registry.example:5000/a:1",
		"registry.example/a@" + sha:           "registry.example/a@" + sha,
		"registry.example/a:moved@" + sha:     "registry.example/a@" + sha,
		"localhost:5000/redact-1.wasm:latest": "localhost:5000/redact-1.wasm:latest",
	} {
		r, err := ParseReference(text)
		if err != nil || r.String() != want || r.IsDigest() != strings.Contains(want, "@") {
			t.Errorf("%s: %s, %v", text, r, err)
		}
	}
	for _, text := range []string{
		"", "a", "a:1", "registry.example/a", "registry.example/A:1", "registry.example/../a:1", "registry.example/a:", "registry.example/a@",
		"registry.example/a@sha256:abc", "registry.example/a@sha512:" + strings.Repeat("a", 128), "registry.example/a:b c", "registry.example/a@md5:" + strings.Repeat("a", 32),
	} {
		if r, err := ParseReference(text); err == nil || !strings.Contains(err.Error(), "give HOST") {
			t.Errorf("%q: %s, %v", text, r, err)
		}
	}
}

// What a registry says that is not a module, or not what was asked for, is refused, and the message says why.
func TestHostileManifests(t *testing.T) {
	good := manifest(nil)
	other := manifest(func(m *ocispec.Manifest) { m.Annotations = map[string]string{"a": "b"} })
	layer := func(change func(*ocispec.Descriptor)) []byte {
		return manifest(func(m *ocispec.Manifest) { change(&m.Layers[0]) })
	}
	index := []byte(`{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageIndex + `","manifests":[]}`)
	for _, test := range []struct {
		name      string
		reference string
		answer    http.HandlerFunc
		want      string // a part of the error; "": there is none
	}{
		{"good, by tag", "", body(manifestType, "", good), ""},
		{"good, by digest", sum(good), body(manifestType, sum(good), good), ""},
		{"an index", "", body(ocispec.MediaTypeImageIndex, "", index), "index of several manifests"},
		{"an index that is called a manifest", "", body(manifestType, "", index), "its manifest says that it is"},
		{"an image of docker", "", body("application/vnd.docker.distribution.manifest.v2+json", "", good), "not a WebAssembly module"},
		{"a page", "", body("text/html; charset=utf-8", "", []byte("<html>")), "not a WebAssembly module"},
		{"no media type", "", body("", "", good), "Content-Type"},
		{"rubbish", "", body(manifestType, "", []byte("{")), "can't be read"},
		{"another version", "", body(manifestType, "", manifest(func(m *ocispec.Manifest) { m.SchemaVersion = 1 })), "version 1"},
		{"no layers", "", body(manifestType, "", manifest(func(m *ocispec.Manifest) { m.Layers = nil })), "none at all"},
		{"an image", "", body(manifestType, "", layer(func(l *ocispec.Descriptor) { l.MediaType = ocispec.MediaTypeImageLayerGzip })), "no layer application/wasm"},
		{"two modules", "", body(manifestType, "", manifest(func(m *ocispec.Manifest) { m.Layers = append(m.Layers, m.Layers[0]) })), "several modules"},
		{"a huge layer", "", body(manifestType, "", layer(func(l *ocispec.Descriptor) { l.Size = 1 << 62 })), "has 4611686018427387904 bytes"},
		{"a layer of less than nothing", "", body(manifestType, "", layer(func(l *ocispec.Descriptor) { l.Size = -1 })), "has -1 bytes"},
		{"an empty layer", "", body(manifestType, "", layer(func(l *ocispec.Descriptor) { l.Size = 0 })), "has 0 bytes"},
		{"another algorithm", "", body(manifestType, "", layer(func(l *ocispec.Descriptor) { l.Digest = digest.SHA512.FromBytes(module) })), "has to be one of sha256"},
		{"a path for a digest", "", body(manifestType, "", layer(func(l *ocispec.Descriptor) { l.Digest = "sha256:../../x" })), "has to be one of sha256"},
		{"a manifest without end", "", body(manifestType, sum(nil), bytes.Repeat([]byte(" "), maxManifestBytes+1)), "bytes: at most"},
		{"another manifest for a digest", sum(good), body(manifestType, "", other), "another digest"},
		{"the same, which lies", sum(good), body(manifestType, sum(good), other), "another digest"},
		{"a header that lies", "", body(manifestType, sum(good), other), "another digest"},
		{"a header that is none", "", body(manifestType, "sha256:x", good), "invalid response header"},
		{"not there", "", status(404), "is not there"},
		{"forbidden", "", status(403), "docker login"},
		{"a login of a kind that there is not", "", status(401), "docker login"},
	} {
		f := newPlain(t)
		reference, path := "a:tag", "a/manifests/tag"
		if test.reference != "" {
			reference, path = "a@"+test.reference, "a/manifests/"+test.reference
		}
		f.answers[path] = test.answer
		a, err := f.client(t, reference, Config{}).Resolve(context.Background(), 1<<20)
		switch {
		case test.want == "" && (err != nil || a.Digest != sum(good) || "sha256:"+a.SHA256 != sum(module) || a.Bytes != int64(len(module))):
			t.Errorf("%s: %+v, %v", test.name, a, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		case errors.Is(err, ErrUnavailable):
			t.Errorf("%s: %v: as if it helped to wait", test.name, err)
		}
	}
}

// Of a layer comes what its manifest says, or an error.
func TestHostileLayers(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"good", body("application/octet-stream", "", module), ""},
		{"changed", body("application/octet-stream", sum(module), []byte("the Module")), "another digest"},
		{"longer", body("application/octet-stream", "", append(bytes.Clone(module), '!')), "mismatch Content-Length"},
		{"longer, of a length that is not said", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(module)
			w.(http.Flusher).Flush()
			_, _ = w.Write([]byte("!"))
		}, "another digest"},
		{"shorter", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(module[:3])
			w.(http.Flusher).Flush()
		}, "not available"},
		{"cut off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(module)))
			_, _ = w.Write(module[:3])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, "not available"},
		{"not there", status(404), "is not there"},
	} {
		f := newPlain(t)
		f.answers["a/manifests/tag"] = body(manifestType, "", manifest(nil))
		f.answers["a/blobs/"+sum(module)] = test.answer
		c := f.client(t, "a:tag", Config{})
		a, err := c.Resolve(context.Background(), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		err = c.Fetch(context.Background(), a, &got)
		if test.want == "" && (err != nil || !bytes.Equal(got.Bytes(), module)) || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %q, %v, want %q", test.name, got.String(), err, test.want)
		}
	}
}

func TestUnavailable(t *testing.T) {
	defer func(n int) { maxRetries = n }(maxRetries)
	maxRetries = 0
	for name, answer := range map[string]http.HandlerFunc{
		"overloaded": status(503), "asked too often": status(429), "slow": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		f := newPlain(t) // the one before may still be read by what it answers
		f.answers["a/manifests/tag"] = answer
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		if _, err := f.client(t, "a:tag", Config{}).Resolve(ctx, 1<<20); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
	f := newPlain(t)
	c := f.client(t, "a:tag", Config{})
	f.CloseClientConnections()
	f.Close()
	if _, err := c.Resolve(context.Background(), 1<<20); !errors.Is(err, ErrUnavailable) {
		t.Errorf("nobody listens: %v", err)
	}
}

// A password goes to the registry that it is for, and not along with a redirect.
func TestRedirects(t *testing.T) {
	other := newPlain(t)
	other.answers["blob"] = body("application/octet-stream", "", module)
	f := newPlain(t)
	to := func(where string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "" {
				w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
				w.WriteHeader(401)
				return
			}
			http.Redirect(w, r, where, http.StatusTemporaryRedirect)
		}
	}
	f.answers["a/manifests/tag"] = body(manifestType, "", manifest(nil))
	blob := "a/blobs/" + sum(module)
	f.answers[blob] = to(other.URL + "/v2/blob")
	c := f.client(t, "a:tag", Config{Username: "u", Password: "p"})
	a, err := c.Resolve(context.Background(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := c.Fetch(context.Background(), a, &got); err != nil || !bytes.Equal(got.Bytes(), module) {
		t.Errorf("%q, %v", got.String(), err)
	}
	if len(other.seen) != 1 || other.seen[0] != "" {
		t.Errorf("another host has seen %q", other.seen)
	}
	f.answers[blob] = to(f.URL + "/v2/" + blob)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := c.Fetch(ctx, a, &got); err == nil || !strings.Contains(err.Error(), "redirects more than 10 times") || errors.Is(err, ErrUnavailable) {
		t.Errorf("a loop: %v", err)
	}
	// A realm that is plain HTTP gets no password of a registry that is not.
	secret := newFake(t, (*httptest.Server).StartTLS)
	for name, answer := range map[string]http.HandlerFunc{
		"a realm": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+other.URL+`/token",service="x"`)
			w.WriteHeader(401)
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+"/v2/blob", http.StatusFound)
		},
	} {
		other.seen = nil
		secret.answers["a/manifests/tag"] = answer
		if _, err := secret.client(t, "a:tag", Config{Username: "u", Password: "p", Insecure: true}).Resolve(context.Background(), 1<<20); err == nil {
			t.Errorf("%s: no error", name)
		}
		if len(other.seen) > 0 {
			t.Errorf("%s: %q has been sent in clear", name, other.seen)
		}
	}
}

func TestTLS(t *testing.T) {
	f := newFake(t, (*httptest.Server).StartTLS)
	f.Config.ErrorLog = nil
	f.answers["a/manifests/tag"] = body(manifestType, "", manifest(nil))
	resolve := func(c Config) error {
		_, err := f.client(t, "a:tag", c).Resolve(context.Background(), 1<<20)
		return err
	}
	if err := resolve(Config{}); err == nil || !strings.Contains(err.Error(), "--ca-file") || errors.Is(err, ErrUnavailable) {
		t.Errorf("a certificate of nobody: %v", err)
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})
	if err := resolve(Config{CA: ca}); err != nil {
		t.Error(err)
	}
	if err := resolve(Config{Insecure: true}); err != nil {
		t.Error(err)
	}
	plain := newPlain(t)
	_, host, _ := strings.Cut(plain.URL, "://")
	r, err := ParseReference(host + "/a:tag")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(r, Config{CA: []byte("rubbish")}); err == nil {
		t.Error("rubbish is taken for certificates")
	}
	c, err := New(r, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Resolve(context.Background(), 1<<20); err == nil || !strings.Contains(err.Error(), "--plain-http") {
		t.Errorf("HTTP: %v", err)
	}
}

// What stands at the place of signatures is as hostile as anything.
func TestHostileSignatures(t *testing.T) {
	payload := []byte("payload")
	signed := func(n int, change func(*ocispec.Descriptor)) []byte {
		return manifest(func(m *ocispec.Manifest) {
			m.Layers = nil
			for range n {
				l := descriptor(signedType, payload)
				l.Annotations = map[string]string{signatureAnnotation: "text"}
				if change != nil {
					change(&l)
				}
				m.Layers = append(m.Layers, l)
			}
		})
	}
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		n      int
		want   string
	}{
		{"none", status(404), 0, ""},
		{"two", body(manifestType, "", signed(2, nil)), 2, ""},
		{"others", body(manifestType, "", manifest(nil)), 0, ""},
		{"one without a signature", body(manifestType, "", signed(1, func(l *ocispec.Descriptor) { l.Annotations = nil })), 0, ""},
		{"many", body(manifestType, "", signed(maxSignatures+1, nil)), 0, "more than 100"},
		{"a large one", body(manifestType, "", signed(1, func(l *ocispec.Descriptor) { l.Size = maxPayloadBytes + 1 })), 0, "65537 bytes"},
		{"an empty one", body(manifestType, "", signed(1, func(l *ocispec.Descriptor) { l.Size = 0 })), 0, "0 bytes"},
		{"another payload", body(manifestType, "", signed(1, func(l *ocispec.Descriptor) { l.Digest = digest.FromString("pAyload") })), 0, "is not there"},
		{"a path for a digest", body(manifestType, "", signed(1, func(l *ocispec.Descriptor) { l.Digest = "../manifests/tag" })), 0, "invalid"},
		{"an index", body(ocispec.MediaTypeImageIndex, "", []byte("{}")), 0, "index"},
		{"forbidden", status(403), 0, "docker login"},
	} {
		f := newPlain(t)
		a := Artifact{Digest: sum(module)}
		f.answers["a/manifests/sha256-"+sum(module)[7:]+".sig"] = test.answer
		f.answers["a/blobs/"+sum(payload)] = body("application/octet-stream", "", payload)
		list, err := f.client(t, "a:tag", Config{}).Signatures(context.Background(), a)
		if len(list) != test.n || (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %d, %v, want %q", test.name, len(list), err, test.want)
		}
		for _, s := range list {
			if !bytes.Equal(s.Payload, payload) || s.Text != "text" {
				t.Errorf("%s: %+v", test.name, s)
			}
		}
	}
}
