/* `midwatch check`: the configuration as it would be used, the store of each space, block by block,
 * and the state file. Reads only and takes no lock, so it may run beside a daemon on the same
 * directory; with --rebuild it first makes again what is derived, and no daemon may run. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "lib/base/utf8.h"
#include "lib/net/net.h"
#include "lib/state/state.h"
#include "lib/store/spaces.h"
#include "server/options.h"
#include "server/serve.h"

static void print_help(void)
{
    printf("Usage: midwatch check [--rebuild] [OPTIONS]\n\n"
           "Reads the configuration and says each option's value and where it came from, then\n"
           "verifies every block of the store of each space, and the state file. It only reads,\n"
           "so it may run while the daemon does.\n\n"
           "  --rebuild\n"
           "        First makes again what can be made again: footers of merged segments that are\n"
           "        damaged, from their blocks, and the catalogue; removes segments that another\n"
           "        has replaced. Needs the daemon stopped, and room for a copy of a segment.\n\n"
           "Exit status 0: all is well; 1: something stored is damaged, or cannot be rebuilt;\n"
           "2: bad configuration; 5: there is no such data directory; 6: a daemon runs, so\n"
           "nothing was rebuilt.\n\n"
           "It takes the options of `midwatch serve`:\n");
    mw_options_print_help(mw_server_option_table, MW_SERVER_OPTION_COUNT);
}

static void print_visible(FILE *to, const char *text)
{
    mw_buffer visible;
    mw_buffer_init(&visible, MW_MEM_BASE, MW_PATH_SIZE * 8);
    mw_utf8_append_visible(&visible, mw_slice_of(text), false);
    fprintf(to, "%.*s", MW_SLICE_FMT(mw_buffer_slice(&visible)));
    mw_buffer_fini(&visible);
}

static void print_value(const mw_option *option, const mw_server_options *values)
{
    const char *field = (const char *)values + option->offset;
    char text[32];
    uint64_t number;
    switch (option->type) {
    case MW_OPTION_TEXT:
    case MW_OPTION_LIST: print_visible(stdout, field[0] ? field : "-"); return;
    case MW_OPTION_BOOL: printf("%s", *(const bool *)field ? "true" : "false"); return;
    default:
        memcpy(&number, field, sizeof number);
        printf("%s", mw_option_number_text(option->type, number, text, sizeof text));
    }
}

static void print_options(const mw_server_settings *settings)
{
    for (size_t i = 0; i < MW_SERVER_OPTION_COUNT; i++) {
        const mw_option *option = &mw_server_option_table[i];
        printf("%-16s ", option->name);
        print_value(option, &settings->values);
        printf(" (%s)\n", mw_option_origin_name(settings->origins[i]));
    }
}

static void report(void *ctx, const mw_store_damage *damage)
{
    uint64_t *count = ctx;
    (*count)++;
    fprintf(stderr, "midwatch: damaged: %s at byte %" PRIu64 ": %s\n", damage->file, damage->offset,
            damage->what);
}

/* True when somebody named a data directory that is not there: more likely a wrong name than a
 * daemon that was never started. */
static bool is_missing(const mw_server_settings *settings)
{
    struct stat status;
    for (size_t i = 0; i < MW_SERVER_OPTION_COUNT; i++)
        if (strcmp(mw_server_option_table[i].name, "data") == 0 &&
            settings->origins[i] == MW_ORIGIN_DEFAULT)
            return false;
    return stat(settings->values.data, &status) != 0;
}

static void report_done(void *ctx, const mw_store_damage *done)
{
    (void)ctx;
    printf("rebuilt          ");
    print_visible(stdout, done->file);
    printf(": %s\n", done->what);
}

static int rebuild_store(const char *path)
{
    mw_detail detail = {.message = ""};
    mw_err err = mw_store_rebuild(path, report_done, NULL, &detail);
    if (err == MW_OK || err == MW_E_NOT_FOUND)
        return MW_EXIT_DONE;
    fprintf(stderr, "midwatch: cannot rebuild: ");
    print_visible(stderr, detail.message[0] ? detail.message : mw_err_text(err));
    fprintf(stderr, "%s%s\n", detail.hint[0] ? "; " : "", detail.hint);
    return err == MW_E_CONFLICT ? MW_EXIT_CONFLICT : MW_EXIT_FAILED;
}

/* `label` is what stands in front of the line: "store", "space team-a". */
static int verify_store(const char *path, const char *label)
{
    uint64_t damaged = 0;
    mw_store_verified whole = {.blocks = 0};
    mw_err err = mw_store_verify(path, report, &damaged, &whole);
    if (err == MW_E_NOT_FOUND) {
        printf("%-16s none yet at ", label);
        print_visible(stdout, path);
        printf("\n");
        return MW_EXIT_DONE;
    }
    if (err == MW_OK || err == MW_E_CORRUPT) {
        mw_err rows = mw_store_verify_catalogue(path, report, &damaged);
        err = rows == MW_OK || rows == MW_E_NOT_FOUND ? err : rows;
    }
    if (err && !damaged)
        fprintf(stderr, "midwatch: cannot read %s: %s\n", path, mw_err_text(err));
    printf("%-16s %s: %" PRIu64 " blocks, %" PRIu64 " spans, %" PRIu64 " logs, %" PRIu64
           " points, %" PRIu64 " damaged\n",
           label, err ? "NOT whole" : "whole", whole.blocks, whole.spans, whole.logs, whole.points,
           damaged);
    return err ? MW_EXIT_FAILED : MW_EXIT_DONE;
}

