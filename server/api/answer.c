/* What the nouns write their answers with: lists, pages of what may be large, warnings, headers;
 * and views of the store whose questions end when nobody waits. See api_int.h. Pool threads. */
#include "server/api/api_int.h"

/* A page that holds this much of what questions may hold is large by itself: a few items are a few
 * kilobytes. */
#define LARGE_PAGE_SHARE 16

/* ---- long questions ------------------------------------------------------------------------- */

bool mw_api_is_over(void *ctx)
{
    const mw_api_call *call = ctx;
    int64_t taken = mw_clock_mono_ns(call->server->clock) - call->received_ns;
    mw_client_state client = mw_request_client(call->request);
    bool deleted = call->space && mw_space_is_closing(call->space);
    return client == MW_CLIENT_GONE || taken > MW_API_QUESTION_NS || deleted ||
           (client == MW_CLIENT_HUNG_UP && taken > MW_API_HUNG_UP_NS);
}

mw_store_stop mw_api_stop(mw_api_call *call)
{
    return (mw_store_stop){mw_api_is_over, call};
}

mw_err mw_api_view_open(mw_api_call *call, mw_store_view **out)
{
    mw_err err = mw_store_view_open(mw_api_store(call), out);
    if (err)
        return err;
    mw_store_view_stop(*out, mw_api_is_over, call);
    mw_store_view_tolerate(*out);
    call->damaged = mw_store_view_left_out(*out);
    return MW_OK;
}

/* ---- lists --------------------------------------------------------------------------------- */

void mw_api_list_begin(mw_api_call *call)
{
    mw_json_object_begin(&call->json);
    mw_json_key(&call->json, MW_SLICE("items"));
    mw_json_array_begin(&call->json);
}

void mw_api_items_end(mw_api_call *call)
{
    mw_json_array_end(&call->json);
}

void mw_api_damage_text(size_t blocks, char out[MW_DAMAGE_TEXT_SIZE])
{
    snprintf(out, MW_DAMAGE_TEXT_SIZE,
             "%zu stored blocks are damaged and left out of answers; `midwatch check` names them",
             blocks);
}

void mw_api_losses_text(uint64_t lost, char out[MW_DAMAGE_TEXT_SIZE])
{
    snprintf(out, MW_DAMAGE_TEXT_SIZE,
             "%llu stored segments or ends of some are gone, and what they held is in no answer; "
             "`midwatch check` names them",
             (unsigned long long)lost);
}

uint64_t mw_api_lost_segments(const mw_api_call *call)
{
    return call->space ? mw_store_losses_of(mw_space_store(call->space)).count : 0;
}

static void write_warning(mw_json *json, const char *code, const char *message)
{
    mw_json_object_begin(json);
    mw_json_kv(json, "code", mw_slice_of(code));
    mw_json_kv(json, "message", mw_slice_of(message));
    mw_json_object_end(json);
}

void mw_api_warnings(mw_api_call *call)
{
    char text[MW_DAMAGE_TEXT_SIZE];
    mw_json *json = &call->json;
    unsigned long long lost = mw_api_lost_segments(call), unread = call->unread;
    if (call->damaged == 0 && lost == 0 && unread == 0)
        return;
    mw_json_key(json, MW_SLICE("warnings"));
    mw_json_array_begin(json);
    if (call->damaged) {
        mw_api_damage_text(call->damaged, text);
        write_warning(json, "damaged_blocks", text);
    }
    if (lost) {
        mw_api_losses_text(lost, text);
        write_warning(json, "losses", text);
    }
    if (unread) {
        snprintf(text, sizeof text,
                 "the figures of %llu segments cannot be read and are not in this answer; "
                 "`midwatch check --rebuild` makes them again",
                 unread);
        write_warning(json, "damaged_rollups", text);
    }
    mw_json_array_end(json);
}

void mw_api_list_close(mw_api_call *call, mw_slice next_cursor, int64_t total)
{
    mw_json_kv_or_null(&call->json, "next_cursor", next_cursor);
    if (total < 0)
        mw_json_kv_null(&call->json, "total");
    else
        mw_json_kv_i64(&call->json, "total", total);
    mw_api_warnings(call);
    mw_json_object_end(&call->json);
}

void mw_api_list_end(mw_api_call *call, mw_slice next_cursor, int64_t total)
{
    mw_api_items_end(call);
    mw_api_list_close(call, next_cursor, total);
}

/* With how many a page is asked for again that failed with `err` after `written` items: with those
 * that fit the answer, or half of them when even reading them took the memory of one question. 0:
 * there is nothing to try. */
static size_t smaller_limit(const mw_api_call *call, mw_err err, size_t limit, size_t written)
{
    bool read = call->text.len > 0;
    bool large = call->arena.used > mw_memory_query_share() / LARGE_PAGE_SHARE;
    if (err == MW_E_LIMIT && read)
        return written < limit ? written : 0;
    if (err == MW_E_LIMIT || (err == MW_E_NOMEM && large))
        return limit / 2;
    return 0;
}

void mw_api_try_again(mw_api_call *call)
{
    call->header_count = 0;
    mw_arena_reset(&call->arena);
    mw_buffer_clear(&call->text);
    mw_json_init(&call->json, &call->text);
}

mw_err mw_api_list_page(mw_api_call *call, const mw_api_page *page,
                        mw_err (*write)(mw_api_call *call, mw_store_view *view,
                                        const mw_store_page *bounds, const void *query,
                                        size_t *written),
                        mw_store_view *view, const void *query)
{
    mw_store_page bounds = {page->since_ns, page->until_ns, page->limit, page->cursor};
    mw_err err;
    do {
        size_t written = 0;
        mw_api_try_again(call);
        err = write(call, view, &bounds, query, &written);
        if (err)
            bounds.limit = smaller_limit(call, err, bounds.limit, written);
    } while (err && bounds.limit > 0);
    return err;
}

mw_err mw_api_header(mw_api_call *call, mw_slice name, mw_slice value)
{
    mw_slice copy = mw_arena_copy(&call->request->arena, value);
    if (!copy.data)
        return MW_E_NOMEM;
    MW_ASSERT(call->header_count < MW_API_HEADERS_MAX);
    call->headers[call->header_count++] = (mw_header){name, copy};
    return MW_OK;
}

mw_err mw_api_header_u64(mw_api_call *call, mw_slice name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    return mw_api_header(call, name, mw_slice_of(text));
}
