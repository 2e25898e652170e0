package options

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/regular"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/internal/tagtemplate"
)

// OutputTable lists what the output has beyond the filter's options. Names keep
// clear of those that Fluent Bit takes for itself (host, port, tls, tls.*, workers,
// retry_limit: flb_output_set_property in src/flb_output.c, 5.1.1).
var OutputTable = []Option{
	{Name: "emit_to", Type: String, Required: true,
		Help: "Where results go: forward://HOST:PORT, forward+unix:///PATH, file:///PATH, or stdout"},
	{Name: "emit_tag", Type: String, Default: "$TAG",
		Help: "Tag of the results; $TAG, $TAG[0] (a part between dots) and $key or $key['sub'] (of the result) are filled in"},
	{Name: "emit_metadata", Type: String, Default: "auto", Values: []string{"auto", "on", "off"},
		Help: "Whether event metadata goes along: auto (in events that have any), on (in the form of Fluent Bit 2.1 and later for all), or off"},
	{Name: "emit_format", Type: String, Default: "json_lines", Values: []string{"json_lines", "msgpack"},
		Help: "Format of file and stdout: json_lines, or msgpack (the events as Fluent Bit has them)"},
	{Name: "emit_date_key", Type: String, Default: "date",
		Help: "Key under which json_lines has the time, in seconds, unless the record has that key; off for none"},
	{Name: "emit_ack", Type: Bool, Default: "on",
		Help: "Ask the far side of forward for acknowledgements, and take nothing for delivered without"},
	{Name: "emit_compress", Type: String, Default: "off", Values: []string{"off", "gzip"},
		Help: "Compression of forward messages: off or gzip"},
	{Name: "emit_connections", Type: Int, Default: "4",
		Help: "Max forward connections, and chunks under way, at a time"},
	{Name: "emit_keepalive", Type: Bool, Default: "on",
		Help: "Keep forward connections for the next chunk"},
	{Name: "emit_connect_timeout", Type: Time, Default: "10s",
		Help: "Max time to connect, with TLS and shared key"},
	{Name: "emit_timeout", Type: Time, Default: "30s",
		Help: "Max time that the far side may take for one chunk, from the first byte to the last acknowledgement"},
	{Name: "emit_shared_key", Type: String,
		Help: "Shared key of the far side's forward input; none unless set"},
	{Name: "emit_self_hostname", Type: String,
		Help: "Name by which this side calls itself to a far side with a shared key; the host's unless set"},
	{Name: "emit_username", Type: String,
		Help: "User name for a far side that asks for one"},
	{Name: "emit_password", Type: String,
		Help: "Password of that user"},
	{Name: "emit_tls", Type: Bool, Default: "off",
		Help: "Speak TLS to the far side of forward"},
	{Name: "emit_tls_verify", Type: Bool, Default: "on",
		Help: "Check the certificate and the name of the far side"},
	{Name: "emit_tls_vhost", Type: String,
		Help: "Name that the certificate of the far side must have; the host of emit_to unless set"},
	{Name: "emit_tls_ca_file", Type: String,
		Help: "File of PEM certificates that the far side's must come from; the system's unless set"},
	{Name: "emit_tls_crt_file", Type: String,
		Help: "File of the PEM certificate that this side shows"},
	{Name: "emit_tls_key_file", Type: String,
		Help: "File of the PEM key of that certificate"},
	{Name: "flush_timeout", Type: Time, Default: "10s",
		Help: "Max time that a flush waits for its delivery on a thread of Workers; then Fluent Bit is asked to try again, and the delivery goes on meanwhile; while nothing is delivered, max time for all flushes together"},
	{Name: "engine_timeout", Type: Time, Default: "100ms",
		Help: "The same on the engine's own thread, without Workers"},
	{Name: "retry_cache", Type: Size, Default: "64M",
		Help: "Max memory for chunks under way and for results kept for a retry; a retried chunk that was pushed out runs through the module again"},
}

// Scheme says what kind of place results go to.
type Scheme int

// The places.
const (
	Forward Scheme = iota
	File
	Stdout
)

// Metadata says in what form events go to the far side.
type Metadata int

// The forms: MetadataAuto gives the new form to events that have metadata.
const (
	MetadataAuto Metadata = iota
	MetadataOn
	MetadataOff
)

// Output are the checked values of one output instance. They are not changed
// after ParseOutput.
type Output struct {
	Options
	Name string // of the instance

	To       Scheme
	Network  string // tcp or unix, of Forward
	Address  string // of Forward, or the path of File
	Tag      tagtemplate.Template
	Metadata Metadata
	Msgpack  bool   // file and stdout
	DateKey  string // of json_lines; "": none

	Ack            bool
	Gzip           bool
	Connections    int
	Keepalive      bool
	ConnectTimeout time.Duration
	EmitTimeout    time.Duration
	SharedKey      string
	SelfHostname   string
	Username       string
	Password       string
	TLS            *tls.Config // nil: none

	FlushTimeout    time.Duration
	EngineTimeout   time.Duration
	RetryCacheBytes int64
}

