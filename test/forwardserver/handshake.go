package forwardserver

import (
	"crypto/sha512"
	"encoding/hex"

	"github.com/IBM/fluent-forward-go/fluent/protocol"
	"github.com/tinylib/msgp/msgp"
)

// readPing takes a PING off the wire. The library wants the salt as bin, where
// Fluent Bit wants a str: both have the same contents.
func readPing(r *msgp.Reader) (*protocol.Ping, error) {
	if _, err := r.ReadArrayHeader(); err != nil {
		return nil, err
	}
	var parts [6]string
	for i := range parts {
		v, err := r.ReadIntf()
		if err != nil {
			return nil, err
		}
		switch v := v.(type) {
		case string:
			parts[i] = v
		case []byte:
			parts[i] = string(v)
		}
	}
	return &protocol.Ping{MessageType: parts[0], ClientHostname: parts[1], SharedKeySalt: []byte(parts[2]),
		SharedKeyHexDigest: parts[3], Username: parts[4], Password: parts[5]}, nil
}

func passwordDigest(salt, username, password string) string {
	sum := sha512.Sum512([]byte(salt + username + password))
	return hex.EncodeToString(sum[:])
}
