/* What a disk may show after the power failed at some point of a power_log (power_loss.h).
 *
 * A power_disk is led through the log with power_disk_step. It keeps, for every file and for the
 * names, what is certain, and the changes since whose fate is open. power_disk_image lets a variant
 * and a seed decide about those and writes the directory; one that was written before with the same
 * acknowledgements is left out, so that asking for all variants at every event costs little.
 */
#ifndef MW_TEST_POWER_DISK_H
#define MW_TEST_POWER_DISK_H

#include "tests/unit/power_loss.h"
#include "tests/unit/trees.h"

typedef enum power_data {
    POWER_DROP,
    POWER_KEEP,
    POWER_TORN,
    POWER_PAGES,
    POWER_LENGTH
} power_data;
typedef enum power_names { POWER_NAMES_DROP, POWER_NAMES_KEEP, POWER_NAMES_SOME } power_names;

typedef struct power_variant {
    power_data data;
    power_names names;
} power_variant;

/* The last two differ with the seed. */
static const power_variant power_variants[] = {
    {POWER_KEEP, POWER_NAMES_KEEP}, /* as after kill -9 */
    {POWER_DROP, POWER_NAMES_DROP}, {POWER_DROP, POWER_NAMES_KEEP},
    {POWER_KEEP, POWER_NAMES_DROP}, {POWER_LENGTH, POWER_NAMES_KEEP},
    {POWER_TORN, POWER_NAMES_SOME}, {POWER_PAGES, POWER_NAMES_SOME},
};
#define POWER_VARIANTS (sizeof power_variants / sizeof power_variants[0])

typedef struct power_pending {
    size_t event;
    bool durable; /* covered by a sync, but not yet folded: an uncertain one lies before it */
    bool lost;    /* a sync that should have covered it failed: no later one will */
} power_pending;

typedef struct power_list {
    power_pending *items;
    size_t count, capacity;
} power_list;

typedef struct power_content {
    char *data;
    size_t len, capacity;
} power_content;

typedef struct power_entry {
    char name[POWER_NAME_SIZE];
    size_t file;
} power_entry;

typedef struct power_directory {
    power_entry *items;
    size_t count, capacity;
} power_directory;

typedef struct power_disk {
    const power_log *log;
    size_t at;    /* events that happened */
    size_t marks; /* of them, acknowledgements */
    power_content *certain;
    power_list *open;
    power_directory names;
    power_list open_names;
    uint64_t *seen; /* hashes of images */
    size_t seen_count, seen_capacity;
} power_disk;

/* ---- contents -------------------------------------------------------------------------------- */

static inline void power_resize(power_content *content, size_t len)
{
    if (len > content->capacity) {
        content->capacity = len * 2;
        content->data = realloc(content->data, content->capacity);
        assert_non_null(content->data);
    }
    if (len > content->len)
        memset(content->data + content->len, 0, len - content->len);
    content->len = len;
}

static inline void power_put(power_content *content, size_t at, const char *data, size_t len)
{
    if (at + len > content->len)
        power_resize(content, at + len);
    if (len)
        memcpy(content->data + at, data, len);
}

/* The first `len` bytes of what an event did; a truncation has none. */
static inline void power_apply(power_content *content, const power_event *event, size_t len)
{
    if (event->kind == POWER_TRUNCATE)
        power_resize(content, (size_t)event->offset);
    else
        power_put(content, (size_t)event->offset, event->data, len);
}

/* Some of the pages that an event wrote. */
static inline void power_apply_pages(power_content *content, const power_event *event,
                                     uint64_t *random)
{
    if (event->kind == POWER_TRUNCATE) {
        if (power_below(random, 2))
            power_apply(content, event, 0);
        return;
    }
    if (power_below(random, 2) && content->len < (size_t)event->offset + event->len)
        power_resize(content, (size_t)event->offset + event->len);
    for (size_t done = 0; done < event->len;) {
        size_t at = (size_t)event->offset + done;
        size_t now = POWER_PAGE - at % POWER_PAGE;
        if (now > event->len - done)
            now = event->len - done;
        if (power_below(random, 2))
            power_put(content, at, event->data + done, now);
        done += now;
    }
}

