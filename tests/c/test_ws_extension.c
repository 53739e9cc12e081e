/* Agreement on offers of permessage-deflate (RFC 7692 7.1). */
#include "harness.h"

#include "ws/extension.h"

static wsk_header fields[8];
static wsk_head head;
static wsk_ws_deflate agreed;
static char text[WSK_WS_DEFLATE_TEXT];

/* The values of the fields, each in a block of its exact size; NULL ends. */
static void begin(const char *const *values)
{
    head = (wsk_head){.headers = fields};
    for (; *values != NULL; values++) {
        size_t len = strlen(*values);

        fields[head.n_headers++] =
            (wsk_header){{"Sec-WebSocket-Extensions", 24},
                         {(char *)exact(*values, len), len}};
    }
}

static void end(void)
{
    for (size_t i = 0; i < head.n_headers; i++)
        free((char *)(uintptr_t)fields[i].value.p);
}

static const char *judged(const char *value)
{
    const char *why;

    begin((const char *const[]){value, NULL});
    why = wsk__extensions_judge(&head);
    end();
    return why;
}

/* The answer to an offer; NULL when it is declined. */
static const char *answer_to(const char *value, bool takeover)
{
    bool yes;

    begin((const char *const[]){value, NULL});
    EXPECT(wsk__extensions_judge(&head) == NULL);
    yes = wsk_ws_agree_deflate(&head, takeover, &agreed, text);
    end();
    return yes ? text : NULL;
}

#define PMD "permessage-deflate"
#define ALONE "; server_no_context_takeover; client_no_context_takeover"

#define EXPECT_ANSWER(offer, takeover, want)                                   \
    do {                                                                       \
        const char *got = answer_to(offer, takeover);                          \
        EXPECT(got != NULL && strcmp(got, want) == 0);                         \
    } while (0)

#define EXPECT_DECLINED(offer) EXPECT(answer_to(offer, false) == NULL)

TEST(a_bare_offer_is_taken_without_context_by_default) /* RFC 7692 7.1.1 */
{
    EXPECT_ANSWER(PMD, false, PMD ALONE);
    EXPECT(agreed.server_bits == 15 && agreed.level == 0);
    EXPECT(!agreed.server_takeover && !agreed.client_takeover);
    EXPECT(agreed.threshold == 128);
}

TEST(context_is_kept_where_nobody_says_no) /* RFC 7692 7.1.1 */
{
    EXPECT_ANSWER(PMD, true, PMD);
    EXPECT(agreed.server_takeover && agreed.client_takeover);
    EXPECT_ANSWER(PMD "; server_no_context_takeover", true,
                  PMD "; server_no_context_takeover");
    EXPECT(!agreed.server_takeover && agreed.client_takeover);
    EXPECT_ANSWER(PMD "; client_no_context_takeover", true,
                  PMD "; client_no_context_takeover");
    EXPECT(agreed.server_takeover && !agreed.client_takeover);
}

TEST(a_window_of_ours_is_honoured_and_said) /* RFC 7692 7.1.2.1 */
{
    static const char *const bits[] = {"8",  "9",  "10", "11",
                                       "12", "13", "14", "15"};

    for (unsigned i = 0; i < 8; i++) {
        char offer[64], want[64];

        snprintf(offer, sizeof(offer), PMD "; server_max_window_bits=%s",
                 bits[i]);
        snprintf(want, sizeof(want), "%s", offer);
        EXPECT_ANSWER(offer, true, want);
        EXPECT(agreed.server_bits == 8 + i);
    }
}

TEST(a_window_of_the_client_is_said_only_if_it_named_one) /* 7692 7.1.2.2 */
{
    EXPECT_ANSWER(PMD "; client_max_window_bits", true, PMD);
    EXPECT_ANSWER(PMD "; client_max_window_bits=10", true,
                  PMD "; client_max_window_bits=10");
    EXPECT_ANSWER(PMD "; client_max_window_bits; server_max_window_bits=9",
                  true, PMD "; server_max_window_bits=9");
}

TEST(the_longest_answer_fits) /* RFC 7692 7.1 */
{
    EXPECT_ANSWER(PMD "; server_max_window_bits=10; client_max_window_bits=15",
                  false,
                  PMD ALONE "; server_max_window_bits=10"
                            "; client_max_window_bits=15");
}

TEST(offers_of_browsers_are_taken)
{
    EXPECT_ANSWER("permessage-deflate; client_max_window_bits", false,
                  PMD ALONE);
    EXPECT_ANSWER("permessage-deflate", false, PMD ALONE);
}