static int check_one(const char *path, const char *label, bool rebuild)
{
    int rebuilt = rebuild ? rebuild_store(path) : MW_EXIT_DONE;
    int verified = verify_store(path, label);
    return rebuilt ? rebuilt : verified;
}

/* Every space beside "default". The first exit status that is not 0. */
static int check_spaces(const mw_server_options *options, bool rebuild)
{
    char path[MW_PATH_SIZE], label[MW_SPACE_NAME_SIZE + 8];
    int status = MW_EXIT_DONE;
    mw_data_path(options, "spaces", path);
    DIR *dir = opendir(path);
    if (!dir && errno != ENOENT) {
        fprintf(stderr, "midwatch: cannot read %s: %s\n", path, strerrordesc_np(errno));
        return MW_EXIT_FAILED;
    }
    for (struct dirent *entry; dir && (entry = readdir(dir)) != NULL;) {
        mw_slice name = mw_slice_of(entry->d_name);
        if (!mw_space_name_valid(name))
            continue;
        char below[MW_SPACE_NAME_SIZE + 16];
        snprintf(below, sizeof below, "spaces/%.*s/store", MW_SLICE_FMT(name));
        snprintf(label, sizeof label, "space %.*s", MW_SLICE_FMT(name));
        mw_data_path(options, below, path);
        int one = check_one(path, label, rebuild);
        status = status ? status : one;
    }
    if (dir)
        closedir(dir);
    return status;
}

static int check_stores(const mw_server_settings *settings, bool rebuild)
{
    const mw_server_options *options = &settings->values;
    char path[MW_PATH_SIZE];
    if (is_missing(settings)) {
        fprintf(stderr, "midwatch: data: there is no directory ");
        print_visible(stderr, options->data);
        fprintf(stderr, "; midwatch serve creates it\n");
        return MW_EXIT_NOT_FOUND;
    }
    mw_data_path(options, "store", path);
    int store = check_one(path, "store", rebuild);
    int spaces = check_spaces(options, rebuild);
    return store ? store : spaces;
}

/* The state file holds what telemetry cannot give back: alarms, decisions, tokens. */
static int check_state(const mw_server_options *options)
{
    mw_detail detail = {.message = ""};
    char path[MW_PATH_SIZE], key_path[MW_PATH_SIZE];
    mw_data_path(options, "state.db", path);
    mw_data_path(options, "state.key", key_path);
    mw_err err = mw_state_verify(path, key_path, &detail);
    if (err == MW_E_NOT_FOUND) {
        printf("state            none yet at %s\n", path);
        return MW_EXIT_DONE;
    }
    if (err) {
        fprintf(stderr, "midwatch: state: %s: ", path);
        print_visible(stderr, detail.message[0] ? detail.message : mw_err_text(err));
        fprintf(stderr, "%s%s\n", detail.hint[0] ? "; " : "", detail.hint);
    }
    printf("state            %s\n", err ? "NOT whole" : "whole");
    return err ? MW_EXIT_FAILED : MW_EXIT_DONE;
}

static int check_tls(const mw_server_options *options)
{
    mw_detail detail = {.message = ""};
    mw_net_tls paths = {options->tls_cert, options->tls_key, options->tls_client_ca};
    if (!options->tls_cert[0])
        return MW_EXIT_DONE;
    mw_err err = mw_net_tls_check(&paths, mw_clock_system(), &detail);
    if (err) {
        fprintf(stderr, "midwatch: %s%s%s\n", detail.message[0] ? detail.message : mw_err_text(err),
                detail.hint[0] ? "; " : "", detail.hint);
        return MW_EXIT_USAGE;
    }
    printf("tls              certificate and key can be used\n");
    return MW_EXIT_DONE;
}

/* Takes `--rebuild` out of the arguments, which then are those of serve. */
static bool take_rebuild(int *argc, char **argv)
{
    bool found = false;
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--rebuild") == 0)
            found = true;
        else
            argv[kept++] = argv[i];
    }
    *argc = kept;
    return found;
}

static int check_all(const mw_server_settings *settings, bool rebuild)
{
    print_options(settings);
    int tls = check_tls(&settings->values);
    int store = check_stores(settings, rebuild);
    if (store == MW_EXIT_NOT_FOUND)
        return store;
    int state = check_state(&settings->values);
    return store ? store : state ? state : tls;
}

int mw_check_main(int argc, char **argv)
{
    static mw_server_settings settings;
    mw_detail detail = {.message = ""};
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help();
            return MW_EXIT_DONE;
        }
    bool rebuild = take_rebuild(&argc, argv);
    mw_memory_init(0);
    mw_err err = mw_server_options_load(&settings, argc - 1, argv + 1, &detail);
    if (err) {
        fprintf(stderr, "midwatch: %s: %s%s%s\n", detail.field[0] ? detail.field : "check",
                detail.message[0] ? detail.message : mw_err_text(err), detail.hint[0] ? "; " : "",
                detail.hint);
        return MW_EXIT_USAGE;
    }
    return check_all(&settings, rebuild);
}
