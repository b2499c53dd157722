/* Text that fits the terminal. See fit.h. */
#include "cli/fit.h"
#include "lib/base/utf8.h"

#define ELLIPSIS "\xe2\x80\xa6"
#define ESCAPE '\x1b'
/* Least room of a line that goes on: an indent gives way. */
#define ROOM_MIN 8

/* "\x1b[31m", "\x1b[0m"; 0 for anything else. */
static size_t color_length(mw_slice text)
{
    size_t len = 2;
    if (!mw_slice_starts(text, MW_SLICE("\x1b[")))
        return 0;
    while (len < text.len && len < 4 && text.data[len] >= '0' && text.data[len] <= '9')
        len++;
    return len < text.len && text.data[len] == 'm' ? len + 1 : 0;
}

/* Bytes of the character, or of our own colour, at the front of `text`; its columns. */
static size_t next_of(mw_slice text, size_t *columns)
{
    size_t len = mw_utf8_next(text, NULL);
    *columns = 0;
    len = len ? len : 1;
    if (text.data[0] == ESCAPE && color_length(text))
        return color_length(text);
    *columns = mw_utf8_columns(mw_slice_first(text, len));
    return len;
}

static size_t columns_of(mw_slice text)
{
    size_t columns, used = 0;
    for (size_t i = 0; i < text.len; used += columns)
        i += next_of(mw_slice_from(text, i), &columns);
    return used;
}

/* The bytes that fit, with all that has no columns behind them. */
static size_t prefix(mw_slice text, size_t room, size_t *used)
{
    size_t columns, i = 0;
    *used = 0;
    while (i < text.len) {
        size_t len = next_of(mw_slice_from(text, i), &columns);
        if (*used + columns > room)
            break;
        *used += columns;
        i += len;
    }
    return i;
}

size_t mw_append_cut(mw_buffer *out, mw_slice text, size_t columns)
{
    size_t used;
    size_t len = prefix(text, columns, &used);
    if (len == text.len || columns == 0) {
        mw_buffer_append(out, text.data, len);
        return used;
    }
    len = prefix(text, columns - 1, &used);
    mw_buffer_append(out, text.data, len);
    mw_buffer_append(out, ELLIPSIS, sizeof ELLIPSIS - 1);
    return used + 1;
}

size_t mw_fitting(mw_slice line, size_t room)
{
    size_t columns, used;
    size_t len = prefix(line, room, &used), blank = len;
    if (len == line.len)
        return len;
    if (len == 0)
        return next_of(line, &columns);
    while (blank > 0 && line.data[blank - 1] != ' ')
        blank--;
    return blank ? blank : len;
}

/* ---- lines --------------------------------------------------------------------------------- */

static size_t leading_blanks(mw_slice line)
{
    size_t blanks = 0;
    while (blanks < line.len && line.data[blanks] == ' ')
        blanks++;
    return blanks;
}

/* Broken in two it could not be copied. */
static bool is_command(mw_slice line)
{
    mw_slice words = mw_slice_from(line, leading_blanks(line));
    return mw_slice_starts(words, MW_SLICE("$ ")) || mw_slice_starts(words, MW_SLICE("midwatch "));
}

/* Where a line goes on: beneath the text of a field, else a little further in than it began. */
static size_t hanging(mw_slice line, size_t width)
{
    size_t blanks = leading_blanks(line);
    bool field = blanks == 2 && line.len > MW_FIELD_INDENT &&
                 line.data[MW_FIELD_INDENT - 1] == ' ' && line.data[MW_FIELD_INDENT] != ' ';
    size_t indent = field ? MW_FIELD_INDENT : blanks + 2;
    return indent + ROOM_MIN <= width ? indent : 0;
}

static void end_line(mw_buffer *out)
{
    while (out->len && out->data[out->len - 1] == ' ')
        out->len--;
    mw_buffer_append_byte(out, '\n');
}

static void wrap_line(mw_buffer *out, mw_slice line, size_t width)
{
    size_t indent = hanging(line, width), room = width, at = leading_blanks(line);
    /* Its own blanks, and those of a field's title, are no place to break it. */
    size_t keep = indent == MW_FIELD_INDENT && at == 2 ? MW_FIELD_INDENT : at;
    keep = keep < width ? keep : 0;
    for (size_t lines = 1;; lines++) {
        size_t len = keep + mw_fitting(mw_slice_from(line, keep), room - keep);
        if (lines == MW_FIT_LINES) {
            mw_append_cut(out, line, room);
            end_line(out);
            return;
        }
        mw_buffer_append_slice(out, mw_slice_first(line, len));
        end_line(out);
        line = mw_slice_from(line, len);
        line = mw_slice_from(line, leading_blanks(line));
        if (columns_of(line) == 0)
            break;
        for (size_t i = 0; i < indent; i++)
            mw_buffer_append_byte(out, ' ');
        room = width - indent;
        keep = 0;
    }
    /* A colour that ends with its line. */
    if (line.len) {
        out->len--;
        mw_buffer_append_slice(out, line);
        mw_buffer_append_byte(out, '\n');
    }
}

void mw_fit_lines(mw_buffer *out, mw_slice text, size_t width)
{
    while (text.len) {
        size_t end = mw_slice_find_byte(text, '\n');
        mw_slice line = mw_slice_first(text, end);
        if (width && columns_of(line) > width && !is_command(line)) {
            wrap_line(out, line, width);
        } else {
            mw_buffer_append_slice(out, line);
            if (end < text.len)
                mw_buffer_append_byte(out, '\n');
        }
        text = mw_slice_from(text, end < text.len ? end + 1 : end);
    }
}
