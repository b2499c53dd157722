/* cli: every `midwatch` command that is a client of the API. This header is the room's only door.
 *
 * Runs on the main thread of a short-lived process; nothing here is shared with the daemon but
 * the rule for the default data directory.
 */
#ifndef MW_CLI_CLI_H
#define MW_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

/* DESIGN 4.2. Scripts rely on the numbers. */
enum {
    MW_EXIT_DONE = 0,
    MW_EXIT_FAILED = 1,
    MW_EXIT_USAGE = 2,
    MW_EXIT_DENIED = 4,
    MW_EXIT_NOT_FOUND = 5,
    MW_EXIT_CONFLICT = 6,
    MW_EXIT_UNREACHABLE = 7
};

/* The whole command line as main got it. Returns the exit status. */
int mw_cli_main(int argc, char **argv);

/* The data directory when nobody names one: /var/lib/midwatch as root, else
 * $XDG_STATE_HOME/midwatch, else ~/.local/state/midwatch (DESIGN 4.1). False when neither
 * variable says, or it does not fit. */
bool mw_cli_default_data_dir(char *out, size_t size);

#endif
