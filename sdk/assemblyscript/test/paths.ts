// The filter of paths.test.js: the metadata has the edits.

import { Event, Filter, Kind, MapValue, Value, onStart, path } from "flb-filter";

export * from "flb-filter/module";

function hide(text: Value, by: string): string | null {
  return text.is("secret") ? by : null;
}

/** A key or the number of an element. */
function textOf(value: Value): string {
  return value.kind == Kind.Str ? value.toString() : value.toI64().toString();
}

/** A path of the table: a text with dots, or a list of keys. */
function pathOf(value: Value): string {
  if (value.kind != Kind.Array) return value.toString();
  const parts: string[] = [];
  for (let i: u32 = 0; i < value.length; i++) parts.push(textOf(value.get(i.toString())!));
  return path(parts);
}

class Paths extends Filter {
  filter(event: Event): void {
    const body = event.body;
    const edits = event.metadata.get("edits")!;
    for (let i: u32 = 0; i < edits.length; i++) {
      const edit = edits.get(i.toString())!;
      const op = edit.get("0")!.toString();
      const at = pathOf(edit.get("1")!);
      const value = edit.get("2");
      if (op == "set") body.set(at, value!);
      else if (op == "put") body.put(at, value!);
      else if (op == "remove") body.remove(at);
      else if (op == "add") body.add(at, value!);
      else if (op == "replace") body.replace(MapValue.from(value!));
      else if (op == "mask") body.rewriteStrings(hide, "***");
      else if (op == "split") event.split(at);
      else assert(false);
    }
  }
}

onStart(() => new Paths());
