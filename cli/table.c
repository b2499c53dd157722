/* Layout of tables. */
#include "cli/table.h"
#include "lib/base/utf8.h"

/* A page has at most 1000 rows of 16 cells; a trace may have some hundred thousand rows. */
#define TEXT_MAX ((size_t)256 << 20)
/* Between two columns. */
#define GAP 2
/* Least that is left of a cut column; a prefix of 12 digits is unique in any real store. */
#define ID_MIN 12
#define SHRINK_MIN 8

void mw_table_init(mw_table *table, const mw_column *columns, size_t count)
{
    MW_ASSERT(count > 0 && count <= MW_TABLE_COLUMNS_MAX);
    table->columns = columns;
    table->column_count = count;
    mw_buffer_init(&table->text, MW_MEM_BASE, TEXT_MAX);
    mw_buffer_init(&table->cells, MW_MEM_BASE, TEXT_MAX);
}

void mw_table_fini(mw_table *table)
{
    mw_buffer_fini(&table->text);
    mw_buffer_fini(&table->cells);
}

void mw_table_cell(mw_table *table, mw_slice text)
{
    mw_cell cell = {.offset = table->text.len};
    mw_utf8_append_visible(&table->text, text, false);
    cell.len = table->text.len - cell.offset;
    cell.columns = mw_utf8_columns((mw_slice){table->text.data + cell.offset, cell.len});
    mw_buffer_append(&table->cells, &cell, sizeof cell);
}

void mw_table_cellf(mw_table *table, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t used = len < 0 ? 0 : (size_t)len < sizeof text ? (size_t)len : sizeof text - 1;
    mw_table_cell(table, (mw_slice){text, used});
}

static const mw_cell *cell_at(const mw_table *table, size_t index)
{
    /* The buffer's memory comes from malloc, so a cell in it is aligned. */
    return (const mw_cell *)(const void *)table->cells.data + index;
}

static size_t cell_count(const mw_table *table)
{
    return table->cells.len / sizeof(mw_cell);
}

void mw_table_style(mw_table *table, mw_style style)
{
    size_t count = cell_count(table);
    MW_ASSERT(count > 0 || table->cells.err);
    if (count)
        ((mw_cell *)(void *)table->cells.data)[count - 1].style = style;
}

void mw_append_cut(mw_buffer *out, mw_slice text, size_t columns, bool ellipsis)
{
    if (mw_utf8_columns(text) <= columns) {
        mw_buffer_append_slice(out, text);
        return;
    }
    size_t room = ellipsis && columns > 0 ? columns - 1 : columns, used = 0, i = 0;
    while (i < text.len) {
        size_t len = mw_utf8_next(mw_slice_from(text, i), NULL);
        len = len ? len : 1;
        size_t wide = mw_utf8_columns((mw_slice){text.data + i, len});
        if (used + wide > room)
            break;
        used += wide;
        i += len;
    }
    mw_buffer_append(out, text.data, i);
    if (ellipsis && columns > 0)
        mw_buffer_append(out, "\xe2\x80\xa6", 3);
}

/* ---- widths -------------------------------------------------------------------------------- */

typedef struct layout {
    size_t widths[MW_TABLE_COLUMNS_MAX];
    size_t shown; /* columns, from the left */
} layout;

static size_t total_width(const layout *plan)
{
    size_t total = 0;
    for (size_t i = 0; i < plan->shown; i++)
        total += plan->widths[i] + (i ? GAP : 0);
    return total;
}

static void natural_widths(const mw_table *table, layout *plan)
{
    plan->shown = table->column_count;
    for (size_t i = 0; i < table->column_count; i++)
        plan->widths[i] = mw_utf8_columns(mw_slice_of(table->columns[i].title));
    for (size_t i = 0; i < cell_count(table); i++) {
        size_t *width = &plan->widths[i % table->column_count];
        if (cell_at(table, i)->columns > *width)
            *width = cell_at(table, i)->columns;
    }
}

