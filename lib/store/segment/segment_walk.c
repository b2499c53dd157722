/* Directory and block headers of a store. See segment_walk.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/store/format/digest_key.h"
#include "lib/store/segment/pread_all.h"
#include "lib/store/segment/segment_walk.h"

/* A daemon beside us merges for as long as we look: so often a file may go between its name and its
 * opening. */
#define LOAD_TRIES 100u

/* ---- the directory --------------------------------------------------------------------------- */

/* "0123456789abcdef.seg", lower case and nothing else. */
static bool segment_name(const char *name, uint64_t *id)
{
    uint64_t value = 0;
    if (strlen(name) != 20 || strcmp(name + 16, ".seg") != 0)
        return false;
    for (int i = 0; i < 16; i++) {
        char c = name[i];
        if (c >= '0' && c <= '9')
            value = value << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    *id = value;
    return true;
}

static mw_err list_names(const char *directory, mw_segment_files *out)
{
    DIR *dir = opendir(directory);
    if (!dir)
        return errno == ENOENT || errno == ENOTDIR ? MW_E_NOT_FOUND : MW_E_IO;
    size_t capacity = 0;
    mw_err err = MW_OK;
    for (;;) {
        uint64_t id;
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (!entry) {
            err = errno ? MW_E_IO : MW_OK;
            break;
        }
        if (!segment_name(entry->d_name, &id))
            continue;
        if (!mw_have_room(MW_MEM_STORE, &out->items, &capacity, out->count + 1,
                          sizeof *out->items)) {
            err = MW_E_NOMEM;
            break;
        }
        out->items[out->count++] = (mw_segment_file){.id = id, .fd = -1};
    }
    closedir(dir);
    return err;
}

static int file_compare(const void *left, const void *right)
{
    const mw_segment_file *a = left, *b = right;
    return a->id < b->id ? -1 : a->id > b->id;
}

static bool is_merged(const mw_segment_file *file)
{
    return file->header_err == MW_OK && file->header.kind == MW_SEGMENT_MERGED;
}

/* A header's checksum has 64 bits: of the 20,400 headers that differ in one byte, the one that fits
 * it is the one that was written. */
static bool find_damaged_byte(unsigned char bytes[MW_SEGMENT_HEADER_SIZE], uint64_t id,
                              mw_segment_header *header)
{
    for (size_t at = 0; at < MW_SEGMENT_HEADER_SIZE; at++) {
        const unsigned char found = bytes[at];
        for (unsigned other = 1; other < 256; other++) {
            bytes[at] = (unsigned char)(found ^ other);
            if (mw_segment_header_read(bytes, header) == MW_OK && header->id == id)
                return true;
        }
        bytes[at] = found;
    }
    return false;
}

static void read_header(mw_segment_file *file, unsigned char bytes[MW_SEGMENT_HEADER_SIZE])
{
    file->header_err = mw_segment_header_read(bytes, &file->header);
    if (file->header_err == MW_OK && file->header.id != file->id)
        file->header_err = MW_E_CONFLICT;
    if (file->header_err == MW_E_CORRUPT && find_damaged_byte(bytes, file->id, &file->header)) {
        file->header_err = MW_OK;
        file->header_mended = true;
        memcpy(file->mended, bytes, sizeof file->mended);
    }
}

static mw_err open_file(const char *directory, mw_segment_file *file)
{
    unsigned char bytes[MW_SEGMENT_HEADER_SIZE];
    struct stat status;

    file->path = mw_segment_path(directory, file->id);
    if (!file->path)
        return MW_E_NOMEM;
    file->fd = open(file->path, O_RDONLY | O_CLOEXEC);
    if (file->fd < 0)
        return errno == ENOENT ? MW_E_AGAIN : MW_E_IO;
    if (fstat(file->fd, &status) != 0)
        return MW_E_IO;
    file->inode = (uint64_t)status.st_ino;
    file->size = (uint64_t)status.st_size;
    file->header_err = MW_E_CORRUPT;
    if (!S_ISREG(status.st_mode) || file->size < sizeof bytes)
        return MW_OK;
    mw_err err = mw_pread_all(file->fd, bytes, sizeof bytes, 0);
    if (err != MW_OK)
        return err;
    read_header(file, bytes);
    if (!is_merged(file))
        return MW_OK;
    file->replaced_err =
        mw_footer_read_replaced(file->fd, file->size, &file->header, &file->replaced);
    return file->replaced_err == MW_E_CORRUPT ? MW_OK : file->replaced_err;
}

static mw_segment_file *file_of(const mw_segment_files *files, uint64_t id)
{
    mw_segment_file key = {.id = id};
    return files->count ? bsearch(&key, files->items, files->count, sizeof key, file_compare)
                        : NULL;
}

/* What another took the place of. A segment never names itself, or one that came later. */
static void find_superseded(mw_segment_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        files->items[i].superseded = false;
    for (size_t i = 0; i < files->count; i++) {
        const mw_segment_file *file = &files->items[i];
        for (size_t k = 0; file->header_err == MW_OK && k < file->replaced.count; k++) {
            mw_segment_file *old = file_of(files, file->replaced.ids[k]);
            if (old && old->id < file->id && old->header_err == MW_OK)
                old->superseded = true;
        }
    }
}

/* Somebody recorded where a segment of the log ends. */
static void record_end(const mw_segment_files *files, uint64_t id, uint64_t end)
{
    mw_segment_file *file = file_of(files, id);
    if (!file || file->header_err != MW_OK || is_merged(file))
        return;
    file->newest = file->found = false;
    file->recorded = true;
    file->limit = end;
}

/* A segment of the log that names as its predecessor one behind `file`, which is not there: so it
 * is the header of that one that knew where `file` ends. */
static bool lost_its_successor(const mw_segment_files *files, const mw_segment_file *file)
{
    for (const mw_segment_file *next = file + 1; next < files->items + files->count; next++)
        if (next->header_err == MW_OK && next->header.kind == MW_SEGMENT_LOG)
            return next->header.predecessor_id > file->id;
    return false;
}

/* Where each file ends: segment_format.h, "Which blocks count". */
static void find_limits(mw_segment_files *files)
{
    mw_segment_file *newest = NULL;
    for (size_t i = 0; i < files->count; i++) {
        mw_segment_file *file = &files->items[i];
        file->limit = file->header.durable_end;
        file->newest = file->found = file->recorded = false;
        if (file->header_err == MW_OK && !is_merged(file) && !file->superseded)
            newest = file;
    }
    if (newest) {
        newest->newest = newest->found = true;
        newest->limit = newest->size;
    }
    for (size_t i = 0; i < files->count; i++) {
        const mw_segment_file *file = &files->items[i];
        if (file->header_err == MW_OK && file->header.predecessor_id)
            record_end(files, file->header.predecessor_id, file->header.predecessor_end);
        for (size_t k = 0; file->header_err == MW_OK && k < file->replaced.end_count; k++)
            record_end(files, file->replaced.ends[k].segment_id, file->replaced.ends[k].end);
    }
    for (size_t i = 0; i < files->count; i++) {
        mw_segment_file *file = &files->items[i];
        if (file->header_err != MW_OK || is_merged(file) || file->superseded || file->recorded ||
            file->newest || !lost_its_successor(files, file))
            continue;
        file->found = true;
        file->limit = file->size;
    }
}

void mw_segment_files_settle(mw_segment_files *files)
{
    find_superseded(files);
    find_limits(files);
}

/* MW_E_AGAIN: a file went meanwhile, and with it something else came. */
static mw_err load_once(const char *directory, mw_segment_files *out)
{
    memset(out, 0, sizeof *out);
    mw_err err = list_names(directory, out);
    if (err == MW_OK && out->count > 1)
        qsort(out->items, out->count, sizeof *out->items, file_compare);
    for (size_t i = 0; err == MW_OK && i < out->count; i++)
        err = open_file(directory, &out->items[i]);
    if (err != MW_OK)
        mw_segment_files_fini(out);
    return err;
}

mw_err mw_segment_files_load(const char *directory, mw_segment_files *out)
{
    mw_err err = MW_E_AGAIN;
    for (unsigned tries = 0; err == MW_E_AGAIN && tries < LOAD_TRIES; tries++)
        err = load_once(directory, out);
    if (err != MW_OK)
        return err == MW_E_AGAIN ? MW_E_IO : err;
    mw_segment_files_settle(out);
    return MW_OK;
}

/* By which digest.key its footer was made; false when that cannot be told. */
static bool read_key_check(const mw_segment_file *file, uint64_t *check)
{
    mw_footer *footer = NULL;
    mw_index_block **blocks = NULL;
    size_t count = 0;
    if (mw_footer_load(file->fd, file->size, &file->header, &footer, &blocks, &count) != MW_OK)
        return false;
    *check = footer->key_check;
    for (size_t i = 0; i < count; i++)
        mw_free(MW_MEM_STORE, blocks[i]);
    mw_free(MW_MEM_STORE, blocks);
    mw_footer_free(footer);
    return true;
}

static bool has_key(const mw_segment_file *file, uint64_t key_seed)
{
    uint64_t check;
    return read_key_check(file, &check) && check == mw_key_check(key_seed);
}

static bool has_other_key(const mw_segment_file *file, uint64_t key_seed)
{
    uint64_t check;
    return read_key_check(file, &check) && check != mw_key_check(key_seed);
}

/* What there is to remember of the blocks that begin below `bytes`. */
static mw_known_segment describe(const mw_walk *walk, uint64_t bytes)
{
    mw_known_segment out = {.first_seq = UINT64_MAX,
                            .arrival_min_ns = UINT64_MAX,
                            .event_min_ns = UINT64_MAX,
                            .bytes = MW_SEGMENT_HEADER_SIZE};
    for (size_t i = 0; i < walk->block_count && walk->blocks[i].offset < bytes; i++) {
        const mw_block_header *header = &walk->blocks[i].header;
        out.blocks++;
        out.bytes = walk->blocks[i].offset + mw_block_size(header);
        out.first_seq = header->seq < out.first_seq ? header->seq : out.first_seq;
        out.last_seq = header->seq > out.last_seq ? header->seq : out.last_seq;
        if (header->arrival_ns < out.arrival_min_ns)
            out.arrival_min_ns = header->arrival_ns;
        if (header->arrival_ns > out.arrival_max_ns)
            out.arrival_max_ns = header->arrival_ns;
        if (header->event_min_ns < out.event_min_ns)
            out.event_min_ns = header->event_min_ns;
        if (header->event_max_ns > out.event_max_ns)
            out.event_max_ns = header->event_max_ns;
    }
    return out;
}

/* Of another salt than is remembered: is everything else as remembered? Two stores may have stored
 * the same, but not in the same nanosecond. Of a merged one the last commit and the last arrival
 * are in no block's header. */
static bool fits_but_for_salt(const mw_known_segment *ours, const mw_segment_file *file)
{
    mw_walk walk;
    if (ours->id != file->header.id || ours->kind != (uint64_t)file->header.kind)
        return false;
    if (mw_segment_walk(file, &walk) != MW_OK)
        return true; /* nor can who reads it next: nothing is set aside for that */
    const mw_known_segment found = describe(&walk, ours->bytes);
    mw_walk_fini(&walk);
    if (found.blocks == 0 || found.blocks != ours->blocks ||
        found.arrival_min_ns != ours->arrival_min_ns || found.event_min_ns != ours->event_min_ns ||
        found.event_max_ns != ours->event_max_ns)
        return false;
    if (is_merged(file))
        return file->size == ours->bytes && file->header.first_seq == ours->first_seq;
    return found.bytes == ours->bytes && found.first_seq == ours->first_seq &&
           found.last_seq == ours->last_seq && found.arrival_max_ns == ours->arrival_max_ns;
}

static bool is_remembered(const mw_known_segment *ours, mw_segment_file *file)
{
    if (mw_known_fits(ours, &file->header))
        return true;
    file->salt_differs = fits_but_for_salt(ours, file);
    return file->salt_differs;
}

void mw_segment_files_recall(mw_segment_files *files, const mw_known_segments *known,
                             const uint64_t *key_seed)
{
    bool any = false;
    for (size_t i = 0; i < files->count; i++) {
        mw_segment_file *file = &files->items[i];
        const mw_known_segment *ours = mw_known_find(known, file->id);
        if (file->header_err != MW_OK)
            continue;
        bool remembered = ours && is_remembered(ours, file);
        if (remembered && !is_merged(file))
            file->known_end = ours->bytes;
        if (ours ? remembered
                 : !is_merged(file) || !known || !known->count || !key_seed ||
                       !has_other_key(file, *key_seed))
            continue;
        file->header_err = MW_E_DENIED;
        any = true;
    }
    if (any)
        mw_segment_files_settle(files);
}

static bool was_replaced(const mw_segment_files *files, uint64_t id)
{
    for (size_t i = 0; i < files->count; i++)
        for (size_t k = 0; is_merged(&files->items[i]) && k < files->items[i].replaced.count; k++)
            if (files->items[i].replaced.ids[k] == id)
                return true;
    return false;
}

bool mw_segment_file_belongs(const mw_segment_files *files, size_t at,
                             const mw_known_segments *known, const uint64_t *key_seed)
{
    const mw_segment_file *file = &files->items[at];
    if (file->header_err != MW_E_CONFLICT || file_of(files, file->header.id) ||
        was_replaced(files, file->header.id))
        return false;
    const mw_known_segment *ours = mw_known_find(known, file->header.id);
    bool is_log = file->header.kind == MW_SEGMENT_LOG;
    if (ours)
        return mw_known_fits(ours, &file->header) &&
               (is_log ? file->size >= ours->bytes : file->size == ours->bytes);
    return (!known || !known->count) && !is_log && key_seed && has_key(file, *key_seed);
}

mw_err mw_segment_file_look_again(mw_segment_file *file)
{
    struct stat status;
    MW_ASSERT(file->found);
    if (fstat(file->fd, &status) != 0)
        return MW_E_IO;
    file->size = file->limit = (uint64_t)status.st_size;
    return MW_OK;
}

bool mw_segment_file_is_there(const mw_segment_file *file)
{
    struct stat status;
    return stat(file->path, &status) == 0 && (uint64_t)status.st_ino == file->inode;
}

void mw_segment_files_fini(mw_segment_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        if (files->items[i].fd >= 0)
            close(files->items[i].fd);
        mw_free(MW_MEM_STORE, files->items[i].path);
        mw_footer_replaced_fini(&files->items[i].replaced);
    }
    mw_free(MW_MEM_STORE, files->items);
    memset(files, 0, sizeof *files);
}

