/* What a process of the bus reads is judged the same for every cut, and no name
 * leads out of its place. */
#include "fuzz.h"

#include "net/bus/wire.h"

enum { NAMES = 64 };

/* Names are those octets that stand behind lengths. */
static void check_names(const uint8_t *body, const struct wsk__wire *head)
{
    size_t n = head->kind == WSK__WIRE_DISCONNECT ? 1 : head->number;
    wsk_str names[NAMES];
    size_t octets = 0;

    if (n > NAMES || !wsk__wire_names(body, head, names, n))
        return;
    for (size_t i = 0; i < n; i++) {
        REQUIRE((const uint8_t *)names[i].p >= body &&
                (const uint8_t *)names[i].p + names[i].len <=
                    body + head->names);
        octets += names[i].len + 1;
    }
    REQUIRE(octets == head->names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct wsk__wire head, part;
    enum wsk__wire_found found = wsk__wire_read(data, len, &head);
    uint8_t again[WSK__WIRE_HEAD];

    for (size_t n = 0; n < len && n < 64; n++) {
        enum wsk__wire_found cut = wsk__wire_read(data, n, &part);

        REQUIRE(cut == WSK__WIRE_MORE || cut == found);
    }
    if (found != WSK__WIRE_GOOD)
        return 0;
    wsk__wire_write(again, &head);
    REQUIRE(memcmp(again, data, sizeof(again)) == 0);
    if (head.kind == WSK__WIRE_MESSAGE || head.kind == WSK__WIRE_DISCONNECT)
        check_names(data + WSK__WIRE_HEAD, &head);
    return 0;
}
