/* Layout of tables. */
#include "cli/table.h"
#include "cli/fit.h"
#include "lib/base/utf8.h"

/* A page has at most 1000 rows of 16 cells; a trace may have some hundred thousand rows. */
#define TEXT_MAX ((size_t)256 << 20)
/* Between two columns. */
#define GAP 2
/* Least that is left of a cut column, its ellipsis included; a prefix of 12 digits is unique in any
 * real store. */
#define ID_MIN 13
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

/* ---- widths -------------------------------------------------------------------------------- */

typedef struct layout {
    size_t widths[MW_TABLE_COLUMNS_MAX];
    bool hidden[MW_TABLE_COLUMNS_MAX];
    size_t count; /* columns, hidden ones included */
} layout;

static size_t shown_count(const layout *plan)
{
    size_t shown = 0;
    for (size_t i = 0; i < plan->count; i++)
        shown += !plan->hidden[i];
    return shown;
}

static size_t total_width(const layout *plan)
{
    size_t total = 0, shown = shown_count(plan);
    for (size_t i = 0; i < plan->count; i++)
        total += plan->hidden[i] ? 0 : plan->widths[i];
    return total + (shown - 1) * GAP;
}

static void natural_widths(const mw_table *table, layout *plan)
{
    *plan = (layout){.count = table->column_count};
    for (size_t i = 0; i < table->column_count; i++)
        plan->widths[i] = mw_utf8_columns(mw_slice_of(table->columns[i].title));
    for (size_t i = 0; i < cell_count(table); i++) {
        size_t *width = &plan->widths[i % table->column_count];
        if (cell_at(table, i)->columns > *width)
            *width = cell_at(table, i)->columns;
    }
    for (size_t i = 0; i < table->column_count; i++) {
        size_t most = table->columns[i].flags >> 24;
        if (most && plan->widths[i] > most)
            plan->widths[i] = most;
    }
}

/* `wish`: what a column asked for itself counts. */
static size_t least_width(const mw_column *column, bool wish)
{
    size_t least = column->flags >> 16 & 0xff;
    if (least && (wish || least < SHRINK_MIN))
        return least;
    return column->flags & MW_COLUMN_ID ? ID_MIN : SHRINK_MIN;
}

/* The widest column with this flag that may still become narrower, or the count. */
static size_t widest(const mw_table *table, const layout *plan, unsigned flag, bool wish)
{
    size_t best = plan->count;
    for (size_t i = 0; i < plan->count; i++) {
        const mw_column *column = &table->columns[i];
        if (plan->hidden[i] || !(column->flags & flag) ||
            plan->widths[i] <= least_width(column, wish))
            continue;
        if (best == plan->count || plan->widths[i] > plan->widths[best])
            best = i;
    }
    return best;
}

/* Takes one column at a time from the widest, so that equal columns end up equal. */
static void shrink(const mw_table *table, layout *plan, unsigned flag, size_t width, bool wish)
{
    while (total_width(plan) > width) {
        size_t i = widest(table, plan, flag, wish);
        if (i == plan->count)
            return;
        plan->widths[i]--;
    }
}

/* `late`: those that keep their names whole as long as they can. */
static void shrink_all(const mw_table *table, layout *plan, size_t width, bool late, bool wish)
{
    shrink(table, plan, MW_COLUMN_ID, width, wish);
    shrink(table, plan, MW_COLUMN_SHRINK, width, wish);
    if (late)
        shrink(table, plan, MW_COLUMN_LATE, width, wish);
}

static unsigned rank_of(const mw_column *column)
{
    return column->flags >> 8 & 0xff;
}

/* The shown column of the highest rank; the rightmost of equals. Two at least are shown. */
static size_t next_to_leave(const mw_table *table, const layout *plan)
{
    size_t best = plan->count;
    for (size_t i = 0; i < plan->count; i++) {
        const mw_column *column = &table->columns[i];
        if (plan->hidden[i] || column->flags & MW_COLUMN_LAST)
            continue;
        if (best == plan->count || rank_of(column) >= rank_of(&table->columns[best]))
            best = i;
    }
    MW_ASSERT(best < plan->count);
    return best;
}

/* Before a column without a rank leaves, what was spared gives way: first the names that stay
 * whole, then what cut columns wish to keep. */
static void fit(const mw_table *table, layout *plan, size_t width)
{
    layout natural = *plan;
    bool late = false, wish = true;
    shrink_all(table, plan, width, late, wish);
    while (shown_count(plan) > 1 && total_width(plan) > width) {
        size_t next = next_to_leave(table, plan);
        if (wish && rank_of(&table->columns[next]) == 0) {
            wish = !late;
            late = true;
            shrink_all(table, plan, width, late, wish);
            continue;
        }
        plan->hidden[next] = true;
    }
    /* Columns that were left out give their room to those that are shown. */
    memcpy(natural.hidden, plan->hidden, sizeof natural.hidden);
    *plan = natural;
    shrink_all(table, plan, width, false, true);
    shrink_all(table, plan, width, late, true);
    shrink_all(table, plan, width, late, wish);
    if (total_width(plan) > width)
        for (size_t i = 0; i < plan->count; i++)
            plan->widths[i] = width; /* one is left */
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

static void print_cell(const mw_column *column, size_t width, mw_slice text, mw_style style,
                       mw_buffer *out)
{
    size_t used = mw_utf8_columns(text);
    if (column->flags & MW_COLUMN_RIGHT)
        blanks(out, used < width ? width - used : 0);
    mw_buffer_appendf(out, "%s", style_code(style));
    used = mw_append_cut(out, text, width);
    if (style)
        mw_buffer_appendf(out, "\x1b[0m");
    /* A wide character that was cut off may have left one column. */
    if (!(column->flags & MW_COLUMN_RIGHT))
        blanks(out, width - used);
}

/* Blanks at the end of a line serve nobody. */
static void end_line(mw_buffer *out)
{
    while (out->len && out->data[out->len - 1] == ' ')
        out->len--;
    mw_buffer_append_byte(out, '\n');
}

static void print_titles(const mw_table *table, const layout *plan, size_t indent, mw_buffer *out)
{
    size_t shown = 0;
    blanks(out, indent);
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->hidden[i])
            continue;
        blanks(out, shown++ ? GAP : 0);
        print_cell(&table->columns[i], plan->widths[i], mw_slice_of(table->columns[i].title),
                   MW_STYLE_NONE, out);
    }
    end_line(out);
}

static void print_row(const mw_table *table, const layout *plan, size_t first, bool color,
                      mw_buffer *out)
{
    size_t shown = 0;
    for (size_t i = 0; i < plan->count; i++) {
        const mw_cell *cell = cell_at(table, first + i);
        if (plan->hidden[i])
            continue;
        blanks(out, shown++ ? GAP : 0);
        print_cell(&table->columns[i], plan->widths[i],
                   (mw_slice){table->text.data + cell->offset, cell->len},
                   color ? cell->style : MW_STYLE_NONE, out);
    }
    end_line(out);
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
