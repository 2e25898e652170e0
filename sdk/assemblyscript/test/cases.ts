// Filters of filter.test.js: the tag says which.

import {
  Counter, Emit, Event, Filter, Gauge, Group, Histogram, Items, Kind, ListValue, MapValue, Table, Value, accessor,
  config, emitTo, log, onStart, path, refuse, store,
} from "flb-filter";

export * from "flb-filter/module";
export * from "flb-filter/tick";

function mark(text: Value, by: string): string | null {
  return text.includes("@") ? text.toString().replaceAll("@", by) : null;
}

class Cases extends Filter {
  users: Table = Table.open("Users");
  n: i32 = config.parse<i32>("n", 7);
  small: u8 = config.parse<u8>("small", 1);
  ratio: f64 = config.parse<f64>("ratio", 0.5);
  on: bool = config.parse<bool>("on", false);
  needed: string = config.require("needed", "some text");
  counter: Counter = new Counter("c_total", "", ["a", "b"]);
  gauge: Gauge = new Gauge("g", "");
  histogram: Histogram = new Histogram("h", "", [], [1, 2]);

  ticks: i32 = 0;

  tick(last: bool): string | null {
    if (++this.ticks == 3) return "the tick fails";
    const map = new MapValue().add("last", last).add("n", this.ticks);
    assert(!emitTo("two\nlines", new Emit(map)));
    assert(emitTo("ticks", new Emit(map)));
    assert(emitTo("timed", new Emit(map).metadata(new MapValue().add("m", 1)).time(3, 4)));
    return null;
  }

  group(group: Group): void {
    group.body.set("seen", true);
    if (group.body.get("bad") !== null) group.fail("a bad group", 5);
  }

  filter(event: Event): void {
    const body = event.body;
    const tag = event.tag;
    if (body.is("neighbour", "yes")) {
      const text = body.getString("text");
      if (text !== null) body.set("text", text.length);
      body.set("seen", true);
      event.metadata.add("m", 1);
    } else if (tag == "set") {
      body.set("c", new ListValue().push(true).push<string | null>(null).push(1.5));
      body.set("a", 1);
      body.set("a", "x");
    } else if (tag == "emit to") {
      event.emit(new MapValue().add("n", 1));
      event.emit(new Emit(new MapValue().add("n", 2)).to("audit.é"));
      event.emit(new Emit(new MapValue().add("n", 3)).to("other").metadata(new MapValue().add("own", true)).time(5, 6));
      event.metadata.set("m", 2);
      event.setTime(7, 8);
    } else if (tag == "route") {
      event.route("audit");
      event.metadata.set("m", 3);
    } else if (tag == "route edited") {
      body.set("user", "***");
      event.route("audit");
      event.route("copy");
      body.set("a", 2); // too late
    } else if (tag == "route and fail") {
      event.route("nowhere");
      event.fail("no");
    } else if (tag == "route to nothing") {
      event.route("");
    } else if (tag == "add") {
      body.add("d", 4);
      body.add("e", 5);
      body.remove("a");
      body.remove("not there");
      body.set("c", [1, 2]);
    } else if (tag == "remove after set") {
      body.set("a", 1);
      body.remove("a");
      body.add("b", 1);
      body.set("b", 2);
    } else if (tag == "deep") {
      assert(body.put("z", 9));
      assert(body.put(path(["a", "b", "1", "c"]), new MapValue()));
      assert(body.put("a.b.0", "one"));
      assert(!body.put("a.x", 1));
      body.set("a.new.er", "x");
      body.set("p.q.r", 2);
      body.remove("a.b.1");
      body.set("p.q.s", 3);
    } else if (tag == "put over put") {
      body.put("a.c", 7);
      body.put("d", 4);
      body.put("a.b", 8);
      body.put<string | null>("a", null);
    } else if (tag == "in the way") {
      body.set("a.b", 1);
    } else if (tag == "replace") {
      body.put("a", 5);
      body.set("a", 6);
      body.replace(new MapValue().add("a", 1).add("b", 2));
      body.set("b", 3);
      body.remove("a");
      body.add("c", "x@");
      body.rewriteStrings(mark, "!");
    } else if (tag == "many") {
      for (let i = 0; i < 600; i++) body.set("k" + (i % 300).toString(), i);
    } else if (tag == "rewrite") {
      body.rewriteStringsWith("@", mark, "***");
    } else if (tag == "rewrite after put") {
      body.put("a", "@put");
      body.rewriteStrings(mark, "***");
    } else if (tag == "edited") {
      body.set("a", 1);
      body.put("b", 2);
      const map = body.edited();
      map.set("b", "new").set("c", 3).remove("a");
      assert(map.value.length == 3 && map.value.get("c")!.toI64() == 3);
      event.emit(map);
    } else if (tag == "read") {
      event.emit(read(event));
      event.drop();
    } else if (tag == "split") {
      body.set("a", 1);
      event.split("l");
    } else if (tag == "deep split") {
      event.split("l.m");
    } else if (tag == "emit") {
      event.emit(new MapValue().set("n", 1));
      event.emit(new Emit(new MapValue()).metadata(new MapValue()).time(30, 31).withoutGroup());
      event.metadata.set("m", 2);
      event.setTime(20, 21);
      event.drop();
    } else if (tag == "time") {
      event.setTime(event.seconds + body.getI64("later"), event.nanoseconds + 1);
    } else if (tag == "fail") {
      event.emit(new MapValue());
      body.set("touched", true);
      if (body.get("n") === null) return event.fail("there is no n: é", 7);
    } else if (tag == "metadata") {
      event.metadata.set("a", 1);
    } else if (tag == "emit metadata") {
      event.emit(new Emit(new MapValue()).metadata(new MapValue()));
    } else if (tag == "host") {
      this.host(event);
    } else if (tag == "throw") {
      throw new Error("a bug");
    } else if (tag == "decode") {
      const text = body.getText("text")!;
      const decoded = text.toString();
      body.set("text", decoded);
      body.set("same", text.is(decoded));
    } else if (tag == "garbage") {
      let text = body.getString("text")!;
      for (let i = 0; i < 3; i++) text = text.toUpperCase() + i.toString();
      body.set("text", text.length);
      event.emit(new MapValue().set("text", text.substring(0, 3)));
    }
  }

