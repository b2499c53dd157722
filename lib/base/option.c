/* Options: text to a struct by a table; the file reader is option_file.c. */
#include <ctype.h>

#include "lib/base/clock.h"
#include "lib/base/io.h"
#include "lib/base/memory.h"
#include "lib/base/option.h"

/* A value read through MIDWATCH_X_FILE: a secret or a list, never a document. */
#define VALUE_FILE_MAX ((size_t)64 << 10)

static mw_err parse_bytes(mw_slice text, uint64_t *out)
{
    static const struct {
        mw_slice suffix;
        unsigned shift;
    } units[] = {{MW_SLICE_INIT("KiB"), 10},
                 {MW_SLICE_INIT("MiB"), 20},
                 {MW_SLICE_INIT("GiB"), 30},
                 {MW_SLICE_INIT("TiB"), 40}};
    unsigned shift = 0;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (!mw_slice_ends(text, units[i].suffix))
            continue;
        text = mw_slice_trim(mw_slice_first(text, text.len - units[i].suffix.len));
        shift = units[i].shift;
        break;
    }
    uint64_t count;
    mw_err err = mw_slice_u64(text, &count);
    if (err != MW_OK)
        return err;
    return __builtin_mul_overflow(count, UINT64_C(1) << shift, out) ? MW_E_LIMIT : MW_OK;
}

static mw_err parse_bool(mw_slice text, bool *out)
{
    static const mw_slice yes[] = {MW_SLICE_INIT("true"), MW_SLICE_INIT("yes"), MW_SLICE_INIT("on"),
                                   MW_SLICE_INIT("1")};
    static const mw_slice no[] = {MW_SLICE_INIT("false"), MW_SLICE_INIT("no"), MW_SLICE_INIT("off"),
                                  MW_SLICE_INIT("0")};
    for (size_t i = 0; i < 4; i++) {
        if (mw_slice_equal_nocase(text, yes[i]) || mw_slice_equal_nocase(text, no[i])) {
            *out = mw_slice_equal_nocase(text, yes[i]);
            return MW_OK;
        }
    }
    return MW_E_SYNTAX;
}

static const char *form_of(mw_option_type type)
{
    switch (type) {
    case MW_OPTION_BYTES: return "give bytes, or a number with KiB, MiB or GiB";
    case MW_OPTION_DURATION: return "give a number with ms, s, m, h or d";
    case MW_OPTION_BOOL: return "give true or false";
    case MW_OPTION_COUNT: return "give a whole number";
    case MW_OPTION_TEXT:
    case MW_OPTION_LIST: return "give a shorter text without NUL";
    }
    return "";
}

static bool is_number(mw_option_type type)
{
    return type == MW_OPTION_BYTES || type == MW_OPTION_DURATION || type == MW_OPTION_COUNT;
}

static const char *most_of(mw_option_type type)
{
    return type == MW_OPTION_DURATION ? "the longest that can be given is 106751d"
                                      : "give a smaller number";
}

static bool in_bounds(const mw_option *option, uint64_t value)
{
    return (option->min == 0 && option->max == 0) || (value >= option->min && value <= option->max);
}

static mw_err store_value(const mw_option *option, void *target, mw_slice value, uint64_t *number)
{
    void *field = (char *)target + option->offset;
    mw_err err = MW_OK;
    uint64_t count = 0;
    int64_t ns = 0;
    bool flag = false;
    *number = option->min;
    switch (option->type) {
    case MW_OPTION_TEXT:
    case MW_OPTION_LIST: return mw_slice_to_cstr(value, field, option->size) ? MW_OK : MW_E_LIMIT;
    case MW_OPTION_BOOL:
        if ((err = parse_bool(value, &flag)) == MW_OK)
            *(bool *)field = flag;
        return err;
    case MW_OPTION_DURATION:
        if ((err = mw_duration_parse(value, &ns)) != MW_OK)
            return err;
        *number = (uint64_t)ns;
        if (in_bounds(option, *number))
            *(int64_t *)field = ns;
        return MW_OK;
    case MW_OPTION_BYTES:
    case MW_OPTION_COUNT:
        err = option->type == MW_OPTION_BYTES ? parse_bytes(value, &count)
                                              : mw_slice_u64(value, &count);
        if (err != MW_OK)
            return err;
        *number = count;
        if (in_bounds(option, count))
            *(uint64_t *)field = count;
        return MW_OK;
    }
    return MW_E_INVALID;
}

