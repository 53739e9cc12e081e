/* net/request/body_file: the beginning of a long buffered body goes to a file
 * without a name. */
#ifndef WSK_NET_REQUEST_BODY_FILE_H
#define WSK_NET_REQUEST_BODY_FILE_H

#include "wsocket.h"

struct wsk__body;
struct wsk__logs;
struct wsk__site;

/* Return true if the bytes in memory must go to the file: there are more than
 * `most`, body_memory, or a step of a body that goes there in any case. */
bool wsk__body_file_due(const struct wsk__body *body, const wsk_head *head,
                        uint64_t most);

/* Write the bytes in memory to the file; waits for a disk. `limit`: of all such
 * files together; 0: none. */
void wsk__body_file_write(struct wsk__body *body, struct wsk__site *site,
                          uint64_t limit);

/* Return 0; or the status of the refusal, logged, if a write has failed. */
int wsk__body_file_failed(const struct wsk__body *body, struct wsk__logs *logs,
                          const char *temp_dir);

/* Read at most `cap` bytes of the file; *got is 0 once all have been read. */
wsk_status wsk__body_file_read(struct wsk__body *body, void *data, size_t cap,
                               size_t *got);

/* Close the file. Giving its blocks back may take a while. */
void wsk__body_file_clear(struct wsk__body *body);

#endif
