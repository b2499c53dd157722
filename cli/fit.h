/* Text that fits the terminal: cut with an ellipsis, or wrapped beneath where it began.
 *
 * Columns are a terminal's: wide characters have two, combining ones and our own colours none. What
 * comes here was neutralised before. Pure but for memory.
 */
#ifndef MW_CLI_FIT_H
#define MW_CLI_FIT_H

#include "lib/base/buffer.h"

/* Where the text of a field begins (mw_field): its further lines begin there too. */
#define MW_FIELD_INDENT 16

/* At most `columns` columns of `text`; a cut ends with an ellipsis, which counts. Returns the
 * columns that were used. */
size_t mw_append_cut(mw_buffer *out, mw_slice text, size_t columns);

/* How many bytes of `line` fit `room` columns: to a blank if there is one; at least one. */
size_t mw_fitting(mw_slice line, size_t room);

/* Appends `text` with each line of it in at most `width` columns (0 = as it is): longer ones go on
 * in further lines, at most MW_FIT_LINES of each, the last of which ends with an ellipsis then. A
 * line that is a command to copy ("midwatch ...", "$ ...") stays whole. */
#define MW_FIT_LINES 24
void mw_fit_lines(mw_buffer *out, mw_slice text, size_t width);

#endif
