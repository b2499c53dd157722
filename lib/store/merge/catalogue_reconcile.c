/* The catalogue against the segments that there are. See catalogue.h. MW_MEM_STORE.
 *
 * At a start each row without its segment, and each segment of the log that is shorter than its row
 * says, becomes a loss in the same transaction that brings the row in step: there is no moment at
 * which neither of them tells.
 */
#include "lib/store/merge/catalogue_int.h"

typedef struct reconciliation {
    const mw_segment **segments; /* ascending by id; of the set's memory */
    bool *known;                 /* by segment: its row is as it should be */
    size_t count;
    uint64_t *stale; /* rows to remove */
    size_t stale_count, stale_capacity;
    mw_catalogue_segment *shorter; /* rows of the log as they are now: shorter, or mended */
    size_t shorter_count, shorter_capacity;
    mw_catalogue_loss *back; /* what had been lost whole and is there again, as far as it is not */
    size_t back_count, back_capacity;
    mw_catalogue *catalogue;
    uint64_t (*missing)(void *ctx, const mw_catalogue_loss *loss);
    void *ctx;
    mw_catalogue_changes changes;
} reconciliation;

static int segment_compare(const void *left, const void *right)
{
    const mw_segment *const *a = left, *const *b = right;
    uint64_t x = (*a)->header.id, y = (*b)->header.id;
    return x < y ? -1 : x > y;
}

