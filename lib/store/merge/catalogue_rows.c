/* Rows of the catalogue in memory: made of a segment or of a log's blocks, as losses that wait, and
 * in words. Nothing here touches the file. See catalogue.h. MW_MEM_STORE. */
#include "lib/store/merge/catalogue_int.h"

void mw_catalogue_describe(const mw_segment *merged, mw_catalogue_segment *out)
{
    const mw_footer *footer = merged->footer;
    *out = (mw_catalogue_segment){.kind = MW_SEGMENT_MERGED,
                                  .id = merged->header.id,
                                  .salt = merged->header.salt,
                                  .bytes = merged->end,
                                  .blocks = merged->block_count,
                                  .first_seq = merged->header.first_seq,
                                  .last_seq = merged->header.first_seq,
                                  .arrival_min_ns = UINT64_MAX,
                                  .arrival_max_ns = merged->header.created_ns,
                                  .event_min_ns = UINT64_MAX};
    if (footer) {
        out->last_seq = footer->last_seq;
        out->arrival_max_ns = footer->arrival_max_ns;
    }
    for (const mw_index_block *block = merged->blocks; block; block = block->next_in_segment) {
        const mw_block_header *header = &block->header;
        out->items[header->signal] += header->item_count;
        if (header->arrival_ns < out->arrival_min_ns)
            out->arrival_min_ns = header->arrival_ns;
        if (header->event_min_ns < out->event_min_ns)
            out->event_min_ns = header->event_min_ns;
        if (header->event_max_ns > out->event_max_ns)
            out->event_max_ns = header->event_max_ns;
    }
}

void mw_catalogue_add_block(mw_catalogue_segment *row, const mw_block_header *header)
{
    bool first = row->blocks++ == 0;
    row->bytes += mw_block_size(header);
    row->items[header->signal] += header->item_count;
    if (first || header->seq < row->first_seq)
        row->first_seq = header->seq;
    if (header->seq > row->last_seq)
        row->last_seq = header->seq;
    if (first || header->arrival_ns < row->arrival_min_ns)
        row->arrival_min_ns = header->arrival_ns;
    if (header->arrival_ns > row->arrival_max_ns)
        row->arrival_max_ns = header->arrival_ns;
    if (first || header->event_min_ns < row->event_min_ns)
        row->event_min_ns = header->event_min_ns;
    if (header->event_max_ns > row->event_max_ns)
        row->event_max_ns = header->event_max_ns;
}

mw_err mw_catalogue_note_loss(mw_catalogue *catalogue, const mw_catalogue_loss *loss)
{
    if (!mw_have_room(MW_MEM_STORE, &catalogue->pending, &catalogue->pending_capacity,
                      catalogue->pending_count + 1, sizeof *catalogue->pending))
        return MW_E_NOMEM;
    catalogue->pending[catalogue->pending_count++] = *loss;
    return MW_OK;
}

void mw_catalogue_lost_text(const mw_catalogue_segment *row, char out[MW_CATALOGUE_LOST_SIZE])
{
    char from[MW_TIME_TEXT_SIZE], to[MW_TIME_TEXT_SIZE];
    int len = snprintf(out, MW_CATALOGUE_LOST_SIZE,
                       "commits %llu to %llu%s, %llu spans, %llu logs and %llu points are lost, in "
                       "%llu blocks",
                       (unsigned long long)row->first_seq, (unsigned long long)row->last_seq,
                       row->kind == MW_SEGMENT_LOG ? " at least" : "",
                       (unsigned long long)row->items[MW_SIGNAL_TRACES],
                       (unsigned long long)row->items[MW_SIGNAL_LOGS],
                       (unsigned long long)row->items[MW_SIGNAL_METRICS],
                       (unsigned long long)row->blocks);
    MW_ASSERT(len > 0 && len < MW_CATALOGUE_LOST_SIZE);
    if (row->event_min_ns > INT64_MAX || row->event_max_ns > INT64_MAX)
        return; /* no clock's */
    mw_time_format(row->event_min_ns, from);
    mw_time_format(row->event_max_ns, to);
    snprintf(out + len, MW_CATALOGUE_LOST_SIZE - (size_t)len, ", from %s to %s", from, to);
}
