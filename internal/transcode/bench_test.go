package transcode

import (
	"fmt"
	"testing"
)

// The records of the benchmarks, by their size in JSON.
var benchRecords = []struct {
	name, json string
}{
	{"100B", record100},
	{"400B", record400},
	{"4KB", record4K},
}

const record100 = `{"level":"info","msg":"user logged in","user_id":48213,"ok":true,"duration_ms":12.75,"host":"web-01"}`

const record400 = `{"log":"GET /api/v2/orders/84213?expand=items HTTP/1.1","stream":"stdout","level":"info",` +
	`"status":200,"bytes":5316,"duration":0.1842,"cached":false,"user":null,` +
	`"kubernetes":{"namespace_name":"shop-production","pod_name":"orders-7d9f8b6c5d-x2lqp","container_name":"orders","host":"node-17.internal"},` +
	`"http":{"remote":"203.0.113.42","agent":"Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101","referer":"https://shop.example.com/cart","retries":3}}`

var record4K = func() string {
	s := `{"message":"`
	for i := range 14 {
		s += fmt.Sprintf(`at com.example.Service%d.handle(Service.java:%d)\n\tcause: \"timeout\" über 5 s;`, i, 100+i)
	}
	s += `","level":"error","samples":[`
	for i := range 60 {
		s += fmt.Sprintf(`%d,%d.%d,`, i*i*997, i, i*7+1)
	}
	s += `0],"labels":{`
	for i := range 60 {
		s += fmt.Sprintf(`"label-%d":"value of label %d",`, i, i)
	}
	return s + `"end":true}}`
}()

func BenchmarkAppendMsgpack(b *testing.B) {
	for _, r := range benchRecords {
		b.Run(r.name, func(b *testing.B) {
			in := []byte(r.json)
			dst := make([]byte, 0, 2*len(in))
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := AppendMsgpack(dst, in, MaxDepth); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	for _, r := range benchRecords {
		b.Run(r.name, func(b *testing.B) {
			in, _, err := AppendMsgpack(nil, []byte(r.json), MaxDepth)
			if err != nil {
				b.Fatal(err)
			}
			dst := make([]byte, 0, 2*len(r.json))
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := AppendJSON(dst, in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
