// Inputs that are paused while events of them wait for the emitter: they would have to be dropped.
#include "emit.h"

void emit_pause_later(struct emission *e, struct flb_input_instance *in)
{
    for (int i = 0; i < e->to_pause_count; i++) {
        if (e->to_pause[i] == in) {
            return;
        }
    }
    if (in != NULL && e->to_pause_count < EMIT_MAX_PAUSED) {
        e->to_pause[e->to_pause_count++] = in;
    }
}

static bool has_paused(const struct emission *e, const struct flb_input_instance *in)
{
    bool found = false;

    for (int i = 0; i < e->paused_count; i++) {
        found |= e->paused[i] == in;
    }
    return found;
}

// resume_input has an input go on, unless events of another filter wait for that.
static void resume_input(const struct emission *e, struct flb_input_instance *in)
{
    bool others = false;

    for (const struct instance *p = border_lock_running(); p != NULL; p = p->next) {
        others |= p->emission != NULL && p->emission != e && has_paused(p->emission, in);
    }
    border_unlock_running();
    if (!others) {
        emit_host_resume(in);
    }
}

static void pause_input(struct emission *e, struct flb_input_instance *in)
{
    if (!emit_host_pause(in)) {
        return;
    }
    border_lock_running();
    bool noted = has_paused(e, in);
    if (!noted && e->paused_count < EMIT_MAX_PAUSED) {
        e->paused[e->paused_count++] = in;
        noted = true;
    }
    border_unlock_running();
    if (!noted) {
        resume_input(e, in);
    }
}

void emit_pause_inputs(struct emission *e)
{
    for (int i = 0; i < e->to_pause_count; i++) {
        pause_input(e, e->to_pause[i]);
    }
    e->to_pause_count = 0;
}

void emit_pause_end(struct emission *e)
{
    for (int i = 0; i < e->paused_count; i++) {
        resume_input(e, e->paused[i]);
    }
    border_lock_running();
    e->paused_count = 0;
    border_unlock_running();
    e->to_pause_count = 0;
}
