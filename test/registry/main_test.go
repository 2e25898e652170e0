// Package registry has the command push, pull, sign and verify modules at a real registry, that of the
// CNCF's project distribution, in this process. It is a module of its own, so that nothing of it is
// among what the plugin is built of.
package registry

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/distribution/distribution/v3/configuration"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/opencontainers/go-digest"
	"github.com/sirupsen/logrus"
	"golang.org/x/crypto/bcrypt"
)

const (
	root    = "../.."
	program = root + "/build/flb-wasmtime"
	redact  = root + "/examples/c/redact.wasm"
	enrich  = root + "/examples/rust/enrich.wasm"
)

func TestMain(m *testing.M) {
	logrus.SetLevel(logrus.PanicLevel)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "COSIGN_PASSWORD", "SOURCE_DATE_EPOCH"} {
		os.Unsetenv(name)
	}
	os.Exit(m.Run())
}

// server is a registry.
type server struct {
	*httptest.Server
	dir string // its files
}

// host is HOST:PORT.
func (s server) host() string {
	_, host, _ := strings.Cut(s.URL, "://")
	return host
}

// serve starts a registry, with a user if there is a password.
func serve(t *testing.T, user, password string, tls bool) server {
	t.Helper()
	s := server{dir: t.TempDir()}
	c := &configuration.Configuration{Storage: configuration.Storage{
		"filesystem": {"rootdirectory": s.dir},
		"delete":     {"enabled": true},
	}}
	c.HTTP.Secret = "secret"
	c.Catalog.MaxEntries = 100
	if password != "" {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "htpasswd")
		write(t, file, []byte(user+":"+string(hash)+"\n"))
		c.Auth = configuration.Auth{"htpasswd": {"realm": "test", "path": file}}
	}
	app := handlers.NewApp(context.Background(), c)
	s.Server = httptest.NewUnstartedServer(app)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that clients end
	if tls {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// certificate writes the certificate of a registry to a file.
func (s server) certificate(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	write(t, path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	return path
}

// blob is the file in which the registry has something.
func (s server) blob(d string) string {
	hex := digest.Digest(d).Encoded()
	return filepath.Join(s.dir, "docker/registry/v2/blobs/sha256", hex[:2], hex, "data")
}

// put stores a manifest, as any client could.
func (s server) put(t *testing.T, name, reference, mediaType string, manifest []byte) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPut, s.URL+"/v2/"+name+"/manifests/"+reference, bytes.NewReader(manifest))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", mediaType)
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Fatal(resp.Status)
	}
}

// get reads a manifest.
func (s server) get(t *testing.T, name, reference string) []byte {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.URL+"/v2/"+name+"/manifests/"+reference, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/vnd.oci.image.manifest.v1+json")
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status, err)
	}
	return b.Bytes()
}

// result is what a run of the command leaves behind.
type result struct {
	code           int
	stdout, stderr string
}

// run runs the command in an environment where nobody is logged in, unless env says so.
func run(t *testing.T, stdin string, env []string, args ...string) result {
	t.Helper()
	path, err := filepath.Abs(program)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(append(os.Environ(), "DOCKER_CONFIG="+t.TempDir()), env...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: run make build", err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// ok runs the command at a registry of plain HTTP, where it has to succeed, and returns what it prints.
func ok(t *testing.T, args ...string) string {
	t.Helper()
	got := run(t, "", nil, append(args, "--plain-http")...)
	if got.code != 0 || got.stderr != "" {
		t.Fatalf("%v: %+v", args, got)
	}
	return strings.TrimSuffix(got.stdout, "\n")
}

// refused runs the command at a registry of plain HTTP, where it has to fail, and say why.
func refused(t *testing.T, code int, want string, args ...string) {
	t.Helper()
	got := run(t, "", nil, append(args, "--plain-http")...)
	if got.code != code || !strings.Contains(got.stderr, want) || got.stdout != "" || strings.Count(got.stderr, "\n") != 1 {
		t.Errorf("%v: want exit code %d and %q:\n%+v", args, code, want, got)
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
