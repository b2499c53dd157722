/* From answers to text: fields, and the frame of every command that shows or lists. */
#include "cli/cli_int.h"
#include "lib/base/utf8.h"

#define TEXT_MAX ((size_t)512 << 20)

void mw_visible(mw_buffer *out, mw_slice text)
{
    mw_utf8_append_visible(out, text, false);
}

void mw_field(mw_buffer *out, const char *title, mw_slice text)
{
    if (!text.len)
        return;
    mw_buffer_appendf(out, "  %-13s ", title);
    mw_visible(out, text);
    mw_buffer_append_byte(out, '\n');
}

void mw_append_parts(mw_buffer *out, const json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *value = json_array_get(array, i);
        if (i > 0)
            mw_buffer_append_byte(out, ',');
        mw_visible(out, (mw_slice){json_string_value(value), json_string_length(value)});
    }
}

void mw_field_list(mw_buffer *out, const char *title, const json_t *array)
{
    if (json_array_size(array) == 0)
        return;
    mw_buffer_appendf(out, "  %-13s ", title);
    mw_append_parts(out, array);
    mw_buffer_append_byte(out, '\n');
}

void mw_field_time(mw_cli *cli, const json_t *object, const char *title, const char *key,
                   mw_buffer *out)
{
    char text[MW_CELL_SIZE];
    if (mw_is_null(object, key))
        return;
    mw_time_text(cli, object, key, text);
    mw_field(out, title, mw_slice_of(text));
}

void mw_field_usage(mw_buffer *out, const json_t *object)
{
    mw_buffer_appendf(out, "  %-13s %lld model, %lld tool\n", "calls",
                      (long long)mw_integer(object, "model_calls"),
                      (long long)mw_integer(object, "tool_calls"));
    mw_buffer_appendf(out, "  %-13s %lld in, %lld out\n", "tokens",
                      (long long)mw_integer(object, "input_tokens"),
                      (long long)mw_integer(object, "output_tokens"));
}

void mw_usage_cells(mw_table *table, const json_t *object)
{
    static const char *const counts[] = {"model_calls", "tool_calls", "input_tokens",
                                         "output_tokens"};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        mw_table_cellf(table, "%lld", (long long)mw_integer(object, counts[i]));
}

void mw_shell_word(mw_buffer *out, mw_slice text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-._/:@%+=,";
    size_t safe = 0;
    while (safe < text.len && memchr(plain, text.data[safe], sizeof plain - 1))
        safe++;
    if (text.len && safe == text.len) {
        mw_buffer_append_slice(out, text);
        return;
    }
    mw_buffer_append_byte(out, '\'');
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] == '\'')
            mw_buffer_append(out, "'\\''", 4);
        else
            mw_buffer_append_byte(out, text.data[i]);
    mw_buffer_append_byte(out, '\'');
}

void mw_append_command(const mw_cli *cli, mw_buffer *out, const char *command)
{
    const struct {
        const char *name, *value;
    } options[] = {{"--server", cli->server}, {"--data", cli->data}, {"--space", cli->space}};
    mw_buffer_appendf(out, "  midwatch %s", command);
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (!options[i].value)
            continue;
        mw_buffer_appendf(out, " %s ", options[i].name);
        mw_shell_word(out, mw_slice_of(options[i].value));
    }
    mw_buffer_append_byte(out, '\n');
}

void mw_item_table(mw_cli *cli, const mw_column *columns, size_t column_count, const json_t *items,
                   void (*add)(mw_cli *cli, mw_table *table, const json_t *item), mw_buffer *out)
{
    mw_table table;
    mw_table_init(&table, columns, column_count);
    for (size_t i = 0; i < json_array_size(items); i++)
        add(cli, &table, json_array_get(items, i));
    mw_table_print(&table, cli->width, cli->color, 0, out);
    mw_table_fini(&table);
}

