/* Nanoseconds for a request head. Compile it with src/http/head.c and all of
 * src/base, -Isrc and -Iinclude; under `valgrind --tool=callgrind` and with a
 * small count it tells instructions. */
#include "http/head.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char WRK[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

static const char BROWSER[] =
    "GET /articles/2024/some-title?page=2&sort=new HTTP/1.1\r\n"
    "Host: www.example.org\r\n"
    "Connection: keep-alive\r\n"
    "sec-ch-ua: \"Chromium\";v=\"128\", \"Not;A=Brand\";v=\"24\"\r\n"
    "sec-ch-ua-mobile: ?0\r\n"
    "sec-ch-ua-platform: \"Linux\"\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,"
    "image/avif,image/webp,*/*;q=0.8\r\n"
    "Sec-Fetch-Site: same-origin\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\r\n";

static void measure(const char *name, const char *text, size_t len, long n)
{
    struct wsk__head_store *store;
    struct timespec a, b;
    wsk_limits limits;

    wsk_limits_init(&limits);
    store = wsk__head_store_new(&limits);
    if (store == NULL)
        exit(1);
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (long i = 0; i < n; i++) {
        struct wsk__head_scan scan = {0};
        size_t used;
        int status;

        if (wsk__head_parse(text, len, &scan, &limits, store, &used, &status) !=
            WSK__HEAD_OK)
            exit(1);
    }
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("%-8s %4zu octets %6.1f ns\n", name, len,
           ((double)(b.tv_sec - a.tv_sec) * 1e9 +
            (double)(b.tv_nsec - a.tv_nsec)) /
               (double)n);
    free(store);
}

int main(int argc, char **argv)
{
    long n = argc > 1 ? atol(argv[1]) : 5000000;

    measure("wrk", WRK, sizeof(WRK) - 1, n);
    measure("browser", BROWSER, sizeof(BROWSER) - 1, n);
    return 0;
}
