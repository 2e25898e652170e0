#include "redact.c"
#include "flb_test.h"

static int failures;

/* Checks what becomes of an event with a body. */
static void becomes(const char *body, const char *want) {
    const char *got = flb_test_bodies(body);
    if (!strncmp(got, want, strlen(want)) && !strcmp(got + strlen(want), "\n")) return;
    failures++;
    printf(" %s\n got  %s want %s\n", body, got, want);
}

static void same(const char *got, const char *want) {
    if (got && !strcmp(got, want)) return;
    failures++;
    printf(" got  %s\n want %s\n", got ? got : "(nothing)", want);
}

int main(void) {
    flb_test_reset();
    becomes("{\"X-Api_Key\":\"k\",\"max_tokens\":7}", "{\"X-Api_Key\":\"***\",\"max_tokens\":7}");
    becomes("{\"token\":{\"id\":17,\"parts\":[\"a\",\"\"],\"ok\":true}}",
            "{\"token\":{\"id\":\"***\",\"parts\":[\"***\",\"\"],\"ok\":true}}");
    becomes("{\"a\":\"4111 1111-1111 1111, 4111111111111112\"}", "{\"a\":\"**** ****-**** 1111, 4111111111111112\"}");
    becomes("{\"a\":\"to bob@example.com, left-pad@1.2.3, @bob\"}", "{\"a\":\"to ***@example.com, left-pad@1.2.3, @bob\"}");
    becomes("{\"a\":\"Authorization: Bearer x.y; token = 'a b' &c\"}", "{\"a\":\"Authorization: Bearer ***; token = '***' &c\"}");
    becomes("{\"a\":\"postgres://app:s3cret@db:5432/shop\"}", "{\"a\":\"postgres://app:***@db:5432/shop\"}");

    flb_test_group("{\"resource\":{\"attributes\":{\"api.token\":\"t\"}}}");
    flb_test_event("{\"a\":\"password=b\"}");
    flb_test_metadata("{\"otlp\":{\"attributes\":{\"cookie\":\"c\"}}}");
    flb_test_in_group(1);
    flb_test_run();
    same(flb_test_.out[0].body, "{\"a\":\"password=***\"}");
    same(flb_test_.out[0].metadata, "{\"otlp\":{\"attributes\":{\"cookie\":\"***\"}}}");
    same(flb_test_.group_bodies[0], "{\"resource\":{\"attributes\":{\"api.token\":\"***\"}}}");
    flb_test_reset();
    return failures > 0;
}
