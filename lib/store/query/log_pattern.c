/* Patterns in bodies. See log_pattern.h; the library's manual is pcre2api(3). */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "lib/store/query/log_pattern.h"

#include "lib/store/format/body_walk.h"

/* What one search may take: steps at one start, and memory for going back. Patterns in use stay
 * below a thousandth of it; "(a+)+b" reaches it at once. */
#define STEPS_MAX 200000u
#define DEPTH_MAX 5000u
#define HEAP_KIB_MAX 4096u
/* Parentheses in parentheses: the compiler recurses on them. */
#define NEST_MAX 100u
#define JIT_STACK_MAX ((size_t)256 << 10)
/* Bytes searched between two looks at whether anybody still waits. */
#define STOP_EVERY MW_LOG_PATTERN_STEP

struct mw_log_pattern {
    pcre2_general_context *memory;
    pcre2_compile_context *rules;
    pcre2_match_context *limits;
    pcre2_jit_stack *stack;
    pcre2_code *code;
    pcre2_match_data *match;
    size_t unlooked; /* bytes since the last look at `stop` */
};

/* ---- life ------------------------------------------------------------------------------------ */

static void *allocate(size_t size, void *ctx)
{
    (void)ctx;
    return mw_alloc(MW_MEM_QUERY, size);
}

static void release(void *pointer, void *ctx)
{
    (void)ctx;
    mw_free(MW_MEM_QUERY, pointer);
}

void mw_log_pattern_free(mw_log_pattern *pattern)
{
    if (!pattern)
        return;
    pcre2_match_data_free(pattern->match);
    pcre2_code_free(pattern->code);
    pcre2_jit_stack_free(pattern->stack);
    pcre2_match_context_free(pattern->limits);
    pcre2_compile_context_free(pattern->rules);
    pcre2_general_context_free(pattern->memory);
    mw_free(MW_MEM_QUERY, pattern);
}

static bool make_contexts(mw_log_pattern *pattern)
{
    pattern->memory = pcre2_general_context_create(allocate, release, NULL);
    if (!pattern->memory)
        return false;
    pattern->rules = pcre2_compile_context_create(pattern->memory);
    pattern->limits = pcre2_match_context_create(pattern->memory);
    if (!pattern->rules || !pattern->limits)
        return false;
    pcre2_set_parens_nest_limit(pattern->rules, NEST_MAX);
    pcre2_set_match_limit(pattern->limits, STEPS_MAX);
    pcre2_set_depth_limit(pattern->limits, DEPTH_MAX);
    pcre2_set_heap_limit(pattern->limits, HEAP_KIB_MAX);
    return true;
}

static mw_err explain(mw_detail *detail, int code, size_t offset)
{
    PCRE2_UCHAR text[160];
    if (code == PCRE2_ERROR_HEAP_FAILED)
        return MW_E_NOMEM;
    if (pcre2_get_error_message(code, text, sizeof text) < 0)
        text[0] = '\0';
    return mw_detail_set(detail, MW_E_SYNTAX, "pattern",
                         "patterns are PCRE2's, as perl's; put a \\ before . * + ? ( ) [ { | ^ $ "
                         "to mean the character",
                         "at offset %zu: %s", offset, (const char *)text);
}

/* Machine code where that is possible; without it the same answers come slower. */
static void compile_further(mw_log_pattern *pattern)
{
    if (pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE) != 0)
        return;
    pattern->stack = pcre2_jit_stack_create((size_t)32 << 10, JIT_STACK_MAX, pattern->memory);
    if (pattern->stack)
        pcre2_jit_stack_assign(pattern->limits, NULL, pattern->stack);
}

static mw_err compile(mw_log_pattern *pattern, mw_slice text, mw_detail *detail)
{
    const uint32_t options =
        PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_USE_OFFSET_LIMIT;
    int code;
    PCRE2_SIZE offset;

    if (text.len > MW_LOG_PATTERN_MAX)
        return mw_detail_set(detail, MW_E_SYNTAX, "pattern",
                             "search for a part of it, or for a word in it with text",
                             "%zu bytes long: longer than the %u that a pattern may have", text.len,
                             MW_LOG_PATTERN_MAX);
    pattern->code =
        pcre2_compile((PCRE2_SPTR)text.data, text.len, options, &code, &offset, pattern->rules);
    if (!pattern->code)
        return explain(detail, code, offset);
    compile_further(pattern);
    pattern->match = pcre2_match_data_create(1, pattern->memory);
    return pattern->match ? MW_OK : MW_E_NOMEM;
}

