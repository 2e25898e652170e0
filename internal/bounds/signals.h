// Signals of the host, and those that traps are made of.

#ifndef FLBWT_SIGNALS_H
#define FLBWT_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

// flbwt_signals_keep remembers the signal handlers of wasmtime, once it has installed them, with
// on_fault in front of that for SIGSEGV, which calls it: flbwt_signals_hold puts them back where
// the host has installed its own since. flbwt_signals_kept says whether it has been called.
void flbwt_signals_keep(void (*on_fault)(int, siginfo_t *, void *));
bool flbwt_signals_kept(void);

// Between flbwt_signals_hold and flbwt_signals_release no signal of the host is
// handled that has been wrapped.
void flbwt_signals_hold(void);
void flbwt_signals_release(void);

// flbwt_signals_wrap puts a handler in front of the host's for SIGHUP and
// SIGCONT, which install other handlers over wasmtime's: they are called only
// while no guest runs.
void flbwt_signals_wrap(void);

#endif