int mw_print_fitting(const mw_cli *cli, const mw_buffer *text)
{
    mw_buffer fitting;
    if (text->err || !cli->width)
        return mw_print(text);
    mw_buffer_init(&fitting, MW_MEM_BASE, TEXT_MAX);
    mw_fit_lines(&fitting, mw_buffer_slice(text), cli->width);
    int status = mw_print(&fitting);
    mw_buffer_fini(&fitting);
    return status;
}

static int print_body(mw_answer *answer)
{
    if (answer->body.len && answer->body.data[answer->body.len - 1] != '\n')
        mw_buffer_append_byte(&answer->body, '\n');
    return mw_print(&answer->body);
}

static int render_answer(mw_cli *cli, mw_answer *answer,
                         void (*render)(mw_cli *, json_t *, mw_buffer *))
{
    mw_buffer text;
    mw_buffer_init(&text, MW_MEM_BASE, TEXT_MAX);
    render(cli, answer->root, &text);
    int status = mw_print_fitting(cli, &text);
    mw_buffer_fini(&text);
    if (!status && cli->turned_back)
        fprintf(stderr,
                "midwatch: - under DURATION: %zu of them end before they start, as sent; --json "
                "has both times\n",
                cli->turned_back);
    return status;
}

static void tell_cursor(mw_slice next)
{
    mw_buffer cursor;
    if (!next.len)
        return;
    mw_buffer_init(&cursor, MW_MEM_BASE, 65536);
    mw_visible(&cursor, next);
    fprintf(stderr, "midwatch: there are more; go on with --cursor %.*s\n",
            MW_SLICE_FMT(mw_buffer_slice(&cursor)));
    mw_buffer_fini(&cursor);
}

/* What a list leaves out because it could not be decided is no news for stdout. */
static void tell_undecided(uint64_t count)
{
    if (count)
        fprintf(stderr,
                "midwatch: the pattern took too long on %llu record%s, left out; a simpler one "
                "decides\n",
                (unsigned long long)count, count == 1 ? "" : "s");
}

/* What the daemon says of an answer that lacks something. In JSON it stands there. */
static void tell_warnings(const json_t *root)
{
    size_t i;
    json_t *warning;
    mw_buffer text;
    json_array_foreach(json_object_get(root, "warnings"), i, warning)
    {
        mw_buffer_init(&text, MW_MEM_BASE, 4096);
        mw_visible(&text, mw_text(warning, "message"));
        fprintf(stderr, "midwatch: %.*s\n", MW_SLICE_FMT(mw_buffer_slice(&text)));
        mw_buffer_fini(&text);
    }
}

/* ---- as it was sent ------------------------------------------------------------------------ */

bool mw_wants_otlp(const mw_cli *cli)
{
    return cli->format && strcmp(cli->format, "otlp") == 0;
}

void mw_tell_otlp(const mw_answer *answer, bool cursor)
{
    if (answer->left_out)
        fprintf(stderr,
                "midwatch: %llu left out: too long for the memory that questions have; start the "
                "daemon with a larger --memory-limit\n",
                (unsigned long long)answer->left_out);
    if (answer->damaged)
        fprintf(stderr,
                "midwatch: %llu stored blocks are damaged and left out; see midwatch check\n",
                (unsigned long long)answer->damaged);
    if (answer->lost)
        fprintf(stderr,
                "midwatch: %llu stored segments or ends of some are gone, and what they held is "
                "missing; see midwatch check\n",
                (unsigned long long)answer->lost);
    tell_undecided(answer->undecided);
    if (cursor)
        tell_cursor(mw_slice_of(answer->next_cursor));
}

/* Where an empty list may come from: its bounds, or that nothing ever came in. */
static void tell_empty(const mw_cli *cli, const char *what)
{
    fprintf(stderr, "midwatch: no %s%s\n", what,
            mw_is_narrowed(cli) ? " within these bounds" : " stored yet");
}

/* `what` NULL: not a list. */
static int show_otlp(mw_cli *cli, const char *path, const char *what)
{
    mw_answer answer;
    int status = mw_client_fetch(cli, path, &answer);
    if (!status && mw_exit_of_status(answer.status))
        status = mw_fetch_complain(cli, &answer);
    if (!status)
        status = print_body(&answer);
    if (!status && what && answer.items + answer.left_out == 0)
        tell_empty(cli, what);
    if (!status)
        mw_tell_otlp(&answer, true);
    mw_answer_free(&answer);
    return status;
}

