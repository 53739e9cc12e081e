/* ext/file: wsgi.file_wrapper, a file as a response. */
#ifndef WSK_EXT_FILE_H
#define WSK_EXT_FILE_H

#include "state.h"

/* The range of a file to send. */
struct ext_file {
    int fd; /* the file object's own */
    uint64_t offset, length;
};

extern const PyType_Spec ext_file_spec;

/* True if `result` is a FileWrapper around a regular file whose read() would
 * give the bytes as they lie on the disk: from the current offset to the end.
 * Sets no exception: any other file is iterated. */
bool ext_file_open(const struct ext_state *st, PyObject *result,
                   struct ext_file *file);

#endif
