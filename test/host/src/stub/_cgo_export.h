// In the place of what cgo makes of exports of Go, for programs of C alone.
#include <stdint.h>

struct metrics;
void flbwtMetrics(uintptr_t handle, struct metrics *to);