static size_t segment_find(const reconciliation *both, uint64_t id)
{
    size_t low = 0, high = both->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (both->segments[middle]->header.id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < both->count && both->segments[low]->header.id == id ? low : both->count;
}

static bool was_replaced(const reconciliation *both, uint64_t id)
{
    for (size_t i = 0; i < both->count; i++) {
        const mw_footer *footer = both->segments[i]->footer;
        for (size_t k = 0; footer && k < footer->replaced.count; k++)
            if (footer->replaced.ids[k] == id)
                return true;
    }
    return false;
}

static mw_err add_stale(reconciliation *both, uint64_t id)
{
    if (!mw_have_room(MW_MEM_STORE, &both->stale, &both->stale_capacity, both->stale_count + 1,
                      sizeof *both->stale))
        return MW_E_NOMEM;
    both->stale[both->stale_count++] = id;
    return MW_OK;
}

/* ---- what is lost ---------------------------------------------------------------------------- */

static mw_err tell_loss(reconciliation *both, mw_catalogue_loss *loss)
{
    both->changes.missing++;
    if (!both->missing)
        return MW_OK;
    loss->noticed_ns = both->missing(both->ctx, loss);
    return loss->noticed_ns ? mw_catalogue_note_loss(both->catalogue, loss) : MW_OK;
}

static uint64_t less(uint64_t from, uint64_t what)
{
    return from > what ? from - what : 0;
}

/* What of it is there: its own blocks, and those that a start has carried into another one. */
static void count_there(const reconciliation *both, const mw_catalogue_segment *row,
                        mw_catalogue_segment *own, mw_catalogue_segment *all)
{
    for (size_t i = 0; i < both->count; i++) {
        const mw_segment *segment = both->segments[i];
        if (segment->header.kind != MW_SEGMENT_LOG)
            continue;
        for (const mw_index_block *block = segment->blocks; block; block = block->next_in_segment) {
            if (block->header.seq < row->first_seq || block->header.seq > row->last_seq)
                continue;
            mw_catalogue_add_block(all, &block->header);
            if (segment->header.id == row->id)
                mw_catalogue_add_block(own, &block->header);
        }
    }
}

static void take_away(mw_catalogue_segment *from, const mw_catalogue_segment *there)
{
    from->bytes = less(from->bytes, there->bytes);
    from->blocks = less(from->blocks, there->blocks);
    for (unsigned i = 0; i < MW_SIGNAL_END; i++)
        from->items[i] = less(from->items[i], there->items[i]);
    if (there->blocks > 0 && there->last_seq < from->last_seq)
        from->first_seq = there->last_seq + 1;
}

static mw_err add_row(reconciliation *both, const mw_catalogue_segment *row)
{
    if (!mw_have_room(MW_MEM_STORE, &both->shorter, &both->shorter_capacity,
                      both->shorter_count + 1, sizeof *both->shorter))
        return MW_E_NOMEM;
    both->shorter[both->shorter_count++] = *row;
    return MW_OK;
}

/* A segment of the log ends before what its row remembers. What is not in another one either was
 * acknowledged and is gone; the row becomes what is left. */
static mw_err find_lost_end(reconciliation *both, const mw_catalogue_segment *row)
{
    const mw_catalogue_segment nothing = {
        .kind = MW_SEGMENT_LOG, .id = row->id, .salt = row->salt, .bytes = MW_SEGMENT_HEADER_SIZE};
    mw_catalogue_segment own = nothing, all = nothing;
    mw_catalogue_loss loss = {.part = MW_LOSS_END, .of = *row};
    count_there(both, row, &own, &all);
    mw_err err = MW_OK;
    take_away(&loss.of, &all);
    if (loss.of.blocks > 0)
        err = tell_loss(both, &loss);
    if (err != MW_OK || own.blocks == 0)
        return err != MW_OK ? err : add_stale(both, row->id);
    return add_row(both, &own);
}

/* What was read was remembered by more than its salt: segment_walk.h. */
static bool is_of_loss(const reconciliation *both, const mw_segment *segment,
                       const mw_catalogue_segment *lost)
{
    mw_catalogue_segment own = {.id = lost->id}, all = own;
    if (!lost->salt || segment->header.salt == lost->salt)
        return true;
    if (segment->header.kind == MW_SEGMENT_LOG)
        count_there(both, lost, &own, &all);
    else
        mw_catalogue_describe(segment, &own);
    return own.blocks == lost->blocks && own.first_seq == lost->first_seq &&
           own.last_seq == lost->last_seq && own.arrival_min_ns == lost->arrival_min_ns &&
           own.arrival_max_ns == lost->arrival_max_ns;
}

/* Somebody brought a segment back that had been missing. */
static mw_err compare_loss(void *ctx, const mw_catalogue_loss *loss)
{
    reconciliation *both = ctx;
    size_t at = segment_find(both, loss->of.id);
    if (!both->missing || loss->part != MW_LOSS_WHOLE || at == both->count ||
        !is_of_loss(both, both->segments[at], &loss->of))
        return MW_OK;
    if (!mw_have_room(MW_MEM_STORE, &both->back, &both->back_capacity, both->back_count + 1,
                      sizeof *both->back))
        return MW_E_NOMEM;
    mw_catalogue_loss *rest = &both->back[both->back_count++];
    *rest = *loss;
    rest->part = MW_LOSS_END;
    mw_catalogue_segment own = {.id = loss->of.id}, all = own;
    const mw_segment *segment = both->segments[at];
    if (segment->header.kind == MW_SEGMENT_LOG)
        count_there(both, &loss->of, &own, &all);
    else
        for (const mw_index_block *block = segment->blocks; block; block = block->next_in_segment)
            mw_catalogue_add_block(&all, &block->header);
    take_away(&rest->of, &all);
    return MW_OK;
}

/* ---- both together --------------------------------------------------------------------------- */

static mw_err compare_log(reconciliation *both, const mw_segment *segment,
                          const mw_catalogue_segment *row)
{
    mw_catalogue_segment mended = *row;
    if (both->missing && segment->end < row->bytes)
        return find_lost_end(both, row);
    mended.salt = segment->header.salt;
    return row->salt && row->salt != mended.salt ? add_row(both, &mended) : MW_OK;
}

static mw_err compare_row(void *ctx, const mw_catalogue_segment *row)
{
    reconciliation *both = ctx;
    size_t at = segment_find(both, row->id);
    if (at < both->count) {
        const mw_segment *segment = both->segments[at];
        if (segment->header.kind == MW_SEGMENT_LOG)
            return compare_log(both, segment, row);
        both->known[at] = segment->end == row->bytes && segment->block_count == row->blocks &&
                          segment->header.salt == row->salt;
        both->changes.kept += both->known[at];
        return MW_OK; /* one that differs is put again, over this one */
    }
    mw_catalogue_loss loss = {.part = MW_LOSS_WHOLE, .of = *row};
    mw_err err = was_replaced(both, row->id) ? MW_OK : tell_loss(both, &loss);
    return err == MW_OK ? add_stale(both, row->id) : err;
}

/* Within a transaction: the losses that wait, and those that are none any more. */
static mw_err put_losses(mw_catalogue *catalogue, const reconciliation *both)
{
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < catalogue->pending_count; i++)
        err = mw_catalogue_put_loss(catalogue, &catalogue->pending[i]);
    for (size_t i = 0; err == MW_OK && i < both->back_count; i++) {
        const mw_catalogue_loss *rest = &both->back[i];
        err = mw_catalogue_remove_loss(catalogue, rest->of.id, MW_LOSS_WHOLE);
        if (err == MW_OK && rest->of.blocks > 0)
            err = mw_catalogue_put_loss(catalogue, rest);
    }
    return err;
}