/* The widest column with this flag that is still wider than `least`, or the count. */
static size_t widest(const mw_table *table, const layout *plan, unsigned flag, size_t least)
{
    size_t best = table->column_count;
    for (size_t i = 0; i < plan->shown; i++) {
        if (!(table->columns[i].flags & flag) || plan->widths[i] <= least)
            continue;
        if (best == table->column_count || plan->widths[i] > plan->widths[best])
            best = i;
    }
    return best;
}

/* Takes one column at a time from the widest, so that equal columns end up equal. */
static void shrink(const mw_table *table, layout *plan, unsigned flag, size_t least, size_t width)
{
    while (total_width(plan) > width) {
        size_t i = widest(table, plan, flag, least);
        if (i == table->column_count)
            return;
        plan->widths[i]--;
    }
}

static void shrink_all(const mw_table *table, layout *plan, size_t width)
{
    shrink(table, plan, MW_COLUMN_ID, ID_MIN, width);
    shrink(table, plan, MW_COLUMN_SHRINK, SHRINK_MIN, width);
}

static void fit(const mw_table *table, layout *plan, size_t width)
{
    layout natural = *plan;
    shrink_all(table, plan, width);
    while (plan->shown > 1 && total_width(plan) > width)
        plan->shown--;
    /* Columns that were left out give their room to those that are shown. */
    natural.shown = plan->shown;
    *plan = natural;
    shrink_all(table, plan, width);
    if (total_width(plan) > width)
        plan->widths[0] = width;
}

/* ---- rows ---------------------------------------------------------------------------------- */

static void blanks(mw_buffer *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mw_buffer_append_byte(out, ' ');
}

static const char *style_code(mw_style style)
{
    static const char *const codes[] = {"", "\x1b[31m", "\x1b[33m", "\x1b[32m"};
    return codes[style];
}

typedef struct cell_text {
    mw_slice text;
    mw_style style;
    bool last;
} cell_text;

static void print_cell(const mw_column *column, size_t width, const cell_text *cell, mw_buffer *out)
{
    size_t used = mw_utf8_columns(cell->text);
    size_t pad = used < width ? width - used : 0;
    if (column->flags & MW_COLUMN_RIGHT)
        blanks(out, pad);
    mw_buffer_appendf(out, "%s", style_code(cell->style));
    mw_append_cut(out, cell->text, width, !(column->flags & MW_COLUMN_ID));
    if (cell->style)
        mw_buffer_appendf(out, "\x1b[0m");
    if (!(column->flags & MW_COLUMN_RIGHT) && !cell->last)
        blanks(out, pad);
}

static void print_titles(const mw_table *table, const layout *plan, size_t indent, mw_buffer *out)
{
    blanks(out, indent);
    for (size_t i = 0; i < plan->shown; i++) {
        cell_text cell = {mw_slice_of(table->columns[i].title), MW_STYLE_NONE,
                          i + 1 == plan->shown};
        blanks(out, i ? GAP : 0);
        print_cell(&table->columns[i], plan->widths[i], &cell, out);
    }
    mw_buffer_append_byte(out, '\n');
}

static void print_row(const mw_table *table, const layout *plan, size_t first, bool color,
                      mw_buffer *out)
{
    for (size_t i = 0; i < plan->shown; i++) {
        const mw_cell *stored = cell_at(table, first + i);
        cell_text cell = {{table->text.data + stored->offset, stored->len},
                          color ? stored->style : MW_STYLE_NONE,
                          i + 1 == plan->shown};
        blanks(out, i ? GAP : 0);
        print_cell(&table->columns[i], plan->widths[i], &cell, out);
    }
    mw_buffer_append_byte(out, '\n');
}

void mw_table_print(const mw_table *table, size_t width, bool color, size_t indent, mw_buffer *out)
{
    layout plan;
    MW_ASSERT(cell_count(table) % table->column_count == 0 || table->cells.err);
    natural_widths(table, &plan);
    if (width > indent)
        fit(table, &plan, width - indent);
    print_titles(table, &plan, indent, out);
    for (size_t i = 0; i + table->column_count <= cell_count(table); i += table->column_count) {
        blanks(out, indent);
        print_row(table, &plan, i, color, out);
    }
}
