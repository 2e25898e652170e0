#include "helper.h"

// How often flbwt_helper_wait looks before it sleeps: for some 50 µs, which a virtual core
// takes to wake up, and by which the helper may have begun later than the caller.
enum { LOOKS = 1500 };

void flbwt_helper_init(flbwt_helper *h, flbwt_lane *lane)
{
    *h = (flbwt_helper) {.lane = lane};
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->begun, NULL);
    pthread_cond_init(&h->finished, NULL);
}

void flbwt_helper_destroy(flbwt_helper *h)
{
    pthread_cond_destroy(&h->finished);
    pthread_cond_destroy(&h->begun);
    pthread_mutex_destroy(&h->lock);
}

static void set_state(flbwt_helper *h, int state, pthread_cond_t *who)
{
    pthread_mutex_lock(&h->lock);
    __atomic_store_n(&h->state, state, __ATOMIC_RELEASE);
    pthread_cond_signal(who);
    pthread_mutex_unlock(&h->lock);
}

void flbwt_helper_finish(flbwt_helper *h) { set_state(h, FLBWT_HELPER_IDLE, &h->finished); }

bool flbwt_helper_next(flbwt_helper *h)
{
    for (;;) {
        pthread_mutex_lock(&h->lock);
        while (h->state == FLBWT_HELPER_IDLE) {
            pthread_cond_wait(&h->begun, &h->lock);
        }
        bool ends = h->state == FLBWT_HELPER_ENDS;
        pthread_mutex_unlock(&h->lock);
        if (ends) {
            return false;
        }
        flbwt_lane_begin(h->lane, h->size);
        if (!h->lane->ready) {
            return true;
        }
        if (flbwt_lane_run(h->lane, h->tag, h->tag_len, h->data, h->size, UINT64_MAX) !=
            FLBWT_STOP_DONE) {
            h->lane->held = true;
            return true;
        }
        flbwt_helper_finish(h);
    }
}

void flbwt_helper_begin(flbwt_helper *h, const uint8_t *tag, uint32_t tag_len, const uint8_t *data,
                        size_t size)
{
    h->tag = tag;
    h->tag_len = tag_len;
    h->data = data;
    h->size = size;
    set_state(h, FLBWT_HELPER_WORKS, &h->begun);
}

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

bool flbwt_helper_idle(const flbwt_helper *h)
{
    return __atomic_load_n(&h->state, __ATOMIC_ACQUIRE) == FLBWT_HELPER_IDLE;
}

void flbwt_helper_wait(flbwt_helper *h)
{
    for (int i = 0; i < LOOKS && !flbwt_helper_idle(h); i++) {
        relax();
    }
    pthread_mutex_lock(&h->lock);
    while (h->state != FLBWT_HELPER_IDLE) {
        pthread_cond_wait(&h->finished, &h->lock);
    }
    pthread_mutex_unlock(&h->lock);
}

void flbwt_helper_end(flbwt_helper *h)
{
    set_state(h, FLBWT_HELPER_ENDS, &h->begun);
    flbwt_helper_wait(h);
}
