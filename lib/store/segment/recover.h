/* Recovery: from the files of a directory to the index and a writer that continues them.
 *
 * What lies behind the last offset known to be synced may have been written and never synced, by a
 * process that is gone and whose kernel may have dropped the pages after a failed sync. Nobody can
 * tell. So those blocks (at most one group) are checked, copied into a new segment, synced there,
 * and the old file's end is recorded in front of them: no old file is written or synced again, and
 * nothing is shown that is not durable.
 */
#ifndef MW_STORE_RECOVER_H
#define MW_STORE_RECOVER_H

#include "lib/store/segment/damage.h"
#include "lib/store/segment/known.h"
#include "lib/store/segment/writer.h"

/* Before the writer's thread starts; fills its index and predecessor, and raises its sequence and
 * next id, at least 1, beyond what it finds. First it puts names right (recover_int.h), by what the
 * catalogue remembers (`known`). What is
 * damaged is left out and noted; a segment of the log with damage is not merged. The end of each
 * segment of the log is that of what is whole in it, also where the rest is carried on.
 * MW_E_IO, MW_E_NO_SPACE, MW_E_UNSUPPORTED (a segment of another version), MW_E_NOMEM. */
MW_MUST_USE mw_err mw_recover(mw_writer *writer, mw_damage *damage, uint64_t key_seed,
                              const mw_known_segments *known, mw_detail *detail);

/* Removes files under temporary names, in which nothing was ever acknowledged, and a spare one.
 * Under the directory's lock alone. */
void mw_remove_unfinished(const char *directory);

#endif
