/* The command line: NOUN VERB, options in any place after the noun, "--" ends them. */
#include "cli/cli_int.h"

typedef struct scanner {
    mw_cli *cli;
    int argc, next;
    char **argv;
    mw_buffer *error;
} scanner;

static int usage(scanner *scan, const char *what, const char *why, const char *hint)
{
    mw_buffer_appendf(scan->error, "%s%s%s; %s", what, what[0] ? ": " : "", why, hint);
    return MW_EXIT_USAGE;
}

static const mw_cli_option *find_option(mw_slice name)
{
    for (size_t i = 0; i < mw_cli_option_count; i++)
        if (mw_slice_equal(name, mw_slice_of(mw_cli_options[i].name)))
            return &mw_cli_options[i];
    return NULL;
}

/* "-f" is "--follow"; NULL when no option has that letter. */
static const mw_cli_option *find_letter(const char *arg)
{
    for (size_t i = 0; i < mw_cli_option_count; i++)
        if (arg[1] && !arg[2] && arg[1] == mw_cli_option_letter(&mw_cli_options[i]))
            return &mw_cli_options[i];
    return NULL;
}

static uint64_t bit_of(const mw_cli_option *option)
{
    return UINT64_C(1) << (option - mw_cli_options);
}

/* An option may belong to several groups; a command takes it that has one of them. */
static int check_options(scanner *scan, const mw_noun *noun, uint64_t used)
{
    const mw_command *command = scan->cli->command;
    for (size_t i = 0; i < mw_cli_option_count; i++) {
        const mw_cli_option *option = &mw_cli_options[i];
        if (!(used >> i & 1) || !option->takes || option->takes & command->takes)
            continue;
        mw_buffer_appendf(scan->error, "--%s: not an option of %s%s%s; see midwatch help %s",
                          option->name, command->noun, command->verb[0] ? " " : "", command->verb,
                          noun->name);
        return MW_EXIT_USAGE;
    }
    return MW_EXIT_DONE;
}

static int take_attribute(scanner *scan, const char *value)
{
    const char **attributes = scan->cli->attributes;
    size_t count = 0;
    while (attributes[count])
        count++;
    if (!strchr(value, '=') || value[0] == '=')
        return usage(scan, "--attribute", "not a key and a value with = between them",
                     "for example --attribute http.route=/orders");
    if (count == MW_CLI_ATTRIBUTES_MAX)
        return usage(scan, "--attribute", "given too often", "give at most 8");
    attributes[count] = value;
    return MW_EXIT_DONE;
}

static int take_value(scanner *scan, const mw_cli_option *option, const char *arg,
                      const char *value)
{
    if (!value && scan->next < scan->argc)
        value = scan->argv[scan->next++];
    if (!value || !value[0])
        return usage(scan, arg, "a value is missing", "give it after a blank or =");
    if (mw_cli_option_repeats(option))
        return take_attribute(scan, value);
    *(const char **)(void *)((char *)scan->cli + option->offset) = value;
    return MW_EXIT_DONE;
}

static int take_letter(scanner *scan, const char *arg, uint64_t *used)
{
    const mw_cli_option *option = find_letter(arg);
    if (!option)
        return usage(scan, arg, "no such option",
                     "see midwatch help; -- before it makes it an argument");
    *used |= bit_of(option);
    if (option->value_name)
        return take_value(scan, option, arg, NULL);
    *(bool *)(void *)((char *)scan->cli + option->offset) = true;
    return MW_EXIT_DONE;
}

/* Whether the command takes the option is asked at the end: it may stand before the verb. */
static int take_option(scanner *scan, const char *arg, uint64_t *used)
{
    mw_slice text = mw_slice_of(arg + 2);
    size_t equals = mw_slice_find_byte(text, '=');
    const mw_cli_option *option = find_option(mw_slice_first(text, equals));
    if (!option)
        return usage(scan, arg, "no such option", "see midwatch help");
    *used |= bit_of(option);
    if (option->value_name)
        return take_value(scan, option, arg, equals < text.len ? arg + 2 + equals + 1 : NULL);
    if (equals < text.len)
        return usage(scan, arg, "takes no value", "leave out what follows the =");
    *(bool *)(void *)((char *)scan->cli + option->offset) = true;
    return MW_EXIT_DONE;
}

static int take_word(scanner *scan, const char *arg)
{
    if (scan->cli->arg_count == MW_CLI_ARGS_MAX)
        return usage(scan, arg, "too many arguments", "see midwatch help");
    if (!arg[0])
        return usage(scan, "''", "an empty argument", "is a variable unset?");
    scan->cli->args[scan->cli->arg_count++] = arg;
    return MW_EXIT_DONE;
}

static int scan_all(scanner *scan, uint64_t *used)
{
    bool words_only = false;
    while (scan->next < scan->argc) {
        const char *arg = scan->argv[scan->next++];
        int status;
        if (!words_only && strcmp(arg, "--") == 0) {
            words_only = true;
            continue;
        }
        if (!words_only && arg[0] == '-' && arg[1] == '-')
            status = take_option(scan, arg, used);
        else if (!words_only && arg[0] == '-' && arg[1])
            status = take_letter(scan, arg, used);
        else
            status = take_word(scan, arg);
        if (status)
            return status;
    }
    return MW_EXIT_DONE;
}

