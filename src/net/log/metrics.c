#include "net/log/metrics.h"

#include "wsocket.h"

#include <string.h>

/* A number of seconds, which may have a fraction of thousandths. */
#define S(seconds) ((uint64_t)((seconds)*1000) * 1000000)
#define MS(ms) ((uint64_t)((ms)*1000) * 1000)

const uint64_t wsk__bounds_short[WSK__BOUNDS] = {
    MS(0.5), MS(1),   MS(2.5), MS(5), MS(10), MS(25), MS(50),
    MS(100), MS(250), MS(500), S(1),  S(2.5), S(5),   S(10),
};

const uint64_t wsk__bounds_long[WSK__BOUNDS] = {
    S(1),   S(5),    S(10),   S(30),   S(60),    S(120),   S(300),
    S(600), S(1800), S(3600), S(7200), S(14400), S(43200), S(86400),
};

void wsk__count_unusual_answer(struct wsk__metrics *metrics, int status,
                               uint64_t ns, bool called)
{
    wsk__number *duration = &metrics->own[WSK__N_HTTP_DURATION];

    wsk__add(&metrics->own[wsk__code_place(status)], 1);
    wsk__add(&duration[wsk__bucket_of(wsk__bounds_short, ns)], 1);
    if (called)
        wsk__add(&metrics->own[WSK__N_HTTP_QUEUE], 1);
}

void wsk__count_late_answer(struct wsk__metrics *metrics, int status,
                            uint64_t ns, uint64_t sent, bool called)
{
    wsk__number *any = metrics->any;

    wsk__add_any(&any[wsk__code_place(status)], 1);
    wsk__observe_any(&any[WSK__N_HTTP_DURATION], wsk__bounds_short, ns);
    wsk__add_any(&any[WSK__N_HTTP_BYTES + 1], sent);
    if (called)
        wsk__add_any(&any[WSK__N_HTTP_QUEUE], 1);
}

void wsk__count_refusal(struct wsk__metrics *metrics, int status)
{
    wsk__add_any(&metrics->any[wsk__code_place(status)], 1);
}

void wsk__count_handshake(struct wsk__metrics *metrics,
                          const wsk_tls_info *info, uint64_t ns)
{
    enum wsk__shaken how = WSK__SHAKEN_FAILED;

    if (info != NULL) {
        how = info->resumed ? WSK__SHAKEN_RESUMED_12 : WSK__SHAKEN_FULL_12;
        how += strcmp(info->version, "TLSv1.3") == 0;
        wsk__observe(&metrics->own[WSK__N_HANDSHAKE], wsk__bounds_short, ns);
    }
    wsk__add(&metrics->own[WSK__N_HANDSHAKES + (int)how], 1);
}

unsigned wsk__close_place(unsigned code)
{
    enum { KNOWN = 16, PRIVATE = 2 };

    if (code >= 1000 && code < 1000 + KNOWN)
        return code - 1000;
    if (code >= 3000 && code < 5000)
        return KNOWN + (code - 3000) / 1000;
    return KNOWN + PRIVATE;
}

static uint64_t value_of(const wsk__number *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

void wsk__metrics_sum(const struct wsk__metrics *metrics,
                      uint64_t out[WSK__COUNTERS])
{
    uint64_t usual;

    memset(out, 0, WSK__COUNTERS * sizeof(*out));
    for (unsigned i = 0; i < WSK__N_WS; i++)
        out[i] = value_of(&metrics->own[i]) + value_of(&metrics->any[i]);
    for (unsigned row = 0; row < WSK__WS_ROWS; row++)
        for (unsigned i = WSK__N_WS; i < WSK__N_WS_END; i++)
            out[i] += value_of(&metrics->ws[row][i - WSK__N_WS]);
    usual = value_of(&metrics->usual);
    out[WSK__N_CODES + 100] += usual;
    out[WSK__N_HTTP_DURATION] += usual;
    out[WSK__N_HTTP_QUEUE] += usual;
    out[WSK__N_HTTP_DURATION + WSK__HISTOGRAM - 1] += value_of(&metrics->ns);
    out[WSK__N_HTTP_BYTES + 1] += value_of(&metrics->sent);
    /* Each WebSocket was answered with 101, by the thread that opened it. */
    out[WSK__N_CODES + 1] += out[WSK__N_WS_OPENS];
}
