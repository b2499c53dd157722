/* midwatch: dispatch. The daemon and its check are of this room, all other commands are clients of
 * its API and live in cli/. */
#include "cli/cli.h"
#include "lib/base/slice.h"
#include "server/serve.h"

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";
    if (strcmp(command, "serve") == 0)
        return mw_serve_main(argc - 1, argv + 1);
    if (strcmp(command, "check") == 0)
        return mw_check_main(argc - 1, argv + 1);
    if (strcmp(command, "--version") == 0) {
        printf("midwatch %s\n", MW_VERSION);
        return MW_EXIT_DONE;
    }
    return mw_cli_main(argc, argv);
}