/* ---- the blocks ------------------------------------------------------------------------------ */

/* MW_OK, MW_E_CORRUPT (no valid block begins here), MW_E_IO. */
static mw_err header_at(const mw_segment_file *file, uint64_t offset, mw_block_header *header)
{
    unsigned char bytes[MW_BLOCK_HEADER_SIZE];
    uint64_t end = file->limit < file->size ? file->limit : file->size;
    mw_block_place place = {file->header.salt, file->header.id, offset};

    if (offset >= end || end - offset < sizeof bytes)
        return MW_E_CORRUPT;
    mw_err err = mw_pread_all(file->fd, bytes, sizeof bytes, offset);
    if (err == MW_OK)
        err = mw_block_header_read(bytes, &place, header);
    if (err == MW_OK && mw_block_size(header) > end - offset)
        err = MW_E_CORRUPT;
    return err;
}

/* The next valid header behind `offset` that was written when at least `synced` bytes were
 * durable; MW_E_NOT_FOUND. Looks at each aligned place for the magic first. */
static mw_err find_next(const mw_segment_file *file, uint64_t offset, uint64_t synced,
                        uint64_t *found)
{
    enum { WINDOW = 64 * 1024 };
    uint64_t end = file->limit < file->size ? file->limit : file->size;
    mw_err result = MW_E_NOT_FOUND;
    char *window = mw_alloc(MW_MEM_STORE, WINDOW);
    if (!window)
        return MW_E_NOMEM;
    while (offset < end && result == MW_E_NOT_FOUND) {
        size_t len = end - offset < WINDOW ? (size_t)(end - offset) : WINDOW;
        mw_err err = mw_pread_all(file->fd, window, len, offset);
        if (err != MW_OK) {
            /* A daemon has cut off what an older segment left behind its end. */
            result = err == MW_E_CORRUPT ? MW_E_NOT_FOUND : err;
            break;
        }
        for (size_t at = 0; at + MW_BLOCK_ALIGN <= len; at += MW_BLOCK_ALIGN) {
            mw_block_header header;
            if (memcmp(window + at, MW_BLOCK_MAGIC, 8) != 0)
                continue;
            if (header_at(file, offset + at, &header) == MW_OK && header.synced >= synced) {
                *found = offset + at;
                result = MW_OK;
                break;
            }
        }
        offset += WINDOW;
    }
    mw_free(MW_MEM_STORE, window);
    return result;
}

