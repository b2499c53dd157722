/* Whom an operation called last. See last_called.h. */
#include "triage/evidence/last_called.h"

/* A call goes through a few spans of the caller's own: of a client, a library, a retry. */
#define STEPS_MAX 8

/* The last child by start; rows of a trace lie together, by start, children behind parents. */
static uint32_t last_child(const mw_span_table *table, uint32_t parent)
{
    uint32_t found = MW_NO_ROW;
    for (size_t i = parent + 1;
         i < table->count && table->rows[i].trace == table->rows[parent].trace; i++)
        if (table->rows[i].parent_at == parent)
            found = (uint32_t)i;
    return found;
}

static uint16_t called_by(const mw_span_table *table, uint32_t row)
{
    uint16_t own = table->rows[row].service;
    for (int step = 0; step < STEPS_MAX; step++) {
        row = last_child(table, row);
        if (row == MW_NO_ROW)
            break;
        if (table->rows[row].service != own)
            return table->rows[row].service;
    }
    return MW_NO_SERVICE;
}

uint16_t mw_last_called(const mw_span_table *table, uint32_t operation, double usual,
                        uint64_t since_ns)
{
    uint32_t votes[MW_SPAN_TABLE_SERVICES] = {0}, asked = 0;
    for (uint32_t i = 0; i < table->count; i++) {
        const mw_span_fact *row = &table->rows[i];
        if (row->operation != operation || row->start_ns < since_ns || row->children >= usual)
            continue;
        uint16_t service = called_by(table, i);
        asked++;
        if (service != MW_NO_SERVICE)
            votes[service]++;
    }
    for (uint16_t s = 0; s < table->service_count; s++)
        if (2 * votes[s] > asked)
            return s;
    return MW_NO_SERVICE;
}
