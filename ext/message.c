#include "message.h"

/* Unmask a text straight into the str that it becomes, if it is ASCII. */
static PyObject *text_object(const wsk_message *msg)
{
    PyObject *ascii = PyUnicode_New((Py_ssize_t)msg->len, 127), *text;
    void *bytes;

    if (ascii == NULL || msg->len == 0)
        return ascii;
    bytes = PyUnicode_DATA(ascii);
    if (wsk_message_copy(msg, bytes))
        return ascii;
    text = PyUnicode_DecodeUTF8(bytes, (Py_ssize_t)msg->len, NULL);
    Py_DECREF(ascii);
    return text;
}

PyObject *ext_message_object(wsk_conn *conn, const wsk_message *msg)
{
    PyObject *bytes, *text;

    if (msg->opcode == WSK_TEXT) {
        text = text_object(msg);
        if (text == NULL && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
            wsk_conn_bad_text(conn);
        return text;
    }
    bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)msg->len);
    if (bytes != NULL && msg->len > 0)
        wsk_message_copy(msg, PyBytes_AS_STRING(bytes));
    return bytes;
}

int ext_bytes_get(struct ext_bytes *o, PyObject *message)
{
    *o = (struct ext_bytes){.text = true};
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

void ext_bytes_release(struct ext_bytes *o)
{
    if (o->buffer.obj != NULL)
        PyBuffer_Release(&o->buffer);
    Py_XDECREF(o->held);
}
