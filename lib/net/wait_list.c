/* Exchanges that wait. See wait_list_int.h. */
#include "lib/net/exchange_int.h"
#include "lib/net/wait_list_int.h"

void mw_wait_list_add(mw_wait_list *list, mw_exchange *exchange)
{
    mw_wait *wait = &exchange->wait;
    wait->list = list;
    wait->previous = NULL;
    wait->next = list->first;
    if (wait->next)
        wait->next->wait.previous = exchange;
    list->first = exchange;
    list->count++;
}

void mw_wait_list_remove(mw_exchange *exchange)
{
    mw_wait *wait = &exchange->wait;
    mw_wait_list *list = wait->list;
    if (!list)
        return;
    if (wait->next)
        wait->next->wait.previous = wait->previous;
    if (wait->previous)
        wait->previous->wait.next = wait->next;
    else
        list->first = wait->next;
    list->count--;
    if (wait->kind == MW_WAIT_BODY)
        exchange->wire->waiting--;
    wait->next = wait->previous = NULL;
    wait->list = NULL;
    wait->kind = MW_WAIT_NONE;
}