static mw_err add_block(mw_walk *walk, uint64_t offset, const mw_block_header *header)
{
    if (!mw_have_room(MW_MEM_STORE, &walk->blocks, &walk->block_capacity, walk->block_count + 1,
                      sizeof *walk->blocks))
        return MW_E_NOMEM;
    walk->blocks[walk->block_count++] = (mw_walked_block){offset, *header};
    if (header->synced > walk->synced)
        walk->synced = header->synced;
    walk->end = offset + mw_block_size(header);
    return MW_OK;
}

static mw_err add_gap(mw_walk *walk, uint64_t from, uint64_t to)
{
    if (!mw_have_room(MW_MEM_STORE, &walk->gaps, &walk->gap_capacity, walk->gap_count + 1,
                      sizeof *walk->gaps))
        return MW_E_NOMEM;
    walk->gaps[walk->gap_count++] = (mw_walk_gap){from, to};
    return MW_OK;
}

/* As far as that much is known without its blocks. */
static uint64_t durable_end(const mw_segment_file *file)
{
    return file->known_end > file->header.durable_end ? file->known_end : file->header.durable_end;
}

/* No block begins at *offset. Moves it to where the next one does, or to the limit. */
static mw_err step_over(const mw_segment_file *file, mw_walk *walk, uint64_t *offset)
{
    uint64_t next = 0;
    bool proven = !file->found || *offset < file->known_end;
    mw_err err = find_next(file, *offset + MW_BLOCK_ALIGN, proven ? 0 : *offset + 1, &next);
    if (err == MW_E_NOT_FOUND) {
        next = file->limit;
        /* Up to the durable end everything was whole once; behind it, a torn tail is no damage. */
        if (file->found && *offset >= durable_end(file)) {
            *offset = next;
            return MW_OK;
        }
    } else if (err != MW_OK) {
        return err;
    }
    err = add_gap(walk, *offset, next);
    *offset = next;
    return err;
}

