/* Completion scripts, written from the table of commands. */
#include "cli/cli_int.h"

#define SCRIPT_MAX 65536

/* Nouns of this version, blank between them. */
static void append_nouns(mw_buffer *out)
{
    for (size_t i = 0; i < mw_noun_count; i++)
        if (mw_nouns[i].summary)
            mw_buffer_appendf(out, "%s ", mw_nouns[i].name);
    mw_buffer_appendf(out, "help");
}

static size_t append_verbs(mw_buffer *out, const char *noun)
{
    size_t count = 0;
    for (size_t i = 0; i < mw_command_count; i++)
        if (strcmp(mw_commands[i].noun, noun) == 0 && mw_commands[i].verb[0])
            mw_buffer_appendf(out, "%s%s", count++ ? " " : "", mw_commands[i].verb);
    return count;
}

static uint64_t taken_by(const char *noun)
{
    uint64_t takes = 0;
    for (size_t i = 0; i < mw_command_count; i++)
        if (strcmp(mw_commands[i].noun, noun) == 0)
            takes |= mw_commands[i].takes;
    return takes;
}

static void append_options(mw_buffer *out, const char *noun)
{
    uint64_t takes = taken_by(noun);
    for (size_t i = 0; i < mw_cli_option_count; i++)
        if (!mw_cli_options[i].takes || (mw_cli_options[i].takes & takes))
            mw_buffer_appendf(out, " --%s", mw_cli_options[i].name);
}

static void bash_script(mw_buffer *out)
{
    mw_buffer_appendf(out, "# midwatch completion for bash\n"
                           "_midwatch() {\n"
                           "    local current=${COMP_WORDS[COMP_CWORD]} words=\"\"\n"
                           "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                           "        words=\"");
    append_nouns(out);
    mw_buffer_appendf(out, "\"\n    else\n        case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; i < mw_noun_count; i++) {
        if (!mw_nouns[i].summary)
            continue;
        mw_buffer_appendf(out, "        %s) words=\"", mw_nouns[i].name);
        append_verbs(out, mw_nouns[i].name);
        if (strcmp(mw_nouns[i].name, "completion") == 0)
            mw_buffer_appendf(out, "bash zsh fish");
        append_options(out, mw_nouns[i].name);
        mw_buffer_appendf(out, "\" ;;\n");
    }
    mw_buffer_appendf(out, "        esac\n    fi\n"
                           "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
                           "}\n"
                           "complete -o default -F _midwatch midwatch\n");
}

/* zsh reads bash's scripts through its own bridge. */
static void zsh_script(mw_buffer *out)
{
    mw_buffer_appendf(out, "#compdef midwatch\n"
                           "autoload -U +X bashcompinit && bashcompinit\n");
    bash_script(out);
}

static void fish_verbs(mw_buffer *out, const mw_noun *noun)
{
    for (size_t i = 0; i < mw_command_count; i++) {
        const mw_command *command = &mw_commands[i];
        if (strcmp(command->noun, noun->name) == 0 && command->verb[0])
            mw_buffer_appendf(out,
                              "complete -c midwatch -f -n '__fish_seen_subcommand_from %s' "
                              "-a %s -d '%s'\n",
                              noun->name, command->verb, command->summary);
    }
    uint64_t takes = taken_by(noun->name);
    for (size_t i = 0; i < mw_cli_option_count; i++) {
        const mw_cli_option *option = &mw_cli_options[i];
        const char letter[2] = {mw_cli_option_letter(option), '\0'};
        if (option->takes & takes)
            mw_buffer_appendf(
                out, "complete -c midwatch -n '__fish_seen_subcommand_from %s' -l %s%s%s%s\n",
                noun->name, option->name, letter[0] ? " -s " : "", letter,
                option->value_name ? " -x" : "");
    }
}

static void fish_script(mw_buffer *out)
{
    mw_buffer_appendf(out, "# midwatch completion for fish\n");
    for (size_t i = 0; i < mw_noun_count; i++) {
        if (!mw_nouns[i].summary)
            continue;
        mw_buffer_appendf(out, "complete -c midwatch -f -n __fish_use_subcommand -a %s -d '%s'\n",
                          mw_nouns[i].name, mw_nouns[i].summary);
        fish_verbs(out, &mw_nouns[i]);
    }
    for (size_t i = 0; i < mw_cli_option_count; i++)
        if (!mw_cli_options[i].takes)
            mw_buffer_appendf(out, "complete -c midwatch -l %s%s\n", mw_cli_options[i].name,
                              mw_cli_options[i].value_name ? " -r" : "");
    mw_buffer_appendf(out, "complete -c midwatch -f -n '__fish_seen_subcommand_from completion' "
                           "-a 'bash zsh fish'\n");
}

int mw_cmd_completion(mw_cli *cli)
{
    static const struct {
        const char *shell;
        void (*write)(mw_buffer *out);
    } shells[] = {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}};
    mw_buffer script;
    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++) {
        if (strcmp(cli->args[0], shells[i].shell) != 0)
            continue;
        mw_buffer_init(&script, MW_MEM_BASE, SCRIPT_MAX);
        shells[i].write(&script);
        int status = mw_print(&script);
        mw_buffer_fini(&script);
        return status;
    }
    return mw_complain(MW_EXIT_USAGE, cli->args[0], "no such shell here", "bash, zsh or fish");
}
