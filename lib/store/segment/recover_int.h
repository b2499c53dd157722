/* Between the files of recovery: what keeps names and numbers from being given twice, and the pass
 * over names that comes before anything is read. One thread, before the writer's. */
#ifndef MW_STORE_SEGMENT_RECOVER_INT_H
#define MW_STORE_SEGMENT_RECOVER_INT_H

#include "lib/store/segment/segment_walk.h"
#include "lib/store/segment/writer.h"

/* No segment to come has an id up to this one; no commit that sequence, or one of the walk's. */
void mw_recover_note_id(mw_writer *writer, uint64_t id);
void mw_recover_note_sequence(mw_writer *writer, uint64_t seq);
void mw_recover_note_walked(mw_writer *writer, const mw_segment_file *file, const mw_walk *walk);

/* Loads the directory (mw_segment_files_load) and puts its names right: a segment that somebody
 * renamed gets its own name again if nobody has that and the catalogue remembers it; what is a
 * second copy, of another store, or no segment at all is set aside under a name that no reader
 * looks at, so that it is in nobody's way and nothing is deleted. An empty newest file that nobody
 * remembers goes. On return those with a whole header are what there is to read. MW_E_UNSUPPORTED
 * (a segment of another version: nothing was changed), MW_E_IO, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_recover_names(mw_writer *writer, const mw_known_segments *known,
                                    uint64_t key_seed, mw_segment_files *files, mw_detail *detail);

#endif
