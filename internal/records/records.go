// Package records makes log records, for tests and measurements that need many
// of them.
package records

import (
	"iter"
	"math"
	"math/rand/v2"
	"strconv"
	"time"
)

// Generate yields n records as JSON objects without a newline, about 450 bytes
// on average. The same n and seed always give the same records; "seq" counts
// them from 0. A yielded slice is the receiver's to keep.
//
// The records stay within what every Fluent Bit since 1.9 reads exactly, so that
// what comes out of a pipeline can be compared with what went in:
//   - characters beyond the Basic Multilingual Plane are written as UTF-8: older
//     versions read an escaped surrogate pair as two characters;
//   - floats have a point and no exponent: older versions read a number without a
//     point, such as 1e+300, as an integer; they have the fewest digits that
//     identify them;
//   - integers lie between -2⁶³ and 2⁶⁴-1; no NUL, no empty or repeated key.
func Generate(n int, seed uint64) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		g := generator{rand: rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))}
		for seq := range n {
			if !yield(g.record(seq)) {
				return
			}
		}
	}
}

type generator struct {
	rand *rand.Rand
	out  []byte
}

var (
	levels   = []string{"info", "info", "info", "info", "debug", "warn", "error", "trace"}
	services = []string{"checkout", "cart", "search", "inventory", "payments", "gateway"}
	methods  = []string{"GET", "GET", "GET", "POST", "PUT", "DELETE"}
	paths    = []string{"/", "/api/v1/orders", "/api/v1/orders/{id}/items", "/search", "/static/app.js", "/healthz"}
	statuses = []int{200, 200, 200, 201, 204, 301, 304, 400, 404, 418, 500, 503}
	agents   = []string{
		"curl/8.5.0",
		"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
		"kube-probe/1.31",
		"Go-http-client/2.0",
	}
	messages = []string{
		`request served`,
		`cache miss, asking the origin`,
		`could not parse \"quantity\": expected a number`,
		`panic: runtime error: index out of range [5] with length 3\n\tmain.go:42 +0x1d\n`,
		`C:\\Program Files\\shop\\log.txt opened`,
		`\u001b[33mslow query\u001b[0m: SELECT * FROM orders WHERE id = $1`,
		`commande n\u00b0 12 pass\u00e9e par Zo\u00eb`,
		`注文を受け付けました`,
		`Заказ принят`,
		`🚀 deployed 👩‍💻🎉`,
		`tab\there, slash \/ there, bell \b and feed \f`,
		``,
	}
	integers = []string{
		"0", "-1", "127", "128", "-32", "-33", "-128", "-129", "255", "256", "32767", "32768", "-32769",
		"65535", "65536", "2147483648", "-2147483649", "4294967295", "4294967296",
		"9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
		"18446744073709551615",
	}
	floats = []float64{0, 418, -1.5, 0.1, 1.0 / 3, math.Pi, 2.5e-7, 1e15 + 0.5, 1 << 53, -273.15}
	odd    = []string{
		`null`, `true`, `false`, `""`, `{}`, `[]`, `[[]]`, `[{}]`, `[null,"",0.0]`, `{"a":{"b":{"c":{"d":[1,[2,[3]]]}}}}`,
	}
	start = time.Date(2024, 2, 28, 23, 59, 0, 0, time.UTC)
)

func pick[T any](g *generator, from []T) T {
	return from[g.rand.IntN(len(from))]
}

func (g *generator) text(parts ...string) {
	for _, part := range parts {
		g.out = append(g.out, part...)
	}
}

func (g *generator) int(n int) {
	g.out = strconv.AppendInt(g.out, int64(n), 10)
}

func (g *generator) hex(digits int) {
	for range digits {
		g.out = append(g.out, "0123456789abcdef"[g.rand.IntN(16)])
	}
}

// float appends f with the fewest digits, a point and no exponent.
func (g *generator) float(f float64) {
	g.out = strconv.AppendFloat(g.out, f, 'f', -1, 64)
	if f == math.Trunc(f) {
		g.text(".0")
	}
}

func (g *generator) record(seq int) []byte {
	g.out = make([]byte, 0, 640)
	g.text(`{"seq":`)
	g.int(seq)
	g.text(`,"ts":"`)
	// Ahead by up to a second from record to record, so that the order is kept.
	at := start.Add(time.Duration(seq)*time.Second + time.Duration(g.rand.IntN(1_000_000))*time.Microsecond)
	g.out = at.AppendFormat(g.out, "2006-01-02T15:04:05.000000Z")
	g.text(`","level":"`, pick(g, levels), `","message":"`, pick(g, messages), `"`)
	if g.rand.IntN(8) > 0 {
		g.http()
	}
	if g.rand.IntN(8) > 0 {
		g.kubernetes()
	}
	g.text(`,"count":`, pick(g, integers), `,"ratio":`)
	if g.rand.IntN(2) == 0 {
		g.float(pick(g, floats))
	} else {
		g.float(g.rand.Float64() * 1000)
	}
	g.text(`,"extra":`, pick(g, odd), `}`)
	return g.out
}

func (g *generator) http() {
	g.text(`,"http":{"method":"`, pick(g, methods), `","path":"`, pick(g, paths), `","status":`)
	g.int(pick(g, statuses))
	g.text(`,"bytes":`)
	g.int(g.rand.IntN(1 << 20))
	g.text(`,"duration_ms":`)
	g.float(math.Round(g.rand.ExpFloat64()*20_000) / 1000)
	g.text(`,"remote":"10.`)
	g.int(g.rand.IntN(256))
	g.text(`.`)
	g.int(g.rand.IntN(256))
	g.text(`.7","agent":"`, pick(g, agents), `"}`)
}

func (g *generator) kubernetes() {
	service := pick(g, services)
	g.text(`,"kubernetes":{"namespace_name":"shop","pod_name":"`, service, `-`)
	g.hex(10)
	g.text(`-`)
	g.hex(5)
	g.text(`","labels":{"app":"`, service, `","pod-template-hash":"`)
	g.hex(10)
	g.text(`"},"restarts":`)
	g.int(g.rand.IntN(3))
	g.text(`,"ready":`, strconv.FormatBool(g.rand.IntN(10) > 0), `}`)
}
