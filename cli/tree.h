/* Spans in the order of their tree. Pure. */
#ifndef MW_CLI_TREE_H
#define MW_CLI_TREE_H

#include "lib/base/slice.h"

typedef struct mw_tree_node {
    mw_slice id;
    mw_slice parent; /* empty = root */
    size_t depth;    /* set by mw_tree_order */
} mw_tree_node;

/* order[0..count): each node once, parents before their children, siblings in the order given. A
 * node whose parent is not here is a root; so is the first of a circle. Aborts when out of memory.
 * No recursion: a chain may be as long as a trace. */
void mw_tree_order(mw_tree_node *nodes, size_t count, size_t *order);

#endif