static inline void power_apply_open(const power_disk *disk, const power_list *open,
                                    power_content *content, power_data mode, uint64_t *random)
{
    /* TORN: how many events are whole. */
    size_t whole = mode == POWER_TORN ? power_below(random, open->count + 1) : 0;
    for (size_t i = 0; i < open->count; i++) {
        const power_event *event = &disk->log->events[open->items[i].event];
        bool writes = event->kind == POWER_WRITE;
        size_t end = (size_t)event->offset + event->len;
        if (open->items[i].durable || mode == POWER_KEEP || (mode == POWER_TORN && i < whole)) {
            power_apply(content, event, event->len);
        } else if (mode == POWER_PAGES) {
            power_apply_pages(content, event, random);
        } else if (mode == POWER_LENGTH && writes && content->len < end) {
            power_resize(content, end);
        } else if (mode == POWER_TORN && i == whole && writes) {
            size_t keep = power_below(random, event->len + 1);
            size_t over = ((size_t)event->offset + keep) % POWER_SECTOR;
            power_apply(content, event, keep > over ? keep - over : 0);
        }
    }
}

/* ---- names ----------------------------------------------------------------------------------- */

static inline void power_forget_name(power_directory *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i].name, name) == 0)
            names->items[i--] = names->items[--names->count];
}

static inline void power_set_name(power_directory *names, const char *name, size_t file)
{
    power_forget_name(names, name);
    names->items = power_grow(names->items, names->count, &names->capacity, sizeof *names->items);
    power_entry *entry = &names->items[names->count++];
    snprintf(entry->name, sizeof entry->name, "%s", name);
    entry->file = file;
}

static inline void power_apply_name(power_directory *names, const power_event *event)
{
    if (event->kind == POWER_RENAME || event->kind == POWER_UNLINK)
        power_forget_name(names, event->name);
    if (event->kind == POWER_RENAME || event->kind == POWER_CREATE)
        power_set_name(names, event->to, event->file);
}

/* Does the event change names in this directory? */
static inline bool power_lies_in(const power_event *event, const char *folder)
{
    const char *name = event->to[0] ? event->to : event->name;
    const char *slash = strrchr(name, '/');
    size_t len = slash ? (size_t)(slash - name) : 0;
    return strlen(folder) == len && strncmp(name, folder, len) == 0;
}

/* ---- from event to event --------------------------------------------------------------------- */

static inline void power_pend(power_list *list, size_t event)
{
    list->items = power_grow(list->items, list->count, &list->capacity, sizeof *list->items);
    list->items[list->count++] = (power_pending){.event = event};
}

static inline void power_drop_first(power_list *list, size_t count)
{
    if (count == 0)
        return;
    memmove(list->items, list->items + count, (list->count - count) * sizeof *list->items);
    list->count -= count;
}

static inline void power_settle(power_pending *pending, bool failed)
{
    if (failed)
        pending->lost = true;
    else if (!pending->lost)
        pending->durable = true;
}

static inline void power_sync_content(power_disk *disk, const power_event *event)
{
    power_list *open = &disk->open[event->file];
    size_t folded = 0;
    for (size_t i = 0; i < open->count; i++)
        power_settle(&open->items[i], event->failed);
    while (folded < open->count && open->items[folded].durable) {
        const power_event *change = &disk->log->events[open->items[folded++].event];
        power_apply(&disk->certain[event->file], change, change->len);
    }
    power_drop_first(open, folded);
}

static inline void power_sync_names(power_disk *disk, const power_event *event)
{
    power_list *open = &disk->open_names;
    size_t folded = 0;
    if (event->failed)
        return;
    for (size_t i = 0; i < open->count; i++)
        if (power_lies_in(&disk->log->events[open->items[i].event], event->name))
            open->items[i].durable = true;
    while (folded < open->count && open->items[folded].durable)
        power_apply_name(&disk->names, &disk->log->events[open->items[folded++].event]);
    power_drop_first(open, folded);
}

static inline void power_disk_init(power_disk *disk, const power_log *log)
{
    memset(disk, 0, sizeof *disk);
    disk->log = log;
    disk->certain = calloc(log->file_count + 1, sizeof *disk->certain);
    disk->open = calloc(log->file_count + 1, sizeof *disk->open);
    for (size_t i = 0; i < log->file_count; i++) {
        if (!log->files[i].first[0])
            continue;
        power_put(&disk->certain[i], 0, log->files[i].data, log->files[i].len);
        power_set_name(&disk->names, log->files[i].first, i);
    }
}

static inline void power_disk_fini(power_disk *disk)
{
    for (size_t i = 0; i < disk->log->file_count; i++) {
        free(disk->certain[i].data);
        free(disk->open[i].items);
    }
    free(disk->certain);
    free(disk->open);
    free(disk->names.items);
    free(disk->open_names.items);
    free(disk->seen);
}

