#include "enrich.c"
#include "flb_test.h"

static int failures;

static void same(int line, const char *got, const char *want) {
    if (got && !strcmp(got, want)) return;
    failures++;
    printf("line %d\n got  %s\n want %s\n", line, got ? got : "(nothing)", want);
}
#define SAME(got, want) same(__LINE__, got, want)

int main(void) {
    flb_test_reset();
    SAME(flb_test_start(), "set table.users to a .csv file, or table.geo to a .mmdb file");

    flb_test_reset();
    flb_test_table("geo", "{\"192.0.2.7\":{\"country\":{\"iso_code\":\"DE\"}},\"192.0.2.8\":{}}");
    SAME(flb_test_start() ? "refused" : "", "");
    SAME(flb_test_bodies("{\"user\":\"bob\",\"client_ip\":\"192.0.2.7\"}\n{\"client_ip\":\"192.0.2.8\"}\n{\"client_ip\":7}"),
         "{\"user\":\"bob\",\"client_ip\":\"192.0.2.7\",\"client_country\":\"DE\"}\n{\"client_ip\":\"192.0.2.8\"}\n{\"client_ip\":7}\n");

    flb_test_table("users", "{\"bob\":{\"department\":\"Platform\"}}");
    SAME(flb_test_start() ? "refused" : "", "");
    SAME(flb_test_bodies("{\"user\":\"bob\",\"user_department\":\"of the sender\"}\n{\"user\":\"eve\"}"),
         "{\"user\":\"bob\",\"user_department\":\"Platform\"}\n{\"user\":\"eve\"}\n");
    flb_test_reset();
    return failures > 0;
}
