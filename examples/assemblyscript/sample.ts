// Keeps a share of the events: all of one trace, or none of it; and all errors.

import { Event, Filter, Kind, Value, config, onStart, refuse } from "flb-filter";

export * from "flb-filter/module";

class Sample extends Filter {
  rate: f64 = config.parse<f64>("rate", 0.1);
  key: string = config.get("key", "trace_id");

  filter(event: Event): void {
    const body = event.body;
    const trace = body.get(this.key);
    if (trace === null || isError(body.get("level")) || isError(body.get("severity"))) return;
    const hash = hashOf(trace);
    if (hash < 0) return; // there is no trace
    if (<f64>hash >= this.rate * 4294967296.0) return event.drop();
    if (body.get("sample_rate") === null) body.set("sample_rate", this.rate); // it stands for 1 / rate events
  }
}

onStart(() => {
  const sample = new Sample();
  if (sample.rate < 0 || sample.rate > 1) refuse("config.rate: set it to a number from 0 to 1, such as 0.25");
  return sample;
});

const errors = ["error", "err", "fatal", "critical", "crit", "alert", "emergency", "emerg", "panic"];

// Whether a level means an error: by its name, or by the number that bunyan and pino give it.
function isError(level: Value | null): bool {
  if (level === null) return false;
  if (level.kind == Kind.Str) {
    for (let i = 0; i < errors.length; i++) if (isName(level, errors[i])) return true;
    return false;
  }
  const n = level.toF64();
  return n >= 50 && n < 100;
}

// Whether a text is this name, which is of small letters, in any case.
function isName(text: Value, name: string): bool {
  if (text.dataSize != <usize>name.length) return false;
  const at = text.dataStart;
  for (let i = 0; i < name.length; i++) if ((load<u8>(at + i) | 0x20) != name.charCodeAt(i)) return false;
  return true;
}

// The hash of a text or whole number, 0 to 2^32 - 1; -1 of what is not a trace. 17 and "17" are the same one.
function hashOf(trace: Value): i64 {
  if (trace.kind == Kind.Str && trace.dataSize > 0) return fnv(trace.dataStart, trace.dataSize);
  if (trace.kind != Kind.Int) return -1;
  const n = trace.toI64(-1);
  const digits = String.UTF8.encode(n < 0 && trace.toU64() > 0 ? trace.toU64().toString() : n.toString());
  return fnv(changetype<usize>(digits), digits.byteLength);
}

// FNV-1a; the steps behind it spread to the high bits what the last bytes decide.
function fnv(at: usize, size: usize): i64 {
  let h: u32 = 2166136261;
  for (const end = at + size; at < end; at++) h = (h ^ load<u8>(at)) * 16777619;
  h = (h ^ (h >> 16)) * 0x85ebca6b;
  h = (h ^ (h >> 13)) * 0xc2b2ae35;
  return h ^ (h >> 16);
}