void mw_options_defaults(const mw_option *table, size_t count, void *target,
                         mw_option_origin *origins)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t number;
        mw_err err = store_value(&table[i], target, mw_slice_of(table[i].default_text), &number);
        MW_ASSERT(err == MW_OK && in_bounds(&table[i], number));
        origins[i] = MW_ORIGIN_DEFAULT;
    }
}

/* File keys use '_', flags use '-': both name the same option. */
static bool same_name(const char *option, mw_slice name)
{
    if (strlen(option) != name.len)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i] == '-' ? '_' : name.data[i];
        if (option[i] != c)
            return false;
    }
    return true;
}

static size_t find(const mw_option *table, size_t count, mw_slice name)
{
    size_t i = 0;
    while (i < count && !same_name(table[i].name, name))
        i++;
    return i;
}

const char *mw_option_number_text(mw_option_type type, uint64_t value, char *out, size_t size)
{
    static const struct {
        mw_option_type type;
        uint64_t unit;
        const char *name;
    } units[] = {{MW_OPTION_DURATION, UINT64_C(86400000000000), "d"},
                 {MW_OPTION_DURATION, UINT64_C(3600000000000), "h"},
                 {MW_OPTION_DURATION, UINT64_C(60000000000), "m"},
                 {MW_OPTION_DURATION, UINT64_C(1000000000), "s"},
                 {MW_OPTION_DURATION, UINT64_C(1000000), "ms"},
                 {MW_OPTION_BYTES, UINT64_C(1) << 40, "TiB"},
                 {MW_OPTION_BYTES, UINT64_C(1) << 30, "GiB"},
                 {MW_OPTION_BYTES, UINT64_C(1) << 20, "MiB"},
                 {MW_OPTION_BYTES, UINT64_C(1) << 10, "KiB"}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (units[i].type != type || value == 0 || value % units[i].unit)
            continue;
        snprintf(out, size, "%llu%s", (unsigned long long)(value / units[i].unit), units[i].name);
        return out;
    }
    snprintf(out, size, "%llu", (unsigned long long)value);
    return out;
}

mw_err mw_options_set(const mw_option *table, size_t count, void *target, mw_option_origin *origins,
                      mw_slice name, mw_slice value, mw_option_origin origin, mw_detail *detail)
{
    size_t i = find(table, count, name);
    if (i == count)
        return mw_detail_set(detail, MW_E_NOT_FOUND, "", "`midwatch serve --help` lists them",
                             "there is no option '%.*s'", MW_SLICE_FMT(mw_slice_first(name, 64)));
    const mw_option *option = &table[i];
    uint64_t number;
    mw_err err = store_value(option, target, value, &number);
    if (err == MW_E_LIMIT && is_number(option->type))
        return mw_detail_set(detail, err, option->name, most_of(option->type),
                             "'%.*s' is more than can be counted",
                             MW_SLICE_FMT(mw_slice_first(value, 100)));
    if (err != MW_OK)
        return mw_detail_set(detail, err == MW_E_LIMIT ? MW_E_LIMIT : MW_E_INVALID, option->name,
                             form_of(option->type), "cannot use '%.*s'",
                             MW_SLICE_FMT(mw_slice_first(value, 100)));
    if (!in_bounds(option, number)) {
        char least[32], most[32];
        return mw_detail_set(detail, MW_E_LIMIT, option->name, "choose a value inside the bounds",
                             "%.*s is outside %s to %s", MW_SLICE_FMT(mw_slice_first(value, 100)),
                             mw_option_number_text(option->type, option->min, least, sizeof least),
                             mw_option_number_text(option->type, option->max, most, sizeof most));
    }
    origins[i] = origin;
    return MW_OK;
}

static void variable_name(const mw_option *option, char *out, size_t size)
{
    int len = snprintf(out, size, "MIDWATCH_%s", option->name);
    MW_ASSERT(len > 0 && (size_t)len + sizeof "_FILE" <= size);
    for (char *at = out; *at; at++)
        *at = (char)toupper((unsigned char)*at);
}

