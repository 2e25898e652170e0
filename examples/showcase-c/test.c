#include "showcase.c"
#include "flb_test.h"

static int failures;

static void same(int line, const char *got, const char *want) {
    if (got && !strcmp(got, want)) return;
    failures++;
    printf("line %d\n got  %s\n want %s\n", line, got ? got : "(nothing)", want);
}
#define SAME(got, want) same(__LINE__, got, want)

static void begin(const char *key, const char *value) {
    flb_test_reset();
    flb_test_config("environment", "production");
    flb_test_config(key, value);
    flb_test_table("geo", "{\"192.0.2.7\":{\"country\":{\"iso_code\":\"DE\"}}}");
}

int main(void) {
    begin("count_ttl", "10");
    SAME(flb_test_start() ? "refused" : "", "");
    SAME(flb_test_bodies("{\"level\":\"debug\"}\n{\"level\":\"info\"}"), "{\"level\":\"info\",\"environment\":\"production\"}\n");
    SAME(flb_test_bodies("{\"items\":[\"a@b.c\",2],\"client_ip\":\"192.0.2.7\"}"),
         "{\"items\":\"***\",\"client_ip\":\"192.0.2.7\",\"environment\":\"production\",\"country\":\"DE\"}\n"
         "{\"items\":2,\"client_ip\":\"192.0.2.7\",\"environment\":\"production\",\"country\":\"DE\"}\n");
    SAME(flb_test_bodies("{\"a\":\"@b, a@, a@.b: x.y@z.. a@b@c.d-e.\"}"),
         "{\"a\":\"@b, a@, a@.b: ***.. ***@c.d-e.\",\"environment\":\"production\"}\n");

    flb_test_group("{\"resource\":{\"attributes\":{\"owner\":\"ops@example.com\"}}}");
    flb_test_event("{\"a\":[{\"b\":\"to bob@example.com, carol@example.com.\"}]}");
    flb_test_metadata("{\"otlp\":{\"attributes\":{\"from\":\"bob@example.com\"}}}");
    flb_test_in_group(1);
    flb_test_run();
    SAME(flb_test_.out[0].body, "{\"a\":[{\"b\":\"to ***, ***.\"}],\"environment\":\"production\"}");
    SAME(flb_test_.out[0].metadata, "{\"otlp\":{\"attributes\":{\"from\":\"***\"}}}");
    SAME(flb_test_.group_bodies[0], "{\"resource\":{\"attributes\":{\"owner\":\"***\"}}}");
    SAME(flb_test_metric("masked_total", "metadata") == 1 && flb_test_metric("masked_total", "group") == 1 ? "" : "counts", "");

    SAME(flb_test_bodies("{\"user\":\"b\"}\n{\"user\":\"b\"}"),
         "{\"user\":\"b\",\"environment\":\"production\",\"count\":1}\n{\"user\":\"b\",\"environment\":\"production\",\"count\":2}\n");
    flb_test_advance(10000);
    SAME(flb_test_bodies("{\"user\":\"b\"}"), "{\"user\":\"b\",\"environment\":\"production\",\"count\":1}\n");

    begin("count_ttl", "soon");
    SAME(flb_test_start(), "config.count_ttl is 'soon': set it to a whole number, 1 to 999999");
    flb_test_reset();
    SAME(flb_test_start(), "config.environment: set it to what is to be added to each record");
    flb_test_config("environment", "x");
    SAME(flb_test_start(), "table.geo: set it to a .csv, .json or .mmdb file");
    flb_test_reset();
    return failures > 0;
}
