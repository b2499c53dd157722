/* Forms of a trace's id. Contract: trace_id.h. */
#include "lib/base/trace_id.h"

enum { DIGITS = 2 * MW_TRACE_ID_SIZE, SPAN_DIGITS = 2 * MW_SPAN_ID_SIZE, EPOCH_DIGITS = 8 };

/* The value of `Root`, else the text. */
static mw_slice root_of_header(mw_slice text)
{
    mw_slice rest = text, part;
    while (mw_slice_split(&rest, ';', &part)) {
        part = mw_slice_trim(part);
        if (mw_slice_equal_nocase(mw_slice_first(part, 5), MW_SLICE("Root=")))
            return mw_slice_trim(mw_slice_from(part, 5));
    }
    return text;
}

static bool is_hex_of(mw_slice text, size_t least, size_t most)
{
    return text.len >= least && text.len <= most && mw_is_hex(text);
}

/* version-trace-span-flags; later versions may say more behind. */
static mw_slice of_traceparent(mw_slice text)
{
    mw_slice version, trace, span, flags;
    bool whole = mw_slice_split(&text, '-', &version) && mw_slice_split(&text, '-', &trace) &&
                 mw_slice_split(&text, '-', &span) && mw_slice_split(&text, '-', &flags) &&
                 is_hex_of(version, 2, 2) && is_hex_of(trace, DIGITS, DIGITS) &&
                 is_hex_of(span, SPAN_DIGITS, SPAN_DIGITS) && is_hex_of(flags, 2, 2);
    return whole ? trace : MW_SLICE_NONE;
}

/* Version 1, seconds since 1970, the rest; the rest may be cut. */
static mw_slice of_xray(mw_slice text, char out[MW_ID_TEXT_SIZE])
{
    mw_slice version, epoch, rest = MW_SLICE_NONE;
    if (!mw_slice_split(&text, '-', &version) || !mw_slice_equal(version, MW_SLICE("1")) ||
        !mw_slice_split(&text, '-', &epoch) || !is_hex_of(epoch, EPOCH_DIGITS, EPOCH_DIGITS))
        return MW_SLICE_NONE;
    if (mw_slice_split(&text, '-', &rest) &&
        (text.len || !is_hex_of(rest, 1, DIGITS - EPOCH_DIGITS)))
        return MW_SLICE_NONE;
    memcpy(out, epoch.data, epoch.len);
    if (rest.len)
        memcpy(out + epoch.len, rest.data, rest.len);
    out[epoch.len + rest.len] = '\0';
    return (mw_slice){out, epoch.len + rest.len};
}

mw_slice mw_trace_id_digits(mw_slice text, char out[MW_ID_TEXT_SIZE])
{
    mw_slice id = root_of_header(mw_slice_trim(text));
    mw_slice digits = of_traceparent(id);
    if (digits.len == 0)
        digits = of_xray(id, out);
    return digits.len ? digits : id;
}
