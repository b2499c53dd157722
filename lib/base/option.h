/* One option table: it feeds the YAML file, MIDWATCH_* variables, flags, `check`, help and the
 * docs (DESIGN 4.1). Precedence: flag > environment > file > default.
 *
 * The table is data of the room that owns the options (server/options.h); this module parses
 * text into a struct by offset and names the option and the fix when a value is wrong.
 */
#ifndef MW_BASE_OPTION_H
#define MW_BASE_OPTION_H

#include "lib/base/slice.h"

typedef enum mw_option_type {
    MW_OPTION_TEXT,     /* char[size] in the struct */
    MW_OPTION_BYTES,    /* uint64_t; "64MiB", "512KiB", "1GiB" or plain bytes */
    MW_OPTION_DURATION, /* int64_t ns; "20m", "30s" */
    MW_OPTION_BOOL,     /* bool; true/false/yes/no/on/off/1/0 */
    MW_OPTION_COUNT,    /* uint64_t */
    MW_OPTION_LIST      /* char[size]: comma-separated; a YAML sequence is joined */
} mw_option_type;

typedef struct mw_option {
    const char *name; /* file key; flag is --name with '-', variable MIDWATCH_NAME */
    mw_option_type type;
    size_t offset; /* in the caller's struct */
    size_t size;   /* of the field, for TEXT and LIST */
    const char *default_text;
    uint64_t min, max;      /* BYTES, DURATION (ns), COUNT; 0,0 = no bounds */
    bool reloadable;        /* taken up on SIGHUP */
    const char *value_name; /* in help: "ADDR" */
    const char *help;       /* one sentence */
} mw_option;

/* Where a value came from, kept per option so that `check` can say it. */
typedef enum mw_option_origin {
    MW_ORIGIN_DEFAULT,
    MW_ORIGIN_FILE,
    MW_ORIGIN_ENVIRONMENT,
    MW_ORIGIN_FLAG
} mw_option_origin;

/* All return MW_E_INVALID, MW_E_LIMIT or MW_E_NOT_FOUND (unknown name) with `detail` filled. */
void mw_options_defaults(const mw_option *table, size_t count, void *target,
                         mw_option_origin *origins);
MW_MUST_USE mw_err mw_options_set(const mw_option *table, size_t count, void *target,
                                  mw_option_origin *origins, mw_slice name, mw_slice value,
                                  mw_option_origin origin, mw_detail *detail);
/* YAML mapping of names to scalars or sequences of scalars; also MW_E_SYNTAX with the line. */
MW_MUST_USE mw_err mw_options_file(const mw_option *table, size_t count, void *target,
                                   mw_option_origin *origins, const char *path, mw_detail *detail);
/* Every MIDWATCH_X of the table that is set; MIDWATCH_X_FILE reads the value from a file. */
MW_MUST_USE mw_err mw_options_environment(const mw_option *table, size_t count, void *target,
                                          mw_option_origin *origins, mw_detail *detail);
/* argv[0..argc) with "--name value", "--name=value" and, for booleans, "--name"/"--no-name". */
MW_MUST_USE mw_err mw_options_flags(const mw_option *table, size_t count, void *target,
                                    mw_option_origin *origins, int argc, char **argv,
                                    mw_detail *detail);
/* The value of a BYTES, DURATION or COUNT as somebody would write it: "1s", "64MiB", in the largest
 * unit that divides it. Returns `out`. */
const char *mw_option_number_text(mw_option_type type, uint64_t value, char *out, size_t size);
/* Help text, one option a paragraph, to stdout. */
void mw_options_print_help(const mw_option *table, size_t count);

#endif