  host(event: Event): void {
    const body = event.body;
    this.counter.add(2, ["x", "é"]);
    this.counter.add(1, ["x", "é"]);
    this.gauge.set(5);
    this.gauge.add(-1);
    this.histogram.observe(7);
    body.setOrRemove("name", this.users.get("bob", "name"));
    body.setOrRemove("bob", this.users.getValue(body.getText("who")));
    body.setOrRemove("ids", this.users.get("bob", "ids"));
    body.setOrRemove("eve", this.users.get("eve", "name"));
    body.setOrRemove("none", this.users.getValue(body.getText("nobody")));
    log.warn("é of " + this.n.toString());
    if (log.enabled(log.DEBUG)) throw new Error("a line that is not logged is not made");
    body.set("settings", [
      this.n.toString(), this.small.toString(), this.ratio.toString(), this.on.toString(), config.get("LARGE").length.toString(),
      config.get("x", "y"),
    ]);
    assert(store.get("k") === null && store.set("k", "v".repeat(100), 1000) && store.get("k")!.length == 100);
    assert(store.compareAndSet("k", "x", "y") == 0 && store.compareAndSet("k", "v".repeat(100), "w", store.KEEP) == 1);
    assert(store.compareAndSet("new", null, "1") == 1 && store.compareAndSet("new", null, "1") == 0);
    assert(store.remove("new") && !store.remove("new") && store.getBytes("k")![0] == 0x77 && store.remove("k"));
    body.set("count", store.add(body.getText("who")!, 2, store.seconds(10)));
  }
}

function read(event: Event): MapValue {
  const body = event.body;
  const map = new MapValue();
  map.add("tag", event.tag);
  map.add("a.b.c", body.getI64("a.b.c", -9)).add("a.b.d", body.getI64("a.b.d", -9)).add("l.0.0", body.getI64("l.0.0"));
  map.add("0", body.getI64("0"));
  let nowhere = 0;
  const wrong = ["", ".", "a.", "l.1", "l.x", "0.0", "l.-1", "l.99999999999", "l."];
  for (let i = 0; i < wrong.length; i++) if (body.get(wrong[i]) === null) nowhere++;
  map.add("nowhere", nowhere == wrong.length);
  map.add("parts", body.getI64(path(["a", "b", "d"]), -9)).add("dots", body.getI64(path(["a.b", "c"]), -9));
  map.add("accessor", body.getI64(accessor("$a['b'][\"d\"]")!, -9)).add("index", body.getI64(accessor("$l[0][0]")!, -9));
  map.add("refused", accessor("$") === null && accessor("$a[b]") === null && accessor("$a['b]") === null &&
    accessor("$a[0]x") === null && accessor("") === null && accessor("a.b") == "a.b");
  map.add("max", body.get("max")!.toU64()).add("notI64", body.get("max")!.toI64(-7)).add("notU64", body.get("low")!.toU64(5));
  map.add("low", body.getI64("low")).add("float", body.getF64("float")).add("whole", body.getF64("low"));
  map.add("bool", body.getBool("bool")).add("notBool", body.getBool("low", true)).add("notText", body.getString("low"));
  map.add("text", body.getString("text")).add("is", body.is("text", "é𝄞x")).add("isNot", body.is("text", "é𝄞"));
  map.add("includes", body.get("text")!.includes("𝄞x") && !body.get("text")!.includes("𝄟") && body.value.includes("é"));
  map.add("bin", body.get("bin")!.toBytes()).add("kind", <i32>body.get("bin")!.kind).add("copy", body.get("a")!);
  let keys = "";
  let sum: i64 = 0;
  for (const it: Items = body.get("a")!.items(); it.next();) keys += it.key.toString();
  for (const it: Items = body.get("l")!.items(); it.next();) sum += it.value.get("0")!.toI64();
  map.add("keys", keys).add("sum", sum).add("length", body.value.length);
  map.add("group", event.group !== null ? event.group!.get("name") : null);
  map.add("numbers", [0, 127, 128, 255, 256, 65535, 65536, -1, -32, -33, -128, -129, -32768, -32769] as i32[]);
  map.add("wide", [<i64>4294967295, 4294967296, -2147483648, -2147483649, i64.MAX_VALUE, i64.MIN_VALUE]);
  map.add("lone", "\uD800x");
  const sizes = [0, 15, 16, 31, 32, 255, 256, 65535, 65536];
  for (let i = 0; i < sizes.length; i++) {
    const list: u8[] = new Array<u8>(sizes[i]);
    const many = new MapValue();
    for (let k = 0; k < min(sizes[i], 300); k++) many.add(k.toString(), k);
    map.add("n" + sizes[i].toString(), [new ListValue().push("x".repeat(sizes[i])).push(list).push(many).push(Uint8Array.wrap(new ArrayBuffer(sizes[i])))]);
  }
  return map;
}

onStart(() => {
  if (config.get("n") == "13") refuse("config.n: 13 is unlucky");
  return new Cases();
});
