// Drops debug, masks e-mail addresses, adds an environment, a country and a count, and splits by an array.

import { Counter, Event, Filter, Group, Table, Value, config, onStart, store } from "flb-filter";

export * from "flb-filter/module";
// What is counted in the store would be counted again if events came a second time.
export * from "flb-filter/stateful";

const masked = new Counter("masked_total", "E-mail addresses masked", ["where"]);

class Showcase extends Filter {
  environment: string = config.require("environment", "what is to be added to each record");
  geo: Table = Table.open("geo");
  path: string = config.get("geo_path", "country.iso_code");
  ttl: i64 = store.seconds(config.parse<u32>("count_ttl", 60));

  group(group: Group): void {
    group.body.rewriteStringsWith("@", maskText, "group");
    group.metadata.rewriteStringsWith("@", maskText, "group");
  }

  filter(event: Event): void {
    const body = event.body;
    if (body.is("level", "debug")) return event.drop();
    body.rewriteStringsWith("@", maskText, "body");
    event.metadata.rewriteStringsWith("@", maskText, "metadata");
    body.set("environment", this.environment);
    body.setOrRemove("country", this.geo.getValue(body.getText("client_ip"), this.path));
    const user = body.getText("user");
    const count = user === null ? store.FULL : store.add(user, 1, this.ttl);
    if (count == store.FULL) body.remove("count");
    else body.set("count", count);
    event.split("items");
  }
}

function isDomain(c: i32): bool {
  return (c >= 0x30 && c <= 0x39) || ((c | 32) >= 0x61 && (c | 32) <= 0x7a) || c == 0x2d || c >= 0x80;
}

function isUser(c: i32): bool {
  return isDomain(c) || c == 0x2e || c == 0x5f || c == 0x25 || c == 0x2b;
}

function maskText(text: Value, where: string): string | null {
  const pieces = text.toString().split("@");
  let done = pieces[0];
  for (let i = 1; i < pieces.length; i++) {
    const to = pieces[i];
    let user = done.length, host = 0;
    while (user > 0 && isUser(done.charCodeAt(user - 1))) user--;
    while (isDomain(to.charCodeAt(host)) || (host > 0 && to.charCodeAt(host) == 0x2e && isDomain(to.charCodeAt(host + 1)))) host++;
    if (user < done.length && host > 0) masked.add(1, [where]);
    done = user < done.length && host > 0 ? done.substring(0, user) + "***" + to.substring(host) : done + "@" + to;
  }
  return done;
}

onStart(() => new Showcase());
