/* The body of one request. See body_int.h. */
#include "lib/net/body_int.h"

#define FIRST_CAPACITY ((size_t)1024)

void mw_body_init(mw_body *body, size_t max)
{
    *body = (mw_body){.max = max};
}

void mw_body_fini(mw_body *body)
{
    mw_free(MW_MEM_NET, body->data);
    mw_body_init(body, body->max);
}

static size_t next_capacity(const mw_body *body, size_t needed)
{
    size_t capacity = needed < FIRST_CAPACITY / 2 ? FIRST_CAPACITY : needed * 2;
    size_t trusted = capacity > MW_BODY_TRUST ? capacity : MW_BODY_TRUST;
    if (body->expected >= needed)
        capacity = body->expected < trusted ? body->expected : trusted;
    return capacity < body->max ? capacity : body->max;
}

mw_err mw_body_reserve(mw_body *body, size_t more)
{
    if (more > body->max || body->len > body->max - more)
        return MW_E_LIMIT;
    size_t needed = body->len + more;
    if (needed <= body->capacity)
        return MW_OK;
    size_t capacity = next_capacity(body, needed);
    MW_ASSERT(capacity >= needed);
    char *data = mw_memory_admits(capacity - body->capacity)
                     ? mw_realloc(MW_MEM_NET, body->data, capacity)
                     : NULL;
    if (!data)
        return MW_E_NOMEM;
    body->data = data;
    body->capacity = capacity;
    return MW_OK;
}

mw_err mw_body_append(mw_body *body, mw_slice bytes)
{
    if (bytes.len == 0)
        return MW_OK;
    mw_err err = mw_body_reserve(body, bytes.len);
    if (err != MW_OK)
        return err;
    memcpy(body->data + body->len, bytes.data, bytes.len);
    body->len += bytes.len;
    return MW_OK;
}
