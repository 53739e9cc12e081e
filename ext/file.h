/* ext/file: wsgi.file_wrapper, a file as a response. */
#ifndef WSK_EXT_FILE_H
#define WSK_EXT_FILE_H

#include "state.h"

/* What of a file is to be sent. */
struct ext_file {
    int fd; /* the file object's own */
    uint64_t offset, length;
};

extern const PyType_Spec ext_file_spec;

/* True when `result` is a FileWrapper around a regular file that reading would
 * give octet by octet as it lies on the disk: from its current offset to its
 * end. Sets no exception: what is not known to be such a file is iterated. */
bool ext_file_open(const struct ext_state *st, PyObject *result,
                   struct ext_file *file);

#endif
