package main

import (
	flb "github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go"
	"github.com/fluent-bit-wasmtime/fluent-bit-wasmtime/sdk/go/tick"
	"time"
)

var n int

func main() {}
func init() {
	flb.Configure(func() (flb.Handler, error) {
		tick.Call(func(last bool) error {
			if err := tick.EmitAt("t.tick", flb.NewMap().Add("n", n).Add("last", last), flb.NewMap().Add("m", 1), time.Unix(5, 0)); err != nil || last {
				return err
			}
			return tick.Emit("elsewhere", flb.NewMap())
		})
		return flb.Func(func(e *flb.Event) error {
			n++
			switch e.Body.Get("do").Str() {
			case "route":
				e.Route("t.route")
			case "edited":
				e.Body.Set("n", 2)
				e.Route("t.edited")
			case "emit":
				e.EmitTo("t.emit", flb.NewMap().Add("new", 1))
			case "bad":
				e.Route("elsewhere")
			default:
				e.Emit(flb.NewMap().Add("own", 1))
			}
			return nil
		}), nil
	})
}
