/* The log: builds a line on the stack and writes it with one call. */
#include <stdatomic.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/utf8.h"

/* A line is cut here: fields are ids, names and numbers, never content. */
#define LINE_MAX_BYTES 2048

typedef struct line {
    char text[LINE_MAX_BYTES];
    size_t len;
} line;

static atomic_int least_level = MW_LOG_INFO; /* changes on SIGHUP */
static mw_log_format line_format = MW_LOG_LOGFMT;
static int log_fd = STDERR_FILENO;
static const char *const level_names[] = {"debug", "info", "warn", "error"};

void mw_log_init(mw_log_level least, mw_log_format format, int fd)
{
    atomic_store(&least_level, (int)least);
    line_format = format;
    log_fd = fd;
}

void mw_log_set_level(mw_log_level least)
{
    atomic_store(&least_level, (int)least);
}

static void put(line *to, const char *text, size_t len)
{
    /* Two bytes stay free for the closing quote or brace and the newline. */
    size_t room = sizeof to->text - 3 - to->len;
    if (len > room)
        len = room;
    memcpy(to->text + to->len, text, len);
    to->len += len;
}

static void put_str(line *to, const char *text)
{
    put(to, text, strlen(text));
}

static void put_char(line *to, uint32_t code, const char *bytes, size_t len)
{
    char escape[16];
    bool plain = code >= 0x20 && code != '"' && code != '\\' && !(code >= 0x7f && code < 0xa0) &&
                 !(code >= 0x200b && code <= 0x202e) && !(code >= 0x2060 && code <= 0x2069);
    if (plain) {
        put(to, bytes, len);
        return;
    }
    int n = code == '"' || code == '\\' ? snprintf(escape, sizeof escape, "\\%c", (int)code)
                                        : snprintf(escape, sizeof escape, "\\u%04x", code);
    put(to, escape, (size_t)n);
}

static void put_quoted(line *to, mw_slice text)
{
    put(to, "\"", 1);
    for (size_t i = 0; i < text.len;) {
        uint32_t code;
        size_t len = mw_utf8_next(mw_slice_from(text, i), &code);
        if (len == 0)
            put(to, "\xef\xbf\xbd", 3);
        else
            put_char(to, code, text.data + i, len);
        i += len ? len : 1;
    }
    put(to, "\"", 1);
}

static void put_key(line *to, const char *key)
{
    bool json = line_format == MW_LOG_JSON;
    if (to->len)
        put_str(to, json ? "," : " ");
    if (json)
        put(to, "\"", 1);
    put_str(to, key);
    put_str(to, json ? "\":" : "=");
}

static bool is_bare_word(mw_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    strchr("-_./:+[]", c);
        if (c == '\0' || !word)
            return false;
    }
    return text.len > 0;
}

static void put_text(line *to, const char *key, mw_slice text)
{
    put_key(to, key);
    if (line_format == MW_LOG_LOGFMT && is_bare_word(text))
        put(to, text.data, text.len);
    else
        put_quoted(to, text);
}

static void put_number(line *to, const mw_log_field *field)
{
    char number[32];
    if (field->type == MW_FIELD_U64)
        snprintf(number, sizeof number, "%llu", (unsigned long long)field->number);
    else
        snprintf(number, sizeof number, "%lld", (long long)field->number);
    put_key(to, field->key);
    put_str(to, number);
}

void mw_log_write(mw_log_level level, const char *component, const char *message,
                  const mw_log_field *fields)
{
    if ((int)level < atomic_load_explicit(&least_level, memory_order_relaxed))
        return;
    line to = {.len = 0};
    char now[MW_TIME_TEXT_SIZE];
    mw_time_format((uint64_t)mw_clock_wall_ns(mw_clock_system()), now);
    put_text(&to, "ts", mw_slice_of(now));
    put_text(&to, "level", mw_slice_of(level_names[level]));
    put_text(&to, "component", mw_slice_of(component));
    put_text(&to, "msg", mw_slice_of(message));
    for (; fields->key; fields++) {
        if (fields->type == MW_FIELD_TEXT)
            put_text(&to, fields->key, fields->text);
        else
            put_number(&to, fields);
    }
    bool json = line_format == MW_LOG_JSON;
    char out[LINE_MAX_BYTES + 4];
    int len = snprintf(out, sizeof out, "%s%.*s%s\n", json ? "{" : "", (int)to.len, to.text,
                       json ? "}" : "");
    /* Nothing useful can be done when stderr is gone. */
    if (len > 0 && write(log_fd, out, (size_t)len) < 0)
        return;
}
