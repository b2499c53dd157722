/* Error texts, details for a person, and the one way to die of a bug. */
#include <stdarg.h>
#include <unistd.h>

#include "lib/base/error.h"

static const char *const texts[MW_E_COUNT] = {
    [MW_OK] = "ok",
    [MW_E_NOMEM] = "memory limit reached",
    [MW_E_LIMIT] = "too large",
    [MW_E_BUSY] = "queue full",
    [MW_E_SYNTAX] = "malformed",
    [MW_E_INVALID] = "invalid value",
    [MW_E_NOT_FOUND] = "not found",
    [MW_E_AMBIGUOUS] = "ambiguous id prefix",
    [MW_E_CONFLICT] = "conflict",
    [MW_E_DENIED] = "not allowed",
    [MW_E_UNAUTHENTICATED] = "not authenticated",
    [MW_E_UNSUPPORTED] = "not supported",
    [MW_E_IO] = "input/output error",
    [MW_E_NO_SPACE] = "no space left or read-only",
    [MW_E_CORRUPT] = "stored data is damaged",
    [MW_E_CLOSED] = "shutting down",
    [MW_E_TIMEOUT] = "timed out",
    [MW_E_AGAIN] = "more input needed",
};

const char *mw_err_text(mw_err err)
{
    if ((unsigned)err >= MW_E_COUNT || !texts[err])
        return "unknown error";
    return texts[err];
}

/* Details end up in terminals and JSON: a control character is shown as '?', never passed on. */
static void neutralise(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

mw_err mw_detail_set(mw_detail *detail, mw_err err, const char *field, const char *hint,
                     const char *format, ...)
{
    if (!detail)
        return err;
    va_list args;
    va_start(args, format);
    vsnprintf(detail->message, sizeof detail->message, format, args);
    va_end(args);
    snprintf(detail->field, sizeof detail->field, "%s", field ? field : "");
    snprintf(detail->hint, sizeof detail->hint, "%s", hint ? hint : "");
    neutralise(detail->message);
    neutralise(detail->field);
    neutralise(detail->hint);
    return err;
}

void mw_bug(const char *file, int line, const char *text)
{
    char message[512];
    int len = snprintf(message, sizeof message, "midwatch: bug at %s:%d: %s\n", file, line, text);
    if (len > 0 && write(STDERR_FILENO, message, (size_t)len) < 0)
        abort();
    abort();
}
