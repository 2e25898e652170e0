package conformance

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// member is a member of an object of JSON.
type member struct {
	key   string
	value any
}

// object keeps the members of an object of JSON in their order.
type object []member

func (o object) get(key string) (any, bool) {
	for _, m := range o {
		if m.key == key {
			return m.value, true
		}
	}
	return nil, false
}

// raw is bytes of MessagePack that stand for themselves.
type raw []byte

// parseJSON reads one value of JSON. Objects become an object, numbers a json.Number; objects with
// the one member "$repeat" or "$join" a string, and those with "$hex" a raw.
func parseJSON(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	v, err := parseValue(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the value")
	}
	return v, nil
}

func parseValue(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := token.(json.Delim)
	switch {
	case !ok:
		return token, nil
	case delim == '[':
		list := []any{}
		for d.More() {
			v, err := parseValue(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	default:
		o := object{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := parseValue(d)
			if err != nil {
				return nil, err
			}
			o = append(o, member{key.(string), v})
		}
		if _, err = d.Token(); err != nil {
			return nil, err
		}
		return o.short()
	}
}

// short is what an object stands for.
func (o object) short() (any, error) {
	if len(o) != 1 {
		return o, nil
	}
	switch o[0].key {
	case "$repeat":
		list, ok := o[0].value.([]any)
		if !ok || len(list) != 2 {
			return nil, errors.New("$repeat: a text and a number are expected")
		}
		text, _ := list[0].(string)
		n, err := strconv.Atoi(fmt.Sprint(list[1]))
		if err != nil || n < 0 {
			return nil, fmt.Errorf("$repeat: invalid number %v", list[1])
		}
		return strings.Repeat(text, n), nil
	case "$join":
		list, err := texts(o[0].value)
		return strings.Join(list, ""), err
	case "$hex":
		return unhex(o[0].value)
	}
	return o, nil
}

func unhex(v any) (raw, error) {
	text, ok := v.(string)
	if !ok {
		return nil, errors.New("$hex: a text is expected")
	}
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	return b, err
}

// pack appends a value as MessagePack, in its shortest form. Numbers with a point or an exponent are
// floats of 64 bits.
func pack(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, 0xc0), nil
	case bool:
		if v {
			return append(b, 0xc3), nil
		}
		return append(b, 0xc2), nil
	case raw:
		return append(b, v...), nil
	case string:
		return append(packHead(b, len(v), 0xa0, 31, 0xd9, 0xda, 0xdb), v...), nil
	case json.Number:
		return packNumber(b, string(v))
	case []any:
		b = packHead(b, len(v), 0x90, 15, 0, 0xdc, 0xdd)
		for _, element := range v {
			var err error
			if b, err = pack(b, element); err != nil {
				return nil, err
			}
		}
		return b, nil
	case object:
		b = packHead(b, len(v), 0x80, 15, 0, 0xde, 0xdf)
		for _, m := range v {
			b, _ = pack(b, m.key)
			var err error
			if b, err = pack(b, m.value); err != nil {
				return nil, err
			}
		}
		return b, nil
	default:
		return nil, fmt.Errorf("%T is no value of JSON", v)
	}
}

// packHead appends the head of a value with a length, by the leading bytes of its forms. byte1 is 0
// if there is no form with a length of one byte.
func packHead(b []byte, n int, fix byte, most int, byte1, byte2, byte4 byte) []byte {
	switch {
	case n <= most:
		return append(b, fix|byte(n))
	case n <= math.MaxUint8 && byte1 != 0:
		return append(b, byte1, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, byte2), uint16(n))
	default:
		return binary.BigEndian.AppendUint32(append(b, byte4), uint32(n))
	}
}

func packNumber(b []byte, text string) ([]byte, error) {
	if strings.ContainsAny(text, ".eE") {
		f, err := strconv.ParseFloat(text, 64)
		return binary.BigEndian.AppendUint64(append(b, 0xcb), math.Float64bits(f)), err
	}
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		switch {
		case n <= math.MaxInt8:
			return append(b, byte(n)), nil
		case n <= math.MaxUint8:
			return append(b, 0xcc, byte(n)), nil
		case n <= math.MaxUint16:
			return binary.BigEndian.AppendUint16(append(b, 0xcd), uint16(n)), nil
		case n <= math.MaxUint32:
			return binary.BigEndian.AppendUint32(append(b, 0xce), uint32(n)), nil
		default:
			return binary.BigEndian.AppendUint64(append(b, 0xcf), n), nil
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		return nil, err
	case n >= -32:
		return append(b, byte(n)), nil
	case n >= math.MinInt8:
		return append(b, 0xd0, byte(n)), nil
	case n >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(b, 0xd1), uint16(n)), nil
	case n >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(b, 0xd2), uint32(n)), nil
	default:
		return binary.BigEndian.AppendUint64(append(b, 0xd3), uint64(n)), nil
	}
}

// texts is a list of nothing but texts.
func texts(v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, errors.New("a list is expected")
	}
	all := []string{}
	for _, element := range list {
		text, ok := element.(string)
		if !ok {
			return nil, fmt.Errorf("%v: a text is expected", element)
		}
		all = append(all, text)
	}
	return all, nil
}

func isMap(b []byte) bool {
	return len(b) > 0 && (b[0]&0xf0 == 0x80 || b[0] == 0xde || b[0] == 0xdf)
}

var emptyMap = []byte{0x80}

func isEmptyMap(b []byte) bool { return bytes.Equal(b, emptyMap) }