/* Takes the first `count` words off. */
static void drop_words(mw_cli *cli, size_t count)
{
    MW_ASSERT(count <= cli->arg_count);
    cli->arg_count -= count;
    memmove(cli->args, cli->args + count, cli->arg_count * sizeof cli->args[0]);
}

static int choose_command(scanner *scan, const mw_noun *noun)
{
    mw_cli *cli = scan->cli;
    const mw_command *alone = mw_command_find(noun->name, "");
    if (alone) {
        cli->command = alone;
        drop_words(cli, 1);
        return MW_EXIT_DONE;
    }
    if (cli->help)
        return MW_EXIT_DONE;
    cli->command = cli->arg_count < 2 ? NULL : mw_command_find(noun->name, cli->args[1]);
    if (!cli->command) {
        mw_buffer_appendf(scan->error, "%s%s%s: %s; it has ", noun->name,
                          cli->arg_count < 2 ? "" : " ", cli->arg_count < 2 ? "" : cli->args[1],
                          cli->arg_count < 2 ? "say what to do" : "no such verb");
        mw_append_verbs(scan->error, noun);
        mw_buffer_appendf(scan->error, ", see midwatch help %s", noun->name);
        return MW_EXIT_USAGE;
    }
    drop_words(cli, 2);
    return MW_EXIT_DONE;
}

/* Blanks separate them. */
static size_t count_words(const char *args)
{
    size_t count = args[0] != '\0';
    for (; *args; args++)
        count += *args == ' ';
    return count;
}

static int check_words(scanner *scan)
{
    const mw_cli *cli = scan->cli;
    const mw_command *command = cli->command;
    size_t wanted = count_words(command->args);
    bool many = mw_slice_ends(mw_slice_of(command->args), MW_SLICE("..."));
    if (cli->arg_count < wanted) {
        mw_buffer_appendf(scan->error, "%s%s%s: an argument is missing; midwatch %s%s%s %s",
                          command->noun, command->verb[0] ? " " : "", command->verb, command->noun,
                          command->verb[0] ? " " : "", command->verb, command->args);
        return MW_EXIT_USAGE;
    }
    if (cli->arg_count > wanted && !many)
        return usage(scan, cli->args[wanted], "not expected here", "see midwatch help");
    return MW_EXIT_DONE;
}

/* What is shown as a document is never asked of the API in another form. */
static int check_document(scanner *scan)
{
    mw_cli *cli = scan->cli;
    const char *format = cli->format;
    cli->format = NULL;
    cli->markdown = format && strcmp(format, "markdown") == 0;
    if (format && !cli->markdown && strcmp(format, "json") != 0)
        return usage(scan, format, "no such format", "--format takes markdown or json");
    if (cli->markdown && cli->json)
        return usage(scan, "--format markdown", "not together with --json",
                     "leave one of them out");
    cli->json |= format && !cli->markdown;
    return MW_EXIT_DONE;
}

/* Each of the two says what is printed. */
static int check_format(scanner *scan)
{
    mw_cli *cli = scan->cli;
    if (cli->command->run == mw_cmd_investigation_show)
        return check_document(scan);
    bool otlp = cli->format && strcmp(cli->format, "otlp") == 0;
    if (cli->format && !otlp && strcmp(cli->format, "json") != 0)
        return usage(scan, cli->format, "no such format", "--format takes otlp or json");
    if (otlp && (cli->json || cli->follow))
        return usage(scan, "--format otlp", "not together with --json or --follow",
                     "leave one of them out");
    cli->json |= cli->format && !otlp;
    return MW_EXIT_DONE;
}

static const mw_noun *noun_of(scanner *scan)
{
    mw_cli *cli = scan->cli;
    if (cli->arg_count && strcmp(cli->args[0], "help") == 0) {
        cli->help = true;
        drop_words(cli, 1);
    }
    return cli->arg_count ? mw_noun_find(cli->args[0]) : NULL;
}

int mw_cli_parse(mw_cli *cli, int argc, char **argv, const mw_noun **noun, mw_buffer *error)
{
    scanner scan = {cli, argc, 1, argv, error};
    uint64_t used = 0;
    int status = scan_all(&scan, &used);
    *noun = NULL;
    if (status)
        return status;
    *noun = noun_of(&scan);
    if (!*noun && cli->arg_count)
        return usage(&scan, cli->args[0], "no such command", "see midwatch help");
    if (!*noun)
        return cli->help ? MW_EXIT_DONE : usage(&scan, "", "say what to do", "see midwatch help");
    if (!(*noun)->summary)
        return usage(&scan, (*noun)->name, "not available in this version",
                     "see midwatch help for what is");
    status = choose_command(&scan, *noun);
    if (status || cli->help)
        return status;
    status = check_words(&scan);
    if (!status)
        status = check_options(&scan, *noun, used);
    return status ? status : check_format(&scan);
}
