// Where a guest's paths lead: never out of the directory that they start in.

#ifndef FLBWT_BENEATH_H
#define FLBWT_BENEATH_H

#include "hostcall.h"

// How many symbolic links a path may lead along, as the kernel counts them (MAXSYMLINKS,
// include/linux/namei.h).
enum { FLBWT_LINKS_MOST = 40 };

// flbwt_beneath opens what a path names below dir, as a place only (O_PATH): nothing
// waits for that, and no device or FIFO notices it. flags are O_NOFOLLOW and O_DIRECTORY,
// as for open(2). It returns a descriptor or a negative errno: EPERM for a path that
// leads out of dir, by "..", by a symbolic link, or because it is absolute. With walk the
// path is resolved component by component, else by the kernel if it can.
int flbwt_beneath(call *c, int dir, const char *path, int flags, bool walk);

// flbwt_place is where something may be made, renamed or removed: a name without
// "." and "..", which ends with the slashes of the path, in a directory. No function of
// the kernel that takes it may follow links.
typedef struct {
    int dir;
    bool owned; // dir is to be closed
    const char *name;
} flbwt_place;

// flbwt_locate finds the place of a path, which it writes to and keeps. It returns 0 or a
// negative errno, that of dots for a path that ends with "." or "..".
int flbwt_locate(call *c, int dir, char *path, int dots, bool walk, flbwt_place *place);
void flbwt_leave_place(const flbwt_place *place);

#endif
