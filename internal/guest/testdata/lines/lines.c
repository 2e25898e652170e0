/*
 * Traps in a function that filter calls by way of another. How lines4.wasm and lines5.wasm were
 * built, with clang 19 and lld 19:
 *
 *   for v in 4 5; do
 *     clang-19 --target=wasm32 -g -gdwarf-$v -O0 -fdebug-compilation-dir=. -nostdlib -Wl,--no-entry \
 *       -Wl,--export=filter -o lines$v.wasm lines.c
 *   done
 */
__attribute__((noinline)) static int divide(int a, int b)
{
    return a / b; /* line 12 */
}

__attribute__((noinline)) static int half(int size)
{
    return divide(size, size - 7); /* line 17 */
}

int filter(int tag, int tag_len, int sec, int nsec, int record, int len)
{
    (void) tag, (void) tag_len, (void) sec, (void) nsec;
    return record + half(len) * 0; /* line 23 */
}
