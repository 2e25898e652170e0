import assert from "node:assert/strict";
import { test } from "node:test";
import { Host } from "flb-filter/testing";

const config = { environment: "production" };
const tables = { geo: { "192.0.2.7": { country: { iso_code: "DE" } } } };

function start(host) {
  return host.start(new URL("showcase.wasm", import.meta.url));
}

function bodies(filter, ...records) {
  return filter.run(records.map((body) => ({ body }))).events.map((event) => event.body);
}

test("debug is dropped", () => {
  const filter = start(new Host({ config, tables }));
  assert.deepEqual(bodies(filter, { level: "debug" }, { level: "info" }), [{ level: "info", environment: "production" }]);
});

test("addresses are masked everywhere", () => {
  const groups = [{ resource: { attributes: { owner: "ops@example.com" } } }];
  const host = new Host({ config, tables, groups });
  const record = {
    body: { a: [{ b: "to bob@example.com, carol@example.com." }] },
    metadata: { otlp: { attributes: { from: "bob@example.com" } } },
    group: 1,
  };
  const out = start(host).run([record]);
  assert.deepEqual(out.events[0].body, { a: [{ b: "to ***, ***." }], environment: "production" });
  assert.deepEqual(out.events[0].metadata, { otlp: { attributes: { from: "***" } } });
  assert.deepEqual(out.groups, [{ resource: { attributes: { owner: "***" } } }]);
  assert.deepEqual(["body", "metadata", "group"].map((where) => host.metric("masked_total", [where])), [2, 1, 1]);
});

test("arrays are split", () => {
  const rest = { client_ip: "192.0.2.7", environment: "production", country: "DE" };
  const got = bodies(start(new Host({ config, tables })), { items: ["a@b.c", 2], client_ip: "192.0.2.7" });
  assert.deepEqual(got, [{ items: "***", ...rest }, { items: 2, ...rest }]);
});

test("counts end with their time", () => {
  const host = new Host({ config: { ...config, count_ttl: 10 }, tables });
  const filter = start(host);
  const count = () => bodies(filter, { user: "bob" })[0].count;
  assert.equal(count(), 1);
  host.advance(9999);
  assert.equal(count(), 2);
  host.advance(1);
  assert.equal(count(), 1);
});

test("a configuration is refused", () => {
  const refused = (options, message) => assert.throws(() => start(new Host(options)), { message });
  refused({ tables }, "config.environment: set it to what is to be added to each record");
  refused({ config: { ...config, count_ttl: "soon" }, tables },
    "config.count_ttl is 'soon': set it to a whole number that is not negative");
  refused({ config }, "table.geo: set it to a .csv, .json or .mmdb file");
});