// ParseOutput reads the options of the output instance named name. Every error is
// an *Error.
func ParseOutput(name string, source Source) (Output, error) {
	p := parser{source: source}
	o := Output{
		Options:  p.shared(),
		Name:     name,
		Tag:      p.template("emit_tag"),
		Metadata: Metadata(p.oneOf("emit_metadata")),
		Msgpack:  p.oneOf("emit_format") == 1,
		DateKey:  p.dateKey("emit_date_key"),

		Ack:             p.bool("emit_ack"),
		Gzip:            p.oneOf("emit_compress") == 1,
		Connections:     int(p.number("emit_connections", 1, 64)),
		Keepalive:       p.bool("emit_keepalive"),
		ConnectTimeout:  p.time("emit_connect_timeout", time.Millisecond, 10*time.Minute),
		EmitTimeout:     p.time("emit_timeout", time.Millisecond, time.Hour),
		SharedKey:       p.value("emit_shared_key"),
		SelfHostname:    p.value("emit_self_hostname"),
		Username:        p.value("emit_username"),
		Password:        p.value("emit_password"),
		FlushTimeout:    p.time("flush_timeout", 0, time.Hour),
		EngineTimeout:   p.time("engine_timeout", 0, 10*time.Second),
		RetryCacheBytes: p.size("retry_cache", 1_000_000, 1<<40),
	}
	o.IsOutput = true
	p.unused(" in an output, which delivers records of other tags by itself", emitterOptions...)
	p.unused(" in an output, which has no ticks", "tick_interval")
	o.Warnings = p.warnings
	p.place(&o)
	p.tls(&o)
	if o.SelfHostname == "" {
		if o.SelfHostname, _ = os.Hostname(); o.SelfHostname == "" {
			o.SelfHostname = "localhost"
		}
	}
	if o.SharedKey != "" && o.To != Forward {
		p.fail("emit_shared_key", "(not shown)", "it has an effect only with emit_to forward://")
	}
	if o.SharedKey == "" && (o.Username != "" || o.Password != "") {
		p.fail("emit_shared_key", "", "emit_username and emit_password have an effect only with a shared key")
	}
	if p.err != nil {
		return Output{}, p.err
	}
	return o, nil
}

const places = "allowed are forward://HOST:PORT, forward+unix:///PATH, file:///PATH and stdout"

// place reads emit_to.
func (p *parser) place(o *Output) {
	v := p.str("emit_to", places)
	if v == "stdout" || v == "stdout://" {
		o.To = Stdout
		return
	}
	u, err := url.Parse(v)
	if err != nil || u.RawQuery != "" || u.Fragment != "" || u.User != nil || u.Opaque != "" {
		p.fail("emit_to", v, places)
		return
	}
	switch {
	case u.Scheme == "forward" && u.Hostname() != "" && (u.Path == "" || u.Path == "/"):
		port := u.Port()
		if port == "" {
			port = "24224"
		}
		o.Network, o.Address = "tcp", net.JoinHostPort(u.Hostname(), port)
		if _, err := net.LookupPort("tcp", port); err != nil {
			p.fail("emit_to", v, places)
		}
	case u.Scheme == "forward+unix" && u.Host == "" && filepath.IsAbs(u.Path):
		o.Network, o.Address = "unix", u.Path
	case u.Scheme == "file" && u.Host == "" && filepath.IsAbs(u.Path):
		o.To, o.Address = File, u.Path
		if info, err := os.Stat(filepath.Dir(u.Path)); err != nil || !info.IsDir() {
			p.fail("emit_to", v, fmt.Sprintf("%q is not a directory", filepath.Dir(u.Path)))
		}
		if info, err := os.Stat(u.Path); err == nil && info.IsDir() {
			p.fail("emit_to", v, fmt.Sprintf("%q is a directory, not a file", u.Path))
		}
	default:
		p.fail("emit_to", v, places)
	}
}

func (p *parser) template(name string) tagtemplate.Template {
	v := p.str(name, "give a tag, or leave it out")
	t, err := tagtemplate.Parse(v)
	if err != nil {
		p.fail(name, v, err.Error())
	}
	return t
}

func (p *parser) dateKey(name string) string {
	switch v := p.value(name); v {
	case "off", "false", "no":
		return ""
	default:
		return v
	}
}

// maxPEMBytes bounds what is read of a file of certificates: several times all that the
// world trusts.
const maxPEMBytes = 16 << 20

func keyPair(crt, key string) (tls.Certificate, error) {
	certificate, err := regular.Read(crt, maxPEMBytes)
	if err != nil {
		return tls.Certificate{}, err
	}
	private, err := regular.Read(key, maxPEMBytes)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(certificate, private)
}

// tls reads the files, so that what is wrong with them is said at start.
func (p *parser) tls(o *Output) {
	on := p.bool("emit_tls")
	verify := p.bool("emit_tls_verify")
	vhost := p.value("emit_tls_vhost")
	ca, crt, key := p.value("emit_tls_ca_file"), p.value("emit_tls_crt_file"), p.value("emit_tls_key_file")
	if !on {
		for name, v := range map[string]string{"emit_tls_vhost": vhost, "emit_tls_ca_file": ca,
			"emit_tls_crt_file": crt, "emit_tls_key_file": key} {
			if v != "" {
				p.fail(name, v, "it has an effect only with emit_tls on")
			}
		}
		return
	}
	if o.To != Forward {
		p.fail("emit_tls", "on", "it has an effect only with emit_to forward://")
	}
	if o.Network == "unix" && vhost == "" && verify {
		p.fail("emit_tls_vhost", "", "give the name that the certificate behind the socket has, or emit_tls_verify off")
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: vhost, InsecureSkipVerify: !verify}
	if vhost == "" {
		if host, _, err := net.SplitHostPort(o.Address); err == nil {
			config.ServerName = host
		}
	}
	if ca != "" {
		pem, err := regular.Read(ca, maxPEMBytes)
		if err != nil {
			p.fail("emit_tls_ca_file", ca, err.Error())
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			p.fail("emit_tls_ca_file", ca, "it holds no PEM certificate")
		}
	}
	if crt != "" || key != "" {
		certificate, err := keyPair(crt, key)
		if err != nil {
			p.fail("emit_tls_crt_file", crt, "with emit_tls_key_file it must be a certificate and its key: "+err.Error())
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	o.TLS = config
}
