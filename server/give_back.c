/* The look and the rule. See give_back.h. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/memory.h"
#include "server/give_back.h"

bool mw_give_back_due(mw_give_back *state, uint64_t received, size_t idle_bytes)
{
    bool quiet = received - state->received < MW_GIVE_BACK_QUIET_BYTES;
    state->received = received;
    if (idle_bytes < state->idle_bytes)
        state->idle_bytes = idle_bytes;
    return quiet && idle_bytes - state->idle_bytes >= MW_GIVE_BACK_WORTH_BYTES;
}

/* Resident and not of a file, less what the account says is in use; 0 when that cannot be told. */
static size_t idle_bytes(void)
{
    char line[128];
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    bool read = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    if (!read)
        return 0;
    char *at = line; /* pages: all, resident, shared, ... */
    strtoul(at, &at, 10);
    unsigned long resident = strtoul(at, &at, 10), shared = strtoul(at, &at, 10);
    if (resident < shared)
        return 0;
    size_t private_bytes = (resident - shared) * (size_t)sysconf(_SC_PAGESIZE);
    size_t used = mw_memory_used();
    return private_bytes > used ? private_bytes - used : 0;
}

void mw_give_back_look(mw_give_back *state, uint64_t received)
{
    if (!mw_give_back_due(state, received, idle_bytes()))
        return;
    malloc_trim(0);
    state->idle_bytes = idle_bytes();
}
