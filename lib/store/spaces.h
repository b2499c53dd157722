/* Spaces: stores by name, a directory each. Nothing crosses from one to another.
 *
 * The space "default" is always there; its directory is that of the store before there were spaces
 * (DATA/store), so that nothing is moved. Each other one is DATA/spaces/NAME/store, a store like
 * any other: its own segments, log, keys, catalogue, retry window, writer and keeper. Deleting
 * waits for its users, renames its directory to DATA/spaces/.deleted-NAME-RANDOM, which is the
 * moment it is gone, closes the store and removes that; a start removes what a kill has left of it.
 * None of this needs space on the disk. Creating is done when
 * the directory has its name: a kill before the answer may leave a space that is empty.
 *
 * Users hold a reference while they append or ask; deleting waits for them and lets no new ones in.
 * One lock guards the table and is held for a search of it; creating and deleting wait for each
 * other. Memory is MW_MEM_STORE. Any thread, but for the writers of the stores themselves, which
 * may only give references back.
 */
#ifndef MW_STORE_SPACES_H
#define MW_STORE_SPACES_H

#include "lib/store/store.h"

/* A name is 1 to 63 lower-case letters, digits and '-': a label of a host name, and safe as the
 * name of a directory. */
#define MW_SPACE_NAME_MAX 63
#define MW_SPACE_NAME_SIZE (MW_SPACE_NAME_MAX + 1)
#define MW_SPACE_DEFAULT "default"
/* An empty space costs two threads, 140 KiB of memory and two descriptors (63 of them in a daemon:
 * 8.9 MiB, 126 threads, 0.4 % of a processor when idle); one that is used, its index, its roll-ups
 * and a descriptor a segment. More tenants than this want more than one process. */
#define MW_SPACES_MAX 64
/* How long deleting waits for questions that are under way; they look for its end themselves
 * (mw_space_is_closing). */
#define MW_SPACE_CLOSE_NS (20 * MW_NS_PER_S)

typedef struct mw_spaces mw_spaces;
typedef struct mw_space mw_space;

typedef struct mw_spaces_config {
    const char *default_directory; /* of the space "default"; created when absent */
    const char *directory;         /* holds the others; created with the first of them */
    mw_store_config store;         /* of each; `directory` is filled in here */
    /* Called with each store before anybody appends to it: mw_store_listen. NULL = not. */
    void (*opened)(void *ctx, mw_store *store);
    /* Called when a space began to close and waits for its users. NULL = not. */
    void (*closing)(void *ctx);
    void *ctx;
} mw_spaces_config;

bool mw_space_name_valid(mw_slice name);

/* Opens all spaces there are; one that cannot be opened is an error, since its senders would be
 * refused and nobody told. Errors as mw_store_open, and MW_E_LIMIT (more than MW_SPACES_MAX). */
MW_MUST_USE mw_err mw_spaces_open(const mw_spaces_config *config, mw_spaces **out,
                                  mw_detail *detail);
/* Closes all stores; no reference may be left. NULL is ignored. */
void mw_spaces_close(mw_spaces *spaces);

/* The store of the space "default"; lives as long as the spaces, so nobody needs a reference. */
mw_store *mw_spaces_default(mw_spaces *spaces);
/* A reference on the space of that name. MW_E_NOT_FOUND: there is none, or no longer. */
MW_MUST_USE mw_err mw_spaces_get(mw_spaces *spaces, mw_slice name, mw_space **out);
/* Gives the reference back, and nothing of it may be touched any more. NULL is ignored. */
void mw_space_release(mw_space *space);
mw_store *mw_space_store(const mw_space *space);
const char *mw_space_name(const mw_space *space);
/* Somebody deletes it and waits: long users shall come to an end. */
bool mw_space_is_closing(const mw_space *space);

/* MW_E_INVALID (the name), MW_E_CONFLICT (there is one), MW_E_LIMIT (there are as many as may be),
 * or what mw_store_open says; nothing is left then. Blocks for some syncs. */
MW_MUST_USE mw_err mw_spaces_create(mw_spaces *spaces, mw_slice name, mw_detail *detail);
/* MW_OK: what it held is gone. MW_E_NOT_FOUND, MW_E_DENIED (the default), MW_E_BUSY (users did not
 * end in time), MW_E_NO_SPACE (a read-only disk), MW_E_IO: it is as before; but when the rename
 * could not be synced, only a start tells whether it is gone. Blocks. */
MW_MUST_USE mw_err mw_spaces_delete(mw_spaces *spaces, mw_slice name, mw_detail *detail);

/* Calls for each space, "default" first, then by name, under the lock: `space` must not come back
 * here. */
void mw_spaces_each(mw_spaces *spaces, void (*space)(void *ctx, const char *name, mw_store *store),
                    void *ctx);

#endif