static mw_err value_from_file(const mw_option *option, const char *path, char **text,
                              mw_slice *value, mw_detail *detail)
{
    size_t len = 0;
    mw_err err = mw_io_read_file(path, VALUE_FILE_MAX, text, &len);
    if (err != MW_OK)
        return mw_detail_set(detail, MW_E_INVALID, option->name,
                             "name a readable file of at most 64 KiB", "%s: cannot read %s: %s",
                             option->name, path, mw_err_text(err));
    while (len && ((*text)[len - 1] == '\n' || (*text)[len - 1] == '\r'))
        len--;
    *value = (mw_slice){*text, len};
    return MW_OK;
}

mw_err mw_options_environment(const mw_option *table, size_t count, void *target,
                              mw_option_origin *origins, mw_detail *detail)
{
    for (size_t i = 0; i < count; i++) {
        char name[96], file_name[104];
        variable_name(&table[i], name, sizeof name);
        snprintf(file_name, sizeof file_name, "%s_FILE", name);
        mw_slice value = mw_slice_of(getenv(name));
        char *text = NULL;
        mw_err err = MW_OK;
        if (!value.data && getenv(file_name))
            err = value_from_file(&table[i], getenv(file_name), &text, &value, detail);
        if (err == MW_OK && value.data)
            err = mw_options_set(table, count, target, origins, mw_slice_of(table[i].name), value,
                                 MW_ORIGIN_ENVIRONMENT, detail);
        mw_free(MW_MEM_BASE, text);
        if (err != MW_OK)
            return err;
    }
    return MW_OK;
}

/* "--name=value", "--name value", "--name" and "--no-name" for booleans. *used is how many
 * arguments it took. */
static mw_err take_flag(const mw_option *table, size_t count, int argc, char **argv, mw_slice *name,
                        mw_slice *value, int *used, mw_detail *detail)
{
    mw_slice text = mw_slice_of(argv[0]);
    *used = 1;
    if (!mw_slice_starts(text, MW_SLICE("--")) || text.len == 2)
        return mw_detail_set(detail, MW_E_INVALID, "", "options begin with --",
                             "unexpected argument '%.64s'", argv[0]);
    text = mw_slice_from(text, 2);
    size_t equals = mw_slice_find_byte(text, '=');
    *name = mw_slice_first(text, equals);
    *value = mw_slice_from(text, equals + 1);
    if (equals < text.len)
        return MW_OK;
    size_t i = find(table, count, *name);
    if (i < count && table[i].type == MW_OPTION_BOOL) {
        *value = MW_SLICE("true");
        return MW_OK;
    }
    mw_slice positive = mw_slice_from(*name, 3);
    size_t negated = mw_slice_starts(*name, MW_SLICE("no-")) ? find(table, count, positive) : count;
    if (negated < count && table[negated].type == MW_OPTION_BOOL) {
        *name = positive;
        *value = MW_SLICE("false");
        return MW_OK;
    }
    /* One that there is not is told by mw_options_set, whatever stands behind it. */
    if (argc < 2 && i < count)
        return mw_detail_set(detail, MW_E_INVALID, table[i].name,
                             "write --name VALUE or --name=VALUE", "%.64s needs a value", argv[0]);
    if (argc < 2)
        return MW_OK;
    *value = mw_slice_of(argv[1]);
    *used = 2;
    return MW_OK;
}

mw_err mw_options_flags(const mw_option *table, size_t count, void *target,
                        mw_option_origin *origins, int argc, char **argv, mw_detail *detail)
{
    for (int i = 0; i < argc;) {
        mw_slice name = MW_SLICE_NONE, value = MW_SLICE_NONE;
        int used = 0;
        mw_err err = take_flag(table, count, argc - i, argv + i, &name, &value, &used, detail);
        if (err == MW_OK)
            err =
                mw_options_set(table, count, target, origins, name, value, MW_ORIGIN_FLAG, detail);
        if (err != MW_OK)
            return err;
        i += used;
    }
    return MW_OK;
}

void mw_options_print_help(const mw_option *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char variable[96], flag[96];
        variable_name(&table[i], variable, sizeof variable);
        snprintf(flag, sizeof flag, "%s", table[i].name);
        for (char *at = flag; *at; at++)
            if (*at == '_')
                *at = '-';
        printf("  --%s%s%s\n        %s\n        default: %s   variable: %s   file key: %s%s\n",
               flag, table[i].value_name ? " " : "", table[i].value_name ? table[i].value_name : "",
               table[i].help, table[i].default_text[0] ? table[i].default_text : "(none)", variable,
               table[i].name, table[i].reloadable ? "   (reloaded on SIGHUP)" : "");
    }
}
