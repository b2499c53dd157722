/* `midwatch check`: the configuration as it would be used, the store of each space, block by block,
 * and the state file. Reads only and takes no lock, so it may run beside a daemon on the same
 * directory; with --rebuild it first makes again what is derived, and no daemon may run. */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "lib/net/net.h"
#include "lib/state/state.h"
#include "lib/store/spaces.h"
#include "server/check_report.h"
#include "server/missing.h"
#include "server/options.h"
#include "server/serve.h"

static void print_help(void)
{
    printf("Usage: midwatch check [--rebuild] [--json] [OPTIONS]\n\n"
           "Reads the configuration and says each option's value and where it came from, then\n"
           "verifies every block of the store of each space, and the state file. It only reads,\n"
           "so it may run while the daemon does.\n\n"
           "A segment that vanished is named until it is there again, or until --rebuild. What\n"
           "is only worth knowing is a note, and no damage. A state file that is gone beside its\n"
           "key, or a store beside its state file, is damage until a start makes a new one.\n\n"
           "  --rebuild\n"
           "        First makes again what can be made again: footers of merged segments that are\n"
           "        damaged, from their blocks, and the catalogue; removes segments that another\n"
           "        has replaced; accepts what is gone, and says so for the last time. Needs the\n"
           "        daemon stopped, and room for a copy of a segment.\n"
           "  --json\n"
           "        One object with all of it: options, stores with their findings (damage, note,\n"
           "        rebuilt, problem), state, whole, exit_status.\n\n"
           "Exit status 0: all is well; 1: something stored is damaged, or cannot be rebuilt;\n"
           "2: bad configuration; 5: there is no such data directory; 6: a daemon runs, so\n"
           "nothing was rebuilt.\n\n"
           "It takes the options of `midwatch serve`:\n");
    mw_options_print_help(mw_server_option_table, MW_SERVER_OPTION_COUNT);
}

static void tell_option(mw_check_report *report, const mw_option *option,
                        const mw_server_settings *settings, mw_option_origin origin)
{
    const char *field = (const char *)&settings->values + option->offset;
    char text[32];
    uint64_t number;
    const char *value = field;
    switch (option->type) {
    case MW_OPTION_TEXT:
    case MW_OPTION_LIST: break;
    case MW_OPTION_BOOL: value = *(const bool *)field ? "true" : "false"; break;
    default:
        memcpy(&number, field, sizeof number);
        value = mw_option_number_text(option->type, number, text, sizeof text);
    }
    mw_check_option(report, option->name, value, mw_option_origin_name(origin));
}

static void tell_options(mw_check_report *report, const mw_server_settings *settings)
{
    mw_check_options_begin(report);
    for (size_t i = 0; i < MW_SERVER_OPTION_COUNT; i++)
        tell_option(report, &mw_server_option_table[i], settings, settings->origins[i]);
    mw_check_options_end(report);
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

static int rebuild_store(mw_check_report *report, const char *path)
{
    mw_detail detail = {.message = ""};
    mw_err err = mw_store_rebuild(path, mw_check_rebuilt, report, &detail);
    if (err == MW_OK || err == MW_E_NOT_FOUND)
        return MW_EXIT_DONE;
    mw_check_problem(report, "cannot rebuild",
                     detail.message[0] ? detail.message : mw_err_text(err), detail.hint);
    return err == MW_E_CONFLICT ? MW_EXIT_CONFLICT : MW_EXIT_FAILED;
}

/* What may be read of it is verified, whatever else may not. */
static mw_err verify_store(mw_check_report *report, const char *path, mw_store_verified *verified)
{
    mw_err err = mw_store_verify(path, mw_check_found, report, verified);
    if (err == MW_OK || err == MW_E_CORRUPT) {
        mw_err rows = mw_store_verify_catalogue(path, mw_check_found, report);
        err = rows == MW_OK || rows == MW_E_NOT_FOUND ? err : rows;
    }
    if (err && err != MW_E_NOT_FOUND && !report->damaged)
        mw_check_problem(report, path, "cannot be read", mw_err_text(err));
    return err;
}

/* `label` is what stands in front of the line: "store", "space team-a". `gone`: it was there. */
static int check_one(mw_check_report *report, const char *space, const char *label,
                     const char *path, bool rebuild, bool gone)
{
    mw_store_verified verified = {.blocks = 0};
    mw_check_store_begin(report, space, path);
    /* Nothing is made where nothing is: it would look whole. */
    int rebuilt = rebuild && !gone ? rebuild_store(report, path) : MW_EXIT_DONE;
    mw_err err = verify_store(report, path, &verified);
    bool exists = err != MW_E_NOT_FOUND && !gone;
    bool whole = !gone && (!exists || err == MW_OK);
    if (gone)
        mw_check_problem(report, "store", MW_MISSING_STORE,
                         "mount it or restore a backup: a start makes a new one");
    mw_check_store_end(report, label, path, exists, &verified, whole);
    return rebuilt ? rebuilt : whole ? MW_EXIT_DONE : MW_EXIT_FAILED;
}

/* Every space beside "default". The first exit status that is not 0. */
static int check_spaces(mw_check_report *report, const mw_server_options *options, bool rebuild)
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
        int one = check_one(report, entry->d_name, label, path, rebuild, false);
        status = status ? status : one;
    }
    if (dir)
        closedir(dir);
    return status;
}

