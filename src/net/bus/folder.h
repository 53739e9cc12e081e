/* net/bus/folder: the private folder in which the processes of one bus meet.
 * Each has a socket in it, named `<pid>-<16 hex digits>`, and beside it a file
 * of bits, with the suffix .bits. */
#ifndef WSK_NET_BUS_FOLDER_H
#define WSK_NET_BUS_FOLDER_H

#include "base/items.h"
#include "net/local/local.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WSK__MEMBER_NAME = 32, /* of a process, with its NUL */
    WSK__FOLDER_PATH = WSK__BUS_FOLDER + 1,
    WSK__FOLDER_ERROR = 256,
};

_Static_assert(WSK__FOLDER_PATH + WSK__MEMBER_NAME < WSK__LOCAL_PATH,
               "a socket's path fits");

/* A folder that was made by wsk__folder_make() is held by each process that
 * uses it: by a lock of a descriptor, which ends with the process. One that no
 * process holds was left behind.
 *
 * Make a folder of its own in XDG_RUNTIME_DIR, TMPDIR or /tmp, after those of
 * this user that were left behind there are removed. Returns the descriptor
 * that holds it, or -1 with the reason in `error`. */
int wsk__folder_make(char path[WSK__FOLDER_PATH],
                     char error[WSK__FOLDER_ERROR]);

/* Hold a folder, which must be this user's, and no other may be able to enter
 * it; one that does not exist is made. Returns as wsk__folder_make() does. */
int wsk__folder_hold(const char *path, char error[WSK__FOLDER_ERROR]);

/* Name a process by its PID and a random number. */
void wsk__member_name(char name[WSK__MEMBER_NAME], uint64_t number);

/* Return true if a text, from a peer perhaps, can be such a name. */
bool wsk__member_is_valid(const char *name, size_t len);

/* Write the path of a process's socket, or of another of its files. */
void wsk__member_path(char path[WSK__LOCAL_PATH], const char *folder,
                      const char *before, const char *name, const char *after);

/* Remove the files of a process that has gone. */
void wsk__member_remove(const char *folder, const char *name);

/* Call `found` with the name of each process that has a socket. False with
 * errno: the folder cannot be read. */
bool wsk__folder_scan(const char *folder,
                      void (*found)(void *user, const char *name), void *user);

#endif
