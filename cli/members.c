/* Members of an answer as values and as short texts: numbers, durations, times. Pure. */
#include "cli/cli_int.h"
#include "lib/base/clock.h"

/* Beyond this an age says less than a date. */
#define AGE_MAX_NS (30 * 24 * INT64_C(3600) * MW_NS_PER_S)

/* \u0000 as \ufffd, which is as long; a backslash always begins an escape in JSON text. */
static void mend_nul(char *text, size_t len)
{
    for (size_t i = 0; i + 1 < len; i++) {
        if (text[i] != '\\')
            continue;
        if (len - i >= 6 && memcmp(text + i + 1, "u0000", 5) == 0)
            memcpy(text + i + 1, "ufffd", 5);
        i++;
    }
}

json_t *mw_parse_answer(mw_slice body)
{
    json_error_t error;
    json_t *root = json_loadb(body.data, body.len, JSON_ALLOW_NUL, &error);
    if (root || json_error_code(&error) != json_error_null_byte_in_key)
        return root;
    char *copy = mw_alloc(MW_MEM_BASE, body.len);
    if (!copy)
        return NULL;
    memcpy(copy, body.data, body.len);
    mend_nul(copy, body.len);
    root = json_loadb(copy, body.len, 0, NULL);
    mw_free(MW_MEM_BASE, copy);
    return root;
}

mw_slice mw_text(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value))
        return MW_SLICE_NONE;
    return (mw_slice){json_string_value(value), json_string_length(value)};
}

int64_t mw_integer(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    int64_t number = 0;
    if (json_is_integer(value))
        return json_integer_value(value);
    /* Beyond 2^53 the API sends text. */
    if (json_is_string(value) && mw_slice_i64(mw_text(object, key), &number) == MW_OK)
        return number;
    return 0;
}

double mw_number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

bool mw_is_null(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return !value || json_is_null(value);
}

void mw_duration_text(double ms, char *out, size_t size)
{
    double positive = ms < 0 ? -ms : ms;
    const char *sign = ms < 0 ? "-" : "";
    if (positive < 10)
        snprintf(out, size, "%s%.2fms", sign, positive);
    else if (positive < 999.5)
        snprintf(out, size, "%s%.0fms", sign, positive);
    else if (positive < 59995)
        snprintf(out, size, "%s%.2fs", sign, positive / 1e3);
    else if (positive < 3600e3 - 500)
        snprintf(out, size, "%s%lldm%02llds", sign, (long long)((positive + 500) / 60e3),
                 (long long)((positive + 500) / 1e3) % 60);
    else
        snprintf(out, size, "%s%lldh%02lldm", sign, (long long)((positive + 500) / 3600e3),
                 (long long)((positive + 500) / 60e3) % 60);
}

void mw_taken_text(mw_cli *cli, const json_t *object, char out[MW_CELL_SIZE])
{
    double ms = mw_number(object, "duration_ms");
    if (ms < 0) {
        cli->turned_back++;
        snprintf(out, MW_CELL_SIZE, "-");
    } else {
        mw_duration_text(ms, out, MW_CELL_SIZE);
    }
}

void mw_instant_text(const json_t *object, const char *key, char out[MW_CELL_SIZE])
{
    /* "2026-03-14T09:26:53" of the nanosecond form. */
    mw_slice text = mw_slice_first(mw_text(object, key), 19);
    if (text.len == 0)
        out[0] = '\0';
    else
        snprintf(out, MW_CELL_SIZE, "%.*sZ", MW_SLICE_FMT(text));
}

static bool age_text(int64_t age_ns, char out[MW_CELL_SIZE])
{
    int64_t seconds = age_ns / MW_NS_PER_S;
    if (age_ns < 0 || age_ns >= AGE_MAX_NS)
        return false;
    if (seconds < 60)
        snprintf(out, MW_CELL_SIZE, "%llds ago", (long long)seconds);
    else if (seconds < 3600)
        snprintf(out, MW_CELL_SIZE, "%lldm ago", (long long)(seconds / 60));
    else if (seconds < 2 * 86400)
        snprintf(out, MW_CELL_SIZE, "%lldh ago", (long long)(seconds / 3600));
    else
        snprintf(out, MW_CELL_SIZE, "%lldd ago", (long long)(seconds / 86400));
    return true;
}

void mw_time_text(const mw_cli *cli, const json_t *object, const char *key, char out[MW_CELL_SIZE])
{
    char name[64];
    snprintf(name, sizeof name, "%s_unix_nano", key);
    int64_t at = mw_integer(object, name);
    if (cli->terminal && at > 0 && age_text(cli->now_ns - at, out))
        return;
    mw_instant_text(object, key, out);
}

void mw_severity_text(int64_t severity, char out[MW_CELL_SIZE])
{
    static const char *const levels[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"};
    int64_t step = (severity - 1) % 4 + 1;
    out[0] = '\0';
    if (severity < 0 || severity > 24)
        snprintf(out, MW_CELL_SIZE, "%lld", (long long)severity);
    else if (severity > 0 && step == 1)
        snprintf(out, MW_CELL_SIZE, "%s", levels[(severity - 1) / 4]);
    else if (severity > 0)
        snprintf(out, MW_CELL_SIZE, "%s%lld", levels[(severity - 1) / 4], (long long)step);
}

mw_style mw_severity_style(int64_t severity)
{
    if (severity >= 17)
        return MW_STYLE_RED;
    return severity >= 13 ? MW_STYLE_YELLOW : MW_STYLE_NONE;
}

/* Fifteen digits: a table is for reading, and 17 show 0.1 as 0.10000000000000001. */
#define VALUE_FLAGS (JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15))

void mw_value_text(const json_t *value, size_t columns, mw_buffer *out)
{
    char *dump = NULL;
    mw_slice text;
    if (json_is_string(value)) {
        text = (mw_slice){json_string_value(value), json_string_length(value)};
    } else {
        dump = value ? json_dumps(value, VALUE_FLAGS) : NULL;
        text = dump ? mw_slice_of(dump) : MW_SLICE_NONE;
    }
    if (columns)
        mw_append_cut(out, text, columns);
    else
        mw_buffer_append_slice(out, text);
    free(dump);
}
