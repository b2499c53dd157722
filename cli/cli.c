/* The entry of the command line: what the terminal is like, then dispatch. */
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/cli_int.h"
#include "lib/base/clock.h"

#define HELP_MAX 16384

/* COLUMNS beats the terminal's own answer; a pipe has no width. */
static size_t terminal_width(bool terminal)
{
    const char *columns = getenv("COLUMNS");
    struct winsize size;
    uint64_t width;
    if (columns && mw_slice_u64(mw_slice_of(columns), &width) == MW_OK && width > 0 &&
        width < 10000)
        return (size_t)width;
    if (terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        return size.ws_col;
    return 0;
}

static void look_around(mw_cli *cli)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    cli->terminal = isatty(STDOUT_FILENO) == 1;
    cli->color =
        cli->terminal && !(no_color && no_color[0]) && !(term && strcmp(term, "dumb") == 0);
    cli->width = terminal_width(cli->terminal);
    cli->now_ns = mw_clock_wall_ns(mw_clock_system());
}

static int print_help(const mw_noun *noun)
{
    mw_buffer text;
    mw_buffer_init(&text, MW_MEM_BASE, HELP_MAX);
    if (noun)
        mw_help_noun(&text, noun);
    else
        mw_help_all(&text);
    int status = mw_print(&text);
    mw_buffer_fini(&text);
    return status;
}

int mw_cli_main(int argc, char **argv)
{
    mw_cli cli = {.command = NULL};
    const mw_noun *noun;
    mw_buffer error;
    mw_memory_init(0);
    mw_buffer_init(&error, MW_MEM_BASE, HELP_MAX);
    int status = mw_cli_parse(&cli, argc, argv, &noun, &error);
    if (status) {
        mw_buffer_append_byte(&error, '\0');
        status = mw_complain(status, error.err ? "bad command line" : error.data, "", "");
    } else if (cli.help || !cli.command) {
        status = print_help(noun);
    } else {
        look_around(&cli);
        status = cli.command->run(&cli);
    }
    mw_buffer_fini(&error);
    return status;
}