/* One event further; false at the end of the log. */
static inline bool power_disk_step(power_disk *disk)
{
    if (disk->at == disk->log->count)
        return false;
    const power_event *event = &disk->log->events[disk->at];
    switch (event->kind) {
    case POWER_WRITE:
    case POWER_TRUNCATE: power_pend(&disk->open[event->file], disk->at); break;
    case POWER_CREATE:
    case POWER_RENAME:
    case POWER_UNLINK: power_pend(&disk->open_names, disk->at); break;
    case POWER_SYNC: power_sync_content(disk, event); break;
    case POWER_SYNC_NAMES: power_sync_names(disk, event); break;
    default: disk->marks += event->kind == POWER_MARK;
    }
    disk->at++;
    return true;
}

/* ---- images ---------------------------------------------------------------------------------- */

static inline uint64_t power_hash(uint64_t hash, const void *bytes, size_t len)
{
    uint64_t word;
    for (; len >= sizeof word; len -= sizeof word, bytes = (const char *)bytes + sizeof word) {
        memcpy(&word, bytes, sizeof word);
        hash = (hash ^ word) * UINT64_C(0x9fb21c651e98df25);
        hash ^= hash >> 29;
    }
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ ((const unsigned char *)bytes)[i]) * UINT64_C(1099511628211);
    return hash;
}

static inline bool power_seen(power_disk *disk, uint64_t hash)
{
    for (size_t i = 0; i < disk->seen_count; i++)
        if (disk->seen[i] == hash)
            return true;
    disk->seen = power_grow(disk->seen, disk->seen_count, &disk->seen_capacity, sizeof hash);
    disk->seen[disk->seen_count++] = hash;
    return false;
}

static inline void power_write_file(const char *to, const char *name, const power_content *content)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", to, name);
    for (char *slash = path + strlen(to) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content->data, content->len), content->len);
    close(fd);
}

static inline int power_compare_entries(const void *a, const void *b)
{
    return strcmp(((const power_entry *)a)->name, ((const power_entry *)b)->name);
}

/* The names of a variant, sorted. */
static inline power_directory power_image_names(const power_disk *disk, power_names mode,
                                                uint64_t *random)
{
    power_directory names = {0};
    for (size_t i = 0; i < disk->names.count; i++)
        power_set_name(&names, disk->names.items[i].name, disk->names.items[i].file);
    for (size_t i = 0; i < disk->open_names.count; i++) {
        const power_pending *pending = &disk->open_names.items[i];
        bool some = mode == POWER_NAMES_SOME && power_below(random, 2);
        if (pending->durable || mode == POWER_NAMES_KEEP || some)
            power_apply_name(&names, &disk->log->events[pending->event]);
    }
    if (names.count > 1)
        qsort(names.items, names.count, sizeof *names.items, power_compare_entries);
    return names;
}

static inline power_content power_image_content(const power_disk *disk, size_t file,
                                                power_data mode, uint64_t *random)
{
    power_content content = {0};
    power_put(&content, 0, disk->certain[file].data ? disk->certain[file].data : "",
              disk->certain[file].len);
    power_apply_open(disk, &disk->open[file], &content, mode, random);
    return content;
}

/* Writes the directory `to` (removed first). False, and nothing written, when the same image with
 * as many acknowledgements was there before. */
static inline bool power_disk_image(power_disk *disk, size_t variant, uint64_t seed, const char *to)
{
    const power_variant *how = &power_variants[variant % POWER_VARIANTS];
    uint64_t random = seed * 7919 + disk->at * 31 + variant;
    power_directory names = power_image_names(disk, how->names, &random);
    power_content *contents = calloc(names.count + 1, sizeof *contents);
    uint64_t hash = power_hash(0x8422, &disk->marks, sizeof disk->marks);
    for (size_t i = 0; i < names.count; i++) {
        contents[i] = power_image_content(disk, names.items[i].file, how->data, &random);
        hash = power_hash(hash, names.items[i].name, strlen(names.items[i].name));
        hash = power_hash(hash, contents[i].data ? contents[i].data : "", contents[i].len);
    }
    bool fresh = !power_seen(disk, hash);
    if (fresh) {
        remove_tree(to);
        assert_int_equal(mkdir(to, 0700), 0);
        for (size_t i = 0; i < names.count; i++)
            power_write_file(to, names.items[i].name, &contents[i]);
    }
    for (size_t i = 0; i < names.count; i++)
        free(contents[i].data);
    free(contents);
    free(names.items);
    return fresh;
}

#endif
