// otlp_check.c of the plugin alone: what a Forward client may send, as the host writes it, that the host's encoders
// of OTLP survive, and what they don't. All of it belongs to the sanitizers: what is read behind the end ends the
// program.
#define _GNU_SOURCE
#include "../../../internal/fast/msgpack.c"
#include "../../../otlp_check.c"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

// A payload of a text that is the value of "external", and one with another one of "metrics".
#define WITH_METRICS(external, metrics) \
    "\x82\xa4meta\x81\xa8" \
    "external" external "\xa7metrics" metrics
#define WITH(external) WITH_METRICS(external, "\x90")

struct packed {
    bool refused;
    const char *text;
    size_t size;
};

#define FINE(text)    {false, text, sizeof(text) - 1}
#define REFUSED(text) {true, text, sizeof(text) - 1}

#define ATTRIBUTES \
    "\xaa" \
    "attributes"
#define METADATA \
    "\xa8" \
    "metadata"
#define NOTHING ATTRIBUTES "\x80" METADATA "\x80"

// A gauge a_b_c, by what its decoder of OTLP says of it.
#define GAUGE(of) \
    "\x81\xa4otlp\x81\xa7metrics\x81\xa5gauge\x81\xa5" \
    "a_b_c" of
#define POINT(of) \
    GAUGE("\x81\xaa" \
          "datapoints\x81\xa3" \
          "0:1" of)

#define METRIC(names, labels) \
    WITH_METRICS("\x80", "\x91\x82\xa4meta\x81\xa6labels" names "\xa6values\x91" labels)

#define EIGHT(a) a a a a a a a a

static const struct packed of_metrics_sent[] = {
    FINE(WITH("\x80")),
    FINE(WITH("\x81\xa5other\xc0")),
    FINE(WITH("\x82\xa5scope\x82" NOTHING "\xa8resource\x82" NOTHING)),
    FINE(WITH("\x81\xa5scope\x82" ATTRIBUTES "\x81\xa1k\x92\x01\xa1v" METADATA
              "\x82\xa4name\xa1n\xb8"
              "dropped_attributes_count\xcd\x01\x01")),
    FINE(WITH("\x81\xadscope_metrics\x80")),
    FINE(WITH("\x81\xadscope_metrics\x81" METADATA "\x81\xaaschema_url\xa1u")),
    FINE(WITH(GAUGE("\x81" METADATA "\x81\xa1k\xc0"))),
    FINE(WITH(POINT("\x81\xa9"
                    "exemplars\x91\x81\xb3"
                    "filtered_attributes\x80"))),
    FINE(WITH(
        "\x81\xb5resource_metrics_list\x91\x81\xb2scope_metrics_list\x91\x81\xa5scope\x82" NOTHING)),
    FINE(METRIC("\x91\xa1l", "\x81\xa6labels\x91\xa1v")),
    FINE(METRIC("\x91\xa1l", "\x80")),

    REFUSED(WITH("\x01")),
    REFUSED(WITH("\x81\xa5scope\xb8" EIGHT("AAA"))),
    REFUSED(WITH("\x81\xa5scope\x07")),
    REFUSED(WITH("\x81\xa5SCOPE\x07")),
    REFUSED(WITH("\x81\xa5scope\x91\x07")),
    REFUSED(WITH("\x82\xa5scope\x82" NOTHING "\xa5scope\x07")),
    REFUSED(WITH("\x81\xa8resource\x07")),
    REFUSED(WITH("\x81\xa8resource\x80")),
    REFUSED(WITH("\x81\xa8resource\x81" METADATA "\x80")),
    REFUSED(WITH("\x81\xa8resource\x81" ATTRIBUTES "\x80")),
    REFUSED(WITH("\x81\xa8resource\x82\xaa"
                 "Attributes\x80\xa8Metadata\x80")),
    REFUSED(WITH("\x81\xa5scope\x82" ATTRIBUTES "\x81\xa1k\xc0" METADATA "\x80")),
    REFUSED(WITH("\x81\xa5scope\x82" ATTRIBUTES "\x81\xa1k\x91\xc0" METADATA "\x80")),
    REFUSED(WITH("\x81\xa5scope\x82" ATTRIBUTES "\x80" METADATA "\x81\xa4name\x07")),
    REFUSED(WITH("\x81\xa5scope\x82" ATTRIBUTES "\x80" METADATA "\x81\xb8"
                 "dropped_attributes_count\xa1"
                 "1")),
    REFUSED(WITH("\x81\xa5scope\x82" ATTRIBUTES "\x80" METADATA "\x81\xa7version\x80")),
    REFUSED(WITH("\x81\xadscope_metrics\x81" METADATA "\x81\xaaschema_url\x07")),
    REFUSED(WITH("\x81\xadscope_metrics\x07")),
    REFUSED(WITH("\x81\xb0resource_metrics\x81" METADATA "\x07")),
    REFUSED(WITH("\x81\xa4otlp\x07")),
    REFUSED(WITH("\x81\xa4otlp\x81\xa7metrics\x07")),
    REFUSED(WITH("\x81\xa4otlp\x81\xa7metrics\x81\xa5gauge\x07")),
    REFUSED(WITH(GAUGE("\x07"))),
    REFUSED(WITH(GAUGE("\x81" METADATA "\x07"))),
    REFUSED(WITH(GAUGE("\x81\xaa"
                       "datapoints\x07"))),
    REFUSED(WITH(POINT("\x07"))),
    REFUSED(WITH(POINT("\x81\xa9"
                       "exemplars\x91\x81\xb3"
                       "filtered_attributes\x07"))),
    REFUSED(WITH("\x81\xb5resource_metrics_list\x91\x81\xa5scope\x07")),
    REFUSED(
        WITH("\x81\xb5resource_metrics_list\x91\x81\xb2scope_metrics_list\x91\x81\xa5scope\x07")),
    REFUSED(WITH("\x81\xa5other" EIGHT(EIGHT("\x91")) "\x07")),
    REFUSED(WITH("\x80") "\xc0"),
    REFUSED(METRIC("\x90", "\x81\xa6labels\x91\xa1v")),
    REFUSED(METRIC("\x91\xa1l", "\x81\xa6labels\x92\xa1v\xc0")),
};

