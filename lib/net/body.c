/* The body of one request. See body_int.h. */
#include "lib/net/body_int.h"

#define FIRST_CAPACITY ((size_t)1024)
/* Growing ahead of what has come is for times when this much more could be had. */
#define PLENTY(bytes) ((bytes)*8)

void mw_body_init(mw_body *body, size_t max)
{
    *body = (mw_body){.max = max};
}

void mw_body_fini(mw_body *body)
{
    mw_free(MW_MEM_NET, body->data);
    body->data = NULL;
    body->len = body->capacity = 0;
}

static size_t next_capacity(const mw_body *body, size_t needed)
{
    size_t capacity = needed < FIRST_CAPACITY / 2 ? FIRST_CAPACITY : needed * 2;
    size_t trusted = capacity > MW_BODY_TRUST ? capacity : MW_BODY_TRUST;
    if (body->expected >= needed)
        capacity = body->expected < trusted ? body->expected : trusted;
    return capacity < body->max ? capacity : body->max;
}

static size_t choose_capacity(const mw_body *body, size_t needed)
{
    size_t generous = next_capacity(body, needed);
    if (mw_memory_admits(PLENTY(generous - body->capacity)))
        return generous;
    size_t tight = needed + needed / 8 + FIRST_CAPACITY;
    tight = tight < generous ? tight : generous;
    return tight < needed ? needed : tight;
}

static bool admitted(const mw_body *body, size_t more)
{
    return body->admit ? body->admit(body->ctx, more) : mw_memory_admits(more);
}

mw_err mw_body_reserve(mw_body *body, size_t more)
{
    if (more > body->max || body->len > body->max - more)
        return MW_E_LIMIT;
    size_t needed = body->len + more;
    if (needed <= body->capacity)
        return MW_OK;
    size_t capacity = choose_capacity(body, needed);
    MW_ASSERT(capacity >= needed);
    if (!admitted(body, capacity - body->capacity))
        return MW_E_AGAIN;
    char *data = mw_realloc(MW_MEM_NET, body->data, capacity);
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