TEST(a_value_may_be_quoted_and_spaced) /* RFC 6455 9.1 */
{
    EXPECT_ANSWER(PMD ";server_max_window_bits=\"9\"", true,
                  PMD "; server_max_window_bits=9");
    EXPECT_ANSWER(PMD " ;\tserver_max_window_bits = \"1\\0\" ", true,
                  PMD "; server_max_window_bits=10");
}

TEST(a_parameter_out_of_its_range_declines_the_offer) /* RFC 7692 7.1.2 */
{
    static const char *const values[] = {"7",  "16",  "0",   "08", "010",
                                         "+9", "9.0", "0x9", "1",  "99",
                                         "a",  "150", "-8"};

    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        char offer[80];

        snprintf(offer, sizeof(offer), PMD "; server_max_window_bits=%s",
                 values[i]);
        EXPECT_DECLINED(offer);
        snprintf(offer, sizeof(offer), PMD "; client_max_window_bits=%s",
                 values[i]);
        EXPECT_DECLINED(offer);
    }
}

TEST(values_where_none_may_be_and_none_where_one_must) /* RFC 7692 7.1 */
{
    EXPECT_DECLINED(PMD "; server_max_window_bits");
    EXPECT_DECLINED(PMD "; server_no_context_takeover=1");
    EXPECT_DECLINED(PMD "; client_no_context_takeover=\"true\"");
}

TEST(unknown_and_repeated_parameters_decline_the_offer) /* RFC 7692 7.1 */
{
    EXPECT_DECLINED(PMD "; level=9");
    EXPECT_DECLINED(PMD "; server_no_context_takeover"
                        "; server_no_context_takeover");
    EXPECT_DECLINED(PMD "; client_no_context_takeover"
                        "; client_no_context_takeover");
    EXPECT_DECLINED(PMD "; server_max_window_bits=9"
                        "; server_max_window_bits=9");
    EXPECT_DECLINED(PMD "; client_max_window_bits; client_max_window_bits");
    EXPECT_DECLINED("x-webkit-deflate-frame");
    EXPECT_DECLINED("permessage-deflate2, permessage");
}

TEST(the_first_acceptable_offer_wins) /* RFC 7692 5 */
{
    EXPECT_ANSWER(PMD "; server_max_window_bits=7, " PMD
                      "; server_max_window_bits=10, " PMD,
                  true, PMD "; server_max_window_bits=10");
    EXPECT_ANSWER("foo; bar=\"b\\az\", , " PMD, true, PMD);
}

TEST(several_fields_are_one_list) /* RFC 6455 9.1 */
{
    begin((const char *const[]){"foo", "", PMD "; level", PMD, NULL});
    EXPECT(wsk__extensions_judge(&head) == NULL);
    EXPECT(wsk_ws_agree_deflate(&head, true, &agreed, text));
    EXPECT(strcmp(text, PMD) == 0);
    end();
}

TEST(empty_elements_do_not_count) /* RFC 9110 5.6.1.2 */
{
    EXPECT(judged("") == NULL);
    EXPECT(judged(", ,\t,") == NULL);
    EXPECT_ANSWER(",, " PMD " ,", true, PMD);
    begin((const char *const[]){NULL});
    EXPECT(wsk__extensions_judge(&head) == NULL);
    EXPECT(!wsk_ws_agree_deflate(&head, true, &agreed, text));
}

TEST(a_list_that_is_none_is_malformed) /* RFC 6455 9.1 */
{
    static const char *const lists[] = {
        "a b",          "a;",          "a;;b",
        "a; b=",        "a; =b",       ";a",
        "a; b=\"\"",    "a; b=\"c",    "a; b=\"\\",
        "a; b=\"c d\"", "a; b=c d",    "\"a\"",
        "a=b",          "a; b=\"c,\"", "a; b==c",
        "a; b \"c\"",   "a/b",         "a; b=c; \"d\"",
        "a, b c",       "(a)",
    };

    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
        EXPECT(judged(lists[i]) != NULL);
        begin((const char *const[]){PMD, lists[i], NULL});
        EXPECT(wsk__extensions_judge(&head) != NULL);
        EXPECT(!wsk_ws_agree_deflate(&head, true, &agreed, text));
        end();
    }
}

TEST(a_cut_list_is_read_within_its_octets)
{
    static const char list[] = PMD
        "; server_max_window_bits=\"1\\0\"; client_max_window_bits = 15";

    for (size_t n = 0; n < sizeof(list); n++) {
        char cut[sizeof(list)] = "";

        memcpy(cut, list, n);
        judged(cut);
    }
}
