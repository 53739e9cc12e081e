/* app/static: static files, which the server answers itself from folders. */
#ifndef WSK_APP_STATIC_H
#define WSK_APP_STATIC_H

#include "wsocket.h"

/* Open the folders of `list`, in the form of the option; NULL for a NULL list.
 * When one cannot be opened: NULL, with errno and a line in `error`. */
struct wsk__statics *wsk__statics_new(const char *list, char *error,
                                      size_t size);
void wsk__statics_free(struct wsk__statics *statics); /* NULL is legal */

/* True if the request is for a file; false for NULL statics. */
bool wsk__static_is(const struct wsk__statics *statics, const wsk_head *head);

/* Answer such a request. May wait for the disk: a watched call. */
void wsk__static_answer(struct wsk__statics *statics, wsk_request *req);

#endif