mw_err mw_log_pattern_new(mw_slice text, mw_log_pattern **out, mw_detail *detail)
{
    mw_log_pattern *pattern = mw_calloc(MW_MEM_QUERY, 1, sizeof *pattern);
    if (!pattern)
        return MW_E_NOMEM;
    mw_err err = make_contexts(pattern) ? compile(pattern, text, detail) : MW_E_NOMEM;
    if (err == MW_OK)
        *out = pattern;
    else
        mw_log_pattern_free(pattern);
    return err;
}

mw_err mw_log_pattern_check(mw_slice text, mw_detail *detail)
{
    mw_log_pattern *pattern;
    mw_err err = mw_log_pattern_new(text, &pattern, detail);
    if (err == MW_OK)
        mw_log_pattern_free(pattern);
    return err;
}

/* ---- search ---------------------------------------------------------------------------------- */

/* One step: matches that begin at `from` or within a step behind it. */
static mw_err search_step(mw_log_pattern *pattern, mw_slice text, size_t from,
                          mw_pattern_verdict *verdict)
{
    bool cut = text.len - from > MW_LOG_PATTERN_REACH;
    size_t end = cut ? from + MW_LOG_PATTERN_REACH : text.len;

    pcre2_set_offset_limit(pattern->limits, from + MW_LOG_PATTERN_STEP - 1);
    int found = pcre2_match(pattern->code, (PCRE2_SPTR)text.data, end, from, cut ? PCRE2_NOTEOL : 0,
                            pattern->match, pattern->limits);
    if (found == PCRE2_ERROR_NOMEMORY)
        return MW_E_NOMEM;
    if (found >= 0)
        *verdict = MW_PATTERN_FOUND;
    else if (found != PCRE2_ERROR_NOMATCH)
        *verdict = MW_PATTERN_UNDECIDED;
    return MW_OK;
}

/* Back to where a character begins, at most three bytes. */
static size_t character_start(mw_slice text, size_t at)
{
    for (int i = 0; i < 3 && at > 0 && ((unsigned char)text.data[at] & 0xc0) == 0x80; i++)
        at--;
    return at;
}

static bool is_stopped(mw_log_pattern *pattern, size_t len, bool (*stop)(void *ctx), void *ctx)
{
    pattern->unlooked += len;
    if (!stop || pattern->unlooked < STOP_EVERY)
        return false;
    pattern->unlooked = 0;
    return stop(ctx);
}

/* Goes on behind an undecided step: another may hold a match. */
static mw_err search_text(mw_log_pattern *pattern, mw_slice text, bool (*stop)(void *ctx),
                          void *ctx, mw_pattern_verdict *verdict)
{
    mw_err err = MW_OK;
    size_t from = 0;

    if (!text.data)
        text = MW_SLICE("");
    for (;;) {
        size_t left = text.len - from;
        if (is_stopped(pattern, left < MW_LOG_PATTERN_STEP ? left : MW_LOG_PATTERN_STEP, stop, ctx))
            return MW_E_TIMEOUT;
        err = search_step(pattern, text, from, verdict);
        if (err != MW_OK || *verdict == MW_PATTERN_FOUND || left <= MW_LOG_PATTERN_STEP)
            return err;
        from = character_start(text, from + MW_LOG_PATTERN_STEP);
    }
}

mw_err mw_log_pattern_search(mw_log_pattern *pattern, mw_slice record, bool (*stop)(void *ctx),
                             void *stop_ctx, mw_pattern_verdict *verdict)
{
    mw_slice body, text;
    mw_body_walk walk;
    mw_err err = MW_OK;

    *verdict = MW_PATTERN_ABSENT;
    while (mw_record_body(&record, &body)) {
        mw_body_walk_begin(&walk, body);
        while (mw_body_walk_next(&walk, &text)) {
            err = search_text(pattern, text, stop, stop_ctx, verdict);
            if (err != MW_OK || *verdict == MW_PATTERN_FOUND)
                return err;
        }
    }
    return err;
}
