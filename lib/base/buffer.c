/* Growable bytes with a maximum and a sticky error. */
#include "lib/base/buffer.h"

/* A first block that holds a small answer or a line of a table. */
#define FIRST_CAPACITY ((size_t)256)

void mw_buffer_init(mw_buffer *buffer, mw_component component, size_t max_bytes)
{
    *buffer = (mw_buffer){.component = component, .max = max_bytes};
}

void mw_buffer_fini(mw_buffer *buffer)
{
    mw_free(buffer->component, buffer->data);
    mw_buffer_init(buffer, buffer->component, buffer->max);
}

void mw_buffer_clear(mw_buffer *buffer)
{
    buffer->len = 0;
    buffer->err = MW_OK;
}

static mw_err grow(mw_buffer *buffer, size_t wanted)
{
    if (wanted > buffer->max)
        return MW_E_LIMIT;
    size_t capacity = buffer->capacity ? buffer->capacity : FIRST_CAPACITY;
    while (capacity < wanted)
        capacity += capacity / 2 + FIRST_CAPACITY;
    if (capacity > buffer->max)
        capacity = buffer->max;
    char *data = mw_realloc(buffer->component, buffer->data, capacity);
    if (!data)
        return MW_E_NOMEM;
    buffer->data = data;
    buffer->capacity = capacity;
    return MW_OK;
}

char *mw_buffer_reserve(mw_buffer *buffer, size_t more)
{
    if (buffer->err != MW_OK)
        return NULL;
    if (more > SIZE_MAX - buffer->len) {
        buffer->err = MW_E_LIMIT;
        return NULL;
    }
    if (!buffer->data || buffer->len + more > buffer->capacity)
        buffer->err = grow(buffer, buffer->len + more);
    return buffer->err == MW_OK ? buffer->data + buffer->len : NULL;
}

void mw_buffer_append(mw_buffer *buffer, const void *data, size_t len)
{
    if (len == 0)
        return;
    char *at = mw_buffer_reserve(buffer, len);
    if (!at)
        return;
    memcpy(at, data, len);
    buffer->len += len;
}

void mw_buffer_append_slice(mw_buffer *buffer, mw_slice text)
{
    mw_buffer_append(buffer, text.data, text.len);
}

void mw_buffer_append_byte(mw_buffer *buffer, char byte)
{
    mw_buffer_append(buffer, &byte, 1);
}

void mw_buffer_appendf(mw_buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    MW_ASSERT(len >= 0);
    char *at = mw_buffer_reserve(buffer, (size_t)len + 1);
    if (!at)
        return;
    va_start(args, format);
    vsnprintf(at, (size_t)len + 1, format, args);
    va_end(args);
    buffer->len += (size_t)len;
}

void mw_buffer_consume(mw_buffer *buffer, size_t len)
{
    MW_ASSERT(len <= buffer->len);
    buffer->len -= len;
    if (buffer->len && len)
        memmove(buffer->data, buffer->data + len, buffer->len);
}

mw_slice mw_buffer_slice(const mw_buffer *buffer)
{
    return (mw_slice){buffer->data, buffer->len};
}

char *mw_buffer_take(mw_buffer *buffer, size_t *len)
{
    char *data = buffer->data;
    *len = buffer->len;
    mw_buffer_init(buffer, buffer->component, buffer->max);
    return data;
}
