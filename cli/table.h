/* Tables for people: columns as wide as their content, cut to fit the terminal.
 *
 * Cells are text from peers, so they are neutralised here. Pure but for memory: the width and the
 * wish for colour are given.
 */
#ifndef MW_CLI_TABLE_H
#define MW_CLI_TABLE_H

#include "lib/base/buffer.h"

enum {
    MW_COLUMN_RIGHT = 1,  /* numbers */
    MW_COLUMN_SHRINK = 2, /* may be cut with an ellipsis */
    MW_COLUMN_ID = 4,     /* the same for a prefix, which is an id too */
    MW_COLUMN_LAST = 8,   /* the one that stays when all others had to leave */
    MW_COLUMN_LATE = 16   /* cut when all that have a rank have left: cut short, a name is none */
};
/* Where even cut columns do not fit, whole ones are left out: the highest rank (1 to 15) first,
 * those without a rank last and from the right. Ids and numbers that people came for have none. */
#define MW_COLUMN_DROP(rank) ((unsigned)(rank) << 8)
/* A cut column keeps this many columns (to 255) instead of the usual few for as long as columns
 * with a rank are shown; then it gives way before one without a rank has to leave. */
#define MW_COLUMN_LEAST(columns) ((unsigned)(columns) << 16)
/* Never wider than this (to 255), however much room there is: a peer's text in a column of names
 * must not push the others out. */
#define MW_COLUMN_MOST(columns) ((unsigned)(columns) << 24)

typedef struct mw_column {
    const char *title;
    unsigned flags;
} mw_column;

typedef enum mw_style { MW_STYLE_NONE, MW_STYLE_RED, MW_STYLE_YELLOW, MW_STYLE_GREEN } mw_style;

#define MW_TABLE_COLUMNS_MAX 16

typedef struct mw_cell {
    size_t offset, len;
    size_t columns;
    mw_style style;
} mw_cell;

typedef struct mw_table {
    const mw_column *columns;
    size_t column_count;
    mw_buffer text;
    mw_buffer cells; /* of mw_cell */
} mw_table;

void mw_table_init(mw_table *table, const mw_column *columns, size_t count);
void mw_table_fini(mw_table *table);
/* Cells go in row by row. */
void mw_table_cell(mw_table *table, mw_slice text);
void mw_table_cellf(mw_table *table, const char *format, ...) MW_PRINTF(2, 3);
/* Of the cell added last. */
void mw_table_style(mw_table *table, mw_style style);
/* Appends the title line and the rows. width 0 = unbounded; what does not fit even when cut loses
 * columns by rank. `indent` blanks stand before each line and count. */
void mw_table_print(const mw_table *table, size_t width, bool color, size_t indent, mw_buffer *out);

#endif
