/* A small test runner: TEST(name_as_a_sentence) { ... EXPECT(cond); } and a
 * `RUN_ALL` main per file; the program ends with "N passed, N failed". */
#ifndef HARNESS_H
#define HARNESS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test {
    const char *name;
    void (*run)(void);
    struct test *next;
};

static struct test *tests_first, **tests_last = &tests_first;
static int checks_failed; /* in the running test */

#define TEST(test_name)                                                        \
    static void test_name(void);                                               \
    static struct test test_name##_entry = {#test_name, test_name, NULL};      \
    __attribute__((constructor)) static void test_name##_register(void)        \
    {                                                                          \
        *tests_last = &test_name##_entry;                                      \
        tests_last = &test_name##_entry.next;                                  \
    }                                                                          \
    static void test_name(void)

/* Says what failed and goes on, so that one run shows everything. */
#define EXPECT(cond)                                                           \
    do {                                                                       \
        if (!(cond)) {                                                         \
            printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #cond);          \
            checks_failed++;                                                   \
        }                                                                      \
    } while (0)

/* Octets `got` of length n are the string literal `lit` (NULs inside count). */
#define EXPECT_OCTETS(got, n, lit)                                             \
    EXPECT((n) == sizeof(lit) - 1 && memcmp((got), (lit), sizeof(lit) - 1) == 0)

/* A copy in a heap block of exactly its size, so that ASan sees an over-read
 * of one octet. Free it with free(). */
static inline unsigned char *exact(const void *data, size_t n)
{
    unsigned char *p = malloc(n ? n : 1);

    if (p == NULL)
        abort();
    if (n > 0)
        memcpy(p, data, n);
    return p;
}

int main(int argc, char **argv)
{
    int passed = 0, failed = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (struct test *t = tests_first; t != NULL; t = t->next) {
        if (argc > 1 && strstr(t->name, argv[1]) == NULL)
            continue;
        checks_failed = 0;
        t->run();
        if (checks_failed > 0)
            printf("FAILED %s\n", t->name);
        checks_failed > 0 ? failed++ : passed++;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}

#endif