/* ---- frames of commands -------------------------------------------------------------------- */

int mw_show(mw_cli *cli, const char *path, void (*render)(mw_cli *, json_t *, mw_buffer *))
{
    mw_answer answer;
    if (mw_wants_otlp(cli))
        return show_otlp(cli, path, NULL);
    int status = mw_client_call(cli, path, NULL, &answer);
    if (!status)
        status = cli->json ? print_body(&answer) : render_answer(cli, &answer, render);
    if (!status && !cli->json) {
        tell_warnings(answer.root);
        tell_cursor(mw_text(answer.root, "next_cursor"));
    }
    mw_answer_free(&answer);
    return status;
}

int mw_show_change(mw_cli *cli, const char *path, json_t *body, const char *what,
                   void (*render)(mw_cli *, json_t *, mw_buffer *))
{
    mw_answer answer;
    int status = mw_client_post(cli, path, body, what, &answer);
    if (!status)
        status = cli->json ? print_body(&answer) : render_answer(cli, &answer, render);
    mw_answer_free(&answer);
    return status;
}

int mw_show_id(mw_cli *cli, const char *noun, void (*render)(mw_cli *, json_t *, mw_buffer *))
{
    return mw_show_part(cli, noun, "", render);
}

int mw_show_part(mw_cli *cli, const char *noun, const char *part,
                 void (*render)(mw_cli *, json_t *, mw_buffer *))
{
    mw_buffer path;
    mw_buffer_init(&path, MW_MEM_BASE, MW_CLI_PATH_MAX * 2);
    mw_show_path(cli, noun, part, &path);
    mw_buffer_append_byte(&path, '\0');
    int status = path.err ? mw_complain(MW_EXIT_USAGE, noun, "the id is too long", "")
                          : mw_show(cli, path.data, render);
    mw_buffer_fini(&path);
    return status;
}

int mw_list(mw_cli *cli, const char *noun, const char *what,
            void (*render)(mw_cli *, json_t *, mw_buffer *))
{
    mw_answer answer;
    mw_buffer path;
    mw_buffer_init(&path, MW_MEM_BASE, MW_CLI_PATH_MAX * 4);
    mw_list_path(cli, noun, &path);
    mw_buffer_append_byte(&path, '\0');
    int status = path.err ? mw_complain(MW_EXIT_USAGE, noun, "an option's value is too long", "")
                          : MW_EXIT_DONE;
    if (status) {
        mw_buffer_fini(&path);
        return status;
    }
    if (mw_wants_otlp(cli)) {
        status = show_otlp(cli, path.data, what);
        mw_buffer_fini(&path);
        return status;
    }
    status = mw_client_call(cli, path.data, NULL, &answer);
    if (!status && json_array_size(json_object_get(answer.root, "items")) == 0)
        tell_empty(cli, what);
    if (!status)
        tell_undecided((uint64_t)mw_integer(answer.root, "pattern_undecided"));
    if (!status && !cli->json)
        tell_warnings(answer.root);
    if (!status && cli->json) {
        status = print_body(&answer);
    } else if (!status && json_array_size(json_object_get(answer.root, "items"))) {
        status = render_answer(cli, &answer, render);
        tell_cursor(mw_text(answer.root, "next_cursor"));
    }
    mw_answer_free(&answer);
    mw_buffer_fini(&path);
    return status;
}

void mw_append_padded(mw_buffer *out, mw_slice text, size_t width)
{
    mw_buffer cell;
    mw_buffer_init(&cell, MW_MEM_BASE, (size_t)1 << 20);
    mw_visible(&cell, mw_slice_first(text, 4096));
    for (size_t used = mw_append_cut(out, mw_buffer_slice(&cell), width); used < width; used++)
        mw_buffer_append_byte(out, ' ');
    mw_buffer_appendf(out, "  ");
    mw_buffer_fini(&cell);
}
