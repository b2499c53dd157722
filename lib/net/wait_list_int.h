/* lib/net, private: a list of exchanges that wait, linked through themselves, so that joining needs
 * no memory and leaving no search. One loop's.
 */
#ifndef MW_NET_WAIT_LIST_INT_H
#define MW_NET_WAIT_LIST_INT_H

#include <stddef.h>

struct mw_exchange;

typedef struct mw_wait_list {
    struct mw_exchange *first;
    size_t count;
} mw_wait_list;

/* wait.kind says for what; the exchange is on no list. */
void mw_wait_list_add(mw_wait_list *list, struct mw_exchange *exchange);
/* Off whatever list it is on, if any. Leaves what the exchange holds; wait.kind is NONE then. */
void mw_wait_list_remove(struct mw_exchange *exchange);

#endif