static int check_stores(mw_check_report *report, const mw_server_options *options, bool rebuild)
{
    char path[MW_PATH_SIZE];
    mw_data_path(options, "store", path);
    mw_check_stores_begin(report);
    bool gone = mw_missing_store(options);
    int store = check_one(report, MW_SPACE_DEFAULT, "store", path, rebuild, gone);
    int spaces = check_spaces(report, options, rebuild);
    mw_check_stores_end(report);
    return store ? store : spaces;
}

static const mw_detail *fill_detail(mw_detail *detail, mw_err err)
{
    if (err == MW_OK || err == MW_E_NOT_FOUND)
        return NULL;
    if (!detail->message[0])
        snprintf(detail->message, sizeof detail->message, "%s", mw_err_text(err));
    return detail;
}

/* The state file holds what telemetry cannot give back: alarms, decisions, tokens. */
static int check_state(mw_check_report *report, const mw_server_options *options)
{
    mw_detail detail = {.message = ""};
    char path[MW_PATH_SIZE], key_path[MW_PATH_SIZE];
    mw_data_path(options, "state.db", path);
    mw_data_path(options, "state.key", key_path);
    mw_err err = mw_state_verify(path, key_path, &detail);
    bool missing = mw_missing_state(options);
    if (missing)
        err = mw_detail_set(&detail, MW_E_CORRUPT, "state",
                            "restore a backup with the daemon stopped: a start makes a new one",
                            "%s", MW_MISSING_STATE);
    const mw_check_part part = {.name = "state",
                                .path = path,
                                .fine = "whole",
                                .exists = !missing && err != MW_E_NOT_FOUND,
                                .detail = fill_detail(&detail, err)};
    mw_check_tell_part(report, &part);
    return part.detail ? MW_EXIT_FAILED : MW_EXIT_DONE;
}

static int check_tls(mw_check_report *report, const mw_server_options *options)
{
    mw_detail detail = {.message = ""};
    mw_net_tls paths = {options->tls_cert, options->tls_key, options->tls_client_ca};
    if (!options->tls_cert[0]) {
        mw_json_kv_null(&report->json, "tls");
        return MW_EXIT_DONE;
    }
    mw_err err = mw_net_tls_check(&paths, mw_clock_system(), &detail);
    const mw_check_part part = {.name = "tls",
                                .fine = "certificate and key can be used",
                                .exists = true,
                                .detail = err ? fill_detail(&detail, err) : NULL};
    mw_check_tell_part(report, &part);
    return err ? MW_EXIT_USAGE : MW_EXIT_DONE;
}

/* Takes a switch of our own out of the arguments, which then are those of serve. */
static bool take_switch(const char *name, int *argc, char **argv)
{
    bool found = false;
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], name) == 0)
            found = true;
        else
            argv[kept++] = argv[i];
    }
    *argc = kept;
    return found;
}

static int check_all(mw_check_report *report, const mw_server_settings *settings, bool rebuild)
{
    const mw_server_options *options = &settings->values;
    tell_options(report, settings);
    int tls = check_tls(report, options);
    if (is_missing(settings)) {
        fprintf(stderr, "midwatch: data: there is no directory ");
        mw_check_print(stderr, options->data);
        fprintf(stderr, "; midwatch serve creates it\n");
        mw_check_stores_begin(report);
        mw_check_stores_end(report);
        mw_json_kv_null(&report->json, "state");
        return MW_EXIT_NOT_FOUND;
    }
    int store = check_stores(report, options, rebuild);
    int state = check_state(report, options);
    return store ? store : state ? state : tls;
}

static int check(const mw_server_settings *settings, bool rebuild, bool as_json)
{
    mw_check_report report;
    mw_check_begin(&report, as_json);
    int status = check_all(&report, settings, rebuild);
    mw_check_end(&report, status);
    return status;
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
    bool rebuild = take_switch("--rebuild", &argc, argv);
    bool as_json = take_switch("--json", &argc, argv);
    mw_memory_init(0);
    mw_err err = mw_server_options_load(&settings, argc - 1, argv + 1, &detail);
    if (err) {
        fprintf(stderr, "midwatch: %s: %s%s%s\n", detail.field[0] ? detail.field : "check",
                detail.message[0] ? detail.message : mw_err_text(err), detail.hint[0] ? "; " : "",
                detail.hint);
        return MW_EXIT_USAGE;
    }
    return check(&settings, rebuild, as_json);
}
