/* Where the daemon keeps its data unless it is told: the one rule that serve and clients share. */
#include <unistd.h>

#include "cli/cli.h"
#include "lib/base/slice.h"

bool mw_cli_default_data_dir(char *out, size_t size)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int len;
    if (geteuid() == 0)
        len = snprintf(out, size, "/var/lib/midwatch");
    else if (state && state[0] == '/') /* the XDG rule: a relative path is as good as none */
        len = snprintf(out, size, "%s/midwatch", state);
    else if (home && home[0] == '/')
        len = snprintf(out, size, "%s/.local/state/midwatch", home);
    else
        return false;
    return len > 0 && (size_t)len < size;
}
