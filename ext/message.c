#include "message.h"

PyObject *ext_message_object(const wsk_message *msg)
{
    const char *p = (const char *)msg->data;
    Py_ssize_t n = (Py_ssize_t)msg->len;

    return msg->opcode == WSK_TEXT ? PyUnicode_DecodeUTF8(p, n, NULL)
                                   : PyBytes_FromStringAndSize(p, n);
}

int ext_octets_get(struct ext_octets *o, PyObject *message)
{
    *o = (struct ext_octets){.text = true};
    if (!PyUnicode_Check(message) && PyObject_CheckBuffer(message)) {
        if (PyObject_GetBuffer(message, &o->buffer, PyBUF_SIMPLE) < 0)
            return -1;
        o->p = o->buffer.buf;
        o->len = o->buffer.len;
        o->text = false;
        return 0;
    }
    if (!PyUnicode_Check(message)) {
        message = o->held = PyObject_Str(message);
        if (message == NULL)
            return -1;
    }
    o->p = PyUnicode_AsUTF8AndSize(message, &o->len);
    if (o->p == NULL)
        Py_CLEAR(o->held);
    return o->p == NULL ? -1 : 0;
}

void ext_octets_release(struct ext_octets *o)
{
    if (o->buffer.obj != NULL)
        PyBuffer_Release(&o->buffer);
    Py_XDECREF(o->held);
}
