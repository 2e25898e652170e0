// A helper is a thread with a lane of its own, which goes through parts of chunks while
// the thread that called the filter goes through another. What is ordinary needs no Go,
// which would take as long to wake the thread as ten records do.

#ifndef FLBWT_HELPER_H
#define FLBWT_HELPER_H

#include <pthread.h>

#include "lane.h"

enum flbwt_helper_state { FLBWT_HELPER_IDLE, FLBWT_HELPER_WORKS, FLBWT_HELPER_ENDS };

typedef struct {
    flbwt_lane *lane;
    pthread_mutex_t lock;
    pthread_cond_t begun, finished;
    int state; // changed with the lock held
    const uint8_t *tag, *data;
    uint32_t tag_len;
    size_t size;
} flbwt_helper;

void flbwt_helper_init(flbwt_helper *helper, flbwt_lane *lane);
void flbwt_helper_destroy(flbwt_helper *helper);

// flbwt_helper_next is for the helper's thread: it goes through parts until Go has to run the
// lane, and then flbwt_helper_finish has to follow. False: the thread is to end.
bool flbwt_helper_next(flbwt_helper *helper);
void flbwt_helper_finish(flbwt_helper *helper);

// flbwt_helper_begin gives the helper a part of a chunk, which is borrowed until
// flbwt_helper_wait has returned. flbwt_helper_end has the thread end, and waits for that.
void flbwt_helper_begin(flbwt_helper *helper, const uint8_t *tag, uint32_t tag_len,
                        const uint8_t *data, size_t size);
void flbwt_helper_wait(flbwt_helper *helper);
bool flbwt_helper_idle(const flbwt_helper *helper);
void flbwt_helper_end(flbwt_helper *helper);

#endif
