// What zig's runtime library has of the C library's functions, led back to the C library: zig's
// are there for systems without one, and take ten times as long (a byte at a time, for the
// machine that all x86-64 have in common).

#if defined(__x86_64__)
#define GLIBC GLIBC_2.2.5
#define GLIBC_MEMCPY GLIBC_2.14
#define JUMP(name) jmp *libc_##name@GOTPCREL(%rip)
#elif defined(__aarch64__)
#define GLIBC GLIBC_2.17
#define GLIBC_MEMCPY GLIBC_2.17
#define JUMP(name)                      \
    adrp x16, :got:libc_##name;         \
    ldr x17, [x16, :got_lo12:libc_##name]; \
    br x17
#endif

.macro versioned name, version
    .symver libc_\name, \name\()@\version
.endm

#define FUNCTION(name, version)         \
    .section .text.name, "ax", %progbits; \
    .globl name;                        \
    .hidden name;                       \
    .type name, %function;              \
    name: JUMP(name);                   \
    .size name, .- name;                \
    versioned name, version

FUNCTION(bcmp, GLIBC)
FUNCTION(memcmp, GLIBC)
FUNCTION(memcpy, GLIBC_MEMCPY)
FUNCTION(memmove, GLIBC)
FUNCTION(memset, GLIBC)
FUNCTION(strlen, GLIBC)

.section .note.GNU-stack, "", %progbits
