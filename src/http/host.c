#include "http/host.h"

#include "base/address.h"
#include "base/ascii.h"
#include "base/items.h"

wsk_str wsk__host_name(wsk_str authority)
{
    size_t n = authority.len;

    while (n > 0 && wsk__is_digit(authority.p[n - 1]))
        n--;
    if (n > 0 && authority.p[n - 1] == ':')
        authority.len = n - 1;
    return authority;
}

/* Return the host of an authority, without its port and the dot of the root. */
static wsk_str host_of(wsk_str authority)
{
    wsk_str host = wsk__host_name(authority);

    if (host.len > 1 && host.p[host.len - 1] == '.')
        host.len--;
    return host;
}

/* Read "[v6]" or, in the list, "v6". */
static bool read_v6(wsk_str text, struct wsk__ip *ip)
{
    if (text.len > 1 && text.p[0] == '[' && text.p[text.len - 1] == ']')
        text = (wsk_str){text.p + 1, text.len - 2};
    return text.len > 0 && memchr(text.p, ':', text.len) != NULL &&
           wsk__ip_read(text, ip);
}

static bool ends_in(wsk_str text, wsk_str end)
{
    if (text.len < end.len)
        return false;
    for (size_t i = 0; i < end.len; i++)
        if (wsk__lower(text.p[text.len - end.len + i]) != wsk__lower(end.p[i]))
            return false;
    return true;
}

static bool is_named(wsk_str host, wsk_str item)
{
    struct wsk__ip a, b;

    if (host.p[0] == '[')
        return read_v6(host, &a) && read_v6(item, &b) &&
               memcmp(&a, &b, sizeof a) == 0;
    if (item.len > 1 && item.p[item.len - 1] == '.')
        item.len--;
    if (item.p[0] == '.' && ends_in(host, item) && host.len > item.len)
        return true;
    if (item.p[0] == '.')
        item = (wsk_str){item.p + 1, item.len - 1};
    return host.len == item.len && ends_in(host, item);
}

bool wsk__host_allowed(wsk_str host, const char *list)
{
    wsk_str item, name = host_of(host);
    size_t pos = 0;

    if (list == NULL)
        return true;
    while (wsk__words_next(list, &pos, &item))
        if (wsk__str_is(item, "*") || (name.len > 0 && is_named(name, item)))
            return true;
    return false;
}