#define RESOURCE(attributes, scope, spans) \
    "\x81\xadresourceSpans\x91\x82\xa8resource\x81" ATTRIBUTES attributes \
    "\xabscope_spans\x91\x82\xa5scope" scope "\xa5spans\x91" spans

static const struct packed of_traces_sent[] = {
    FINE(RESOURCE("\xc0", "\xc0", "\x80")),
    FINE(RESOURCE("\x81\xa1k\xa1v", "\x81" ATTRIBUTES "\x80", "\x81\xa4name\xc0")),
    FINE(RESOURCE("\x80", "\x80",
                  "\x81\xa6"
                  "events\x91\x81" ATTRIBUTES "\x81\xa1k\x91\x01")),

    REFUSED(RESOURCE("\x07", "\xc0", "\x80")),
    REFUSED(RESOURCE("\x81\xa1k\xc0", "\xc0", "\x80")),
    // As a host writes it that leaves a value out.
    REFUSED(RESOURCE("\x82\xa1k\xa1l\xa1v", "\xc0", "\x80")),
    REFUSED(RESOURCE("\x80", "\x81" ATTRIBUTES "\x81\xa1k\xc0", "\x80")),
    REFUSED(RESOURCE("\x80", "\x80", "\x81" ATTRIBUTES "\x81\xa1k\xc0")),
    REFUSED(RESOURCE("\x80", "\x80",
                     "\x81\xa6"
                     "events\x91\x81" ATTRIBUTES "\x81\xa1k\xc0")),
    REFUSED(RESOURCE("\x80", "\x80", "\x81\xa5links\x91\x81" ATTRIBUTES "\x81\xa1k\xc0")),
    REFUSED(RESOURCE("\x80", "\x80", "\x81" ATTRIBUTES EIGHT(EIGHT("\x81\xa1k")) "\x80")),
};

// refused says whether a payload is that is in a host that can encode all.
static bool refused(enum flbwt_signal signal, const char *packed, size_t size)
{
    char *copy = malloc(size); // for nothing to be read behind it

    memcpy(copy, packed, size);
    bool is = otlp_refusal(signal, copy, size, true, true) != NULL;

    free(copy);
    return is;
}

static void check_refusals(enum flbwt_signal signal, const struct packed *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *packed = list[i].text;
        size_t size = list[i].size;

        if (refused(signal, packed, size) != list[i].refused) {
            printf("of %d, the one at %zu is %srefused\n", signal, i,
                   list[i].refused ? "not " : "");
            abort();
        }
        for (size_t cut = 1; cut < size; cut++) {
            assert(refused(signal, packed, cut) || list[i].refused);
        }
        char *changed = malloc(size);

        memcpy(changed, packed, size);
        for (size_t at = 0; at < size; at++) {
            for (int to = 0; to < 256; to++) {
                changed[at] = (char) to;
                refused(signal, changed, size);
            }
            changed[at] = packed[at];
        }
        free(changed);
    }
}

int main(void)
{
    check_refusals(FLBWT_METRICS, of_metrics_sent,
                   sizeof(of_metrics_sent) / sizeof(of_metrics_sent[0]));
    check_refusals(FLBWT_TRACES, of_traces_sent,
                   sizeof(of_traces_sent) / sizeof(of_traces_sent[0]));
    return 0;
}