static mw_err put_rows(mw_catalogue *catalogue, reconciliation *both)
{
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < both->stale_count; i++, both->changes.removed++)
        err = mw_catalogue_remove_rows(catalogue, both->stale[i]);
    for (size_t i = 0; err == MW_OK && i < both->shorter_count; i++)
        err = mw_catalogue_put_row(catalogue, &both->shorter[i]);
    for (size_t i = 0; err == MW_OK && i < both->count; i++) {
        if (both->known[i])
            continue;
        err = mw_catalogue_put_described(catalogue, both->segments[i]);
        both->changes.added++;
    }
    return err;
}

static mw_err reconcile_once(mw_catalogue *catalogue, reconciliation *both)
{
    both->changes = (mw_catalogue_changes){.kept = 0};
    both->stale_count = both->shorter_count = both->back_count = 0;
    for (size_t i = 0; i < both->count; i++) {
        both->known[i] = both->segments[i]->header.kind == MW_SEGMENT_LOG;
        both->changes.kept += both->known[i];
    }
    mw_err err = mw_catalogue_each(catalogue, compare_row, both);
    if (err == MW_OK)
        err = mw_catalogue_read_losses(catalogue, compare_loss, both);
    if (err == MW_OK && both->changes.kept == both->count && both->stale_count == 0 &&
        both->shorter_count == 0 && both->back_count == 0 && catalogue->pending_count == 0)
        return MW_OK;
    if (err == MW_OK)
        err = mw_catalogue_begin(catalogue);
    if (err == MW_OK)
        err = put_rows(catalogue, both);
    if (err == MW_OK)
        err = put_losses(catalogue, both);
    err = mw_catalogue_settle(catalogue, err);
    if (err == MW_OK)
        catalogue->pending_count = 0;
    return err;
}

mw_err mw_catalogue_reconcile(mw_catalogue *catalogue, const mw_segment *const *segments,
                              size_t count,
                              uint64_t (*missing)(void *ctx, const mw_catalogue_loss *loss),
                              void *ctx, mw_catalogue_changes *changes)
{
    reconciliation both = {.catalogue = catalogue, .count = count, .missing = missing, .ctx = ctx};
    if (changes)
        *changes = both.changes;
    if (!catalogue)
        return MW_OK;
    both.segments = mw_alloc(MW_MEM_STORE, (count + 1) * sizeof *both.segments);
    both.known = mw_alloc(MW_MEM_STORE, count + 1);
    mw_err err = both.segments && both.known ? MW_OK : MW_E_NOMEM;
    if (err == MW_OK) {
        if (count > 0)
            memcpy(both.segments, segments, count * sizeof *both.segments);
        if (count > 1)
            qsort(both.segments, count, sizeof *both.segments, segment_compare);
        err = reconcile_once(catalogue, &both);
    }
    if (err == MW_E_CORRUPT && (err = mw_catalogue_begin_anew(catalogue)) == MW_OK)
        err = reconcile_once(catalogue, &both);
    if (err == MW_OK)
        catalogue->behind = false;
    if (changes)
        *changes = both.changes;
    mw_free(MW_MEM_STORE, both.segments);
    mw_free(MW_MEM_STORE, both.known);
    mw_free(MW_MEM_STORE, both.stale);
    mw_free(MW_MEM_STORE, both.shorter);
    mw_free(MW_MEM_STORE, both.back);
    return err;
}
