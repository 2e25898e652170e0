import { Emit, Event, Filter, MapValue, emitTo, onStart } from "flb-filter";
export * from "flb-filter/module";
export * from "flb-filter/tick";
class F extends Filter {
  n: i32 = 0;
  filter(e: Event): void {
    this.n++;
    if (e.body.is("do", "route")) e.route("t.route");
    else if (e.body.is("do", "edited")) { e.body.set("n", 2); e.route("t.edited"); }
    else if (e.body.is("do", "emit")) e.emit(new Emit(new MapValue().add("new", 1)).to("t.emit"));
    else if (e.body.is("do", "bad")) e.route("elsewhere");
    else e.emit(new MapValue().add("own", 1));
  }
  tick(last: bool): string | null {
    emitTo("t.tick", new Emit(new MapValue().add("n", this.n).add("last", last)).metadata(new MapValue().add("m", 1)).time(5, 0));
    if (last) return null;
    return emitTo("elsewhere", new Emit(new MapValue())) ? null : "the tag is not one that emit_tags grants";
  }
}
onStart(() => new F());
