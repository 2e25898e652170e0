package forward

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"
)

// said is a connection on which the far side has said something and closed.
type said struct {
	net.Conn
	r io.Reader
}

func (s said) Read(b []byte) (int, error)  { return s.r.Read(b) }
func (s said) Write(b []byte) (int, error) { return len(b), nil }
func (s said) SetDeadline(time.Time) error { return nil }

// Whatever the far side says, nothing breaks, and nothing is done that it did not
// acknowledge by its ID.
func FuzzReply(f *testing.F) {
	f.Add([]byte("\x81\xa3ack\xa2id"))
	f.Add([]byte("\x81\xa3ack\xc4\x02id"))
	f.Add([]byte("\x82\xa1x\x92\x01\x02\xa3ack\xa2id"))
	f.Add([]byte("\x92\xa4HELO\x83\xa5nonce\xa2ab\xa4auth\xa0\xa9keepalive\xc2\x95\xa4PONG\xc3\xa0\xa1x\xa1y"))
	f.Add([]byte{0xdf, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, reply []byte) {
		config := &Config{Ack: true, SharedKey: "k", SelfHostname: "near", Username: "u", Password: "p"}
		c := &conn{net: said{r: bytes.NewReader(reply)}, config: config}
		if err := c.handshake(); err == nil {
			t.Error("the shared key was proved by who does not know it")
		}
		c = &conn{net: said{r: bytes.NewReader(reply)}, config: config}
		m := &Message{ID: "id"}
		if err := c.send([]*Message{m}); (err == nil) != m.Done || m.Done && !bytes.Contains(reply, []byte("id")) {
			t.Errorf("done: %v, error: %v", m.Done, err)
		}
	})
}