mw_err mw_segment_walk(const mw_segment_file *file, mw_walk *out)
{
    uint64_t offset = MW_SEGMENT_HEADER_SIZE;
    mw_err err = MW_OK;

    memset(out, 0, sizeof *out);
    out->end = offset;
    out->synced = file->found ? durable_end(file) : file->limit;
    while (err == MW_OK && offset < file->limit) {
        mw_block_header header;
        err = header_at(file, offset, &header);
        if (err == MW_OK) {
            err = add_block(out, offset, &header);
            offset += mw_block_size(&header);
        } else if (err == MW_E_CORRUPT) {
            err = step_over(file, out, &offset);
        }
    }
    if (err != MW_OK)
        mw_walk_fini(out);
    return err;
}

void mw_walk_fini(mw_walk *walk)
{
    mw_free(MW_MEM_STORE, walk->blocks);
    mw_free(MW_MEM_STORE, walk->gaps);
    memset(walk, 0, sizeof *walk);
}

bool mw_segment_ends_at(const mw_segment_file *file, uint64_t offset)
{
    static const char zeros[MW_END_MARK_SIZE];
    char mark[MW_END_MARK_SIZE];
    if (offset >= file->size)
        return true;
    uint64_t rest = file->size - offset;
    size_t len = rest < sizeof mark ? (size_t)rest : sizeof mark;
    return mw_pread_all(file->fd, mark, len, offset) == MW_OK && memcmp(mark, zeros, len) == 0;
}
