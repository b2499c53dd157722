/* Findings and what shows them. See findings.h. */
#include <stdarg.h>

#include "lib/base/buffer.h"
#include "triage/evidence/findings.h"

#define SENTENCE_MAX 1024

static const char *const gap_codes[] = {
#define MW_GAP_TEXT(name, code) [MW_GAP_##name] = code,
    MW_GAPS(MW_GAP_TEXT)
#undef MW_GAP_TEXT
};

const char *mw_gap_code_name(mw_gap_code code)
{
    MW_ASSERT((unsigned)code < MW_GAP_COUNT);
    return gap_codes[code];
}

static mw_slice format_text(mw_arena *arena, const char *format, va_list args) MW_PRINTF(2, 0);
static mw_slice format_text(mw_arena *arena, const char *format, va_list args)
{
    char text[SENTENCE_MAX];
    int len = vsnprintf(text, sizeof text, format, args);
    size_t shown = len < 0 ? 0 : (size_t)len < sizeof text ? (size_t)len : sizeof text - 1;
    return mw_arena_copy(arena, mw_slice_bytes(text, shown));
}

mw_slice mw_sentence(mw_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    mw_slice text = format_text(arena, format, args);
    va_end(args);
    return text;
}

mw_findings *mw_findings_new(mw_arena *arena)
{
    mw_findings *findings = mw_arena_zalloc(arena, 1, sizeof *findings);
    if (!findings)
        return NULL;
    findings->arena = arena;
    findings->thresholds = &mw_thresholds_default;
    return findings;
}

mw_err mw_findings_gap(mw_findings *findings, mw_gap_code code, const char *format, ...)
{
    va_list args;
    if (findings->gap_count == MW_GAPS_MAX)
        return MW_OK;
    va_start(args, format);
    mw_slice text = format_text(findings->arena, format, args);
    va_end(args);
    if (!text.data)
        return MW_E_NOMEM;
    for (size_t i = 0; i < findings->gap_count; i++)
        if (findings->gaps[i].code == code && mw_slice_equal(findings->gaps[i].text, text))
            return MW_OK; /* said already */
    findings->gaps[findings->gap_count++] = (mw_gap){code, text};
    return MW_OK;
}

mw_err mw_findings_add(mw_findings *findings, const mw_finding *finding)
{
    if (!finding->text.data)
        return MW_E_NOMEM;
    if (findings->count < MW_FINDINGS_MAX)
        findings->items[findings->count++] = *finding;
    return MW_OK;
}

const mw_evidence *mw_evidence_new(mw_arena *arena, const mw_evidence *from)
{
    mw_evidence *evidence = mw_arena_alloc(arena, sizeof *evidence);
    if (!evidence || !from->text.data || !from->query.data)
        return NULL;
    *evidence = *from;
    mw_id_new(evidence->id);
    return evidence;
}

mw_slice mw_shown(mw_arena *arena, mw_slice text, size_t max)
{
    size_t len = text.len;
    if (len > max) {
        len = max;
        while (len > 0 && ((unsigned char)text.data[len] & 0xc0) == 0x80)
            len--;
    }
    text = mw_slice_first(text, len);
    /* printf would end at a NUL and hide what stands behind it. */
    if (mw_slice_find_byte(text, '\0') == text.len)
        return text;
    char *copy = mw_arena_alloc(arena, text.len);
    for (size_t i = 0; copy && i < text.len; i++)
        copy[i] = text.data[i] ? text.data[i] : ' ';
    return (mw_slice){copy, copy ? text.len : 0};
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-._/:@", c));
}

mw_slice mw_shell_quoted(mw_arena *arena, mw_slice text)
{
    mw_buffer word;
    bool plain = text.len > 0 && text.data[0] != '-';
    for (size_t i = 0; i < text.len; i++)
        plain = plain && is_plain(text.data[i]);
    if (plain)
        return text;
    mw_buffer_init(&word, MW_MEM_QUERY, 4 * text.len + 8);
    mw_buffer_append_byte(&word, '\'');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '\'')
            mw_buffer_appendf(&word, "'\\''");
        else /* no control character belongs into what is pasted into a terminal */
            mw_buffer_append_byte(&word, c < ' ' || c == 0x7f ? '?' : (char)c);
    }
    mw_buffer_append_byte(&word, '\'');
    mw_slice copy = word.err ? MW_SLICE_NONE : mw_arena_copy(arena, mw_buffer_slice(&word));
    mw_buffer_fini(&word);
    return copy;
}
