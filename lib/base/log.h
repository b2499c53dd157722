/* The program's own log: one line an event on stderr, logfmt or JSON.
 *
 * Values are escaped here (control characters, quotes, bad UTF-8), so a peer's text can never
 * forge a line or reach a terminal raw. Any thread; a line is written with one write(2).
 *
 *     MW_LOG(MW_LOG_WARN, "store", "append failed", MW_KV_ERR(err), MW_KV_U64("bytes", n));
 */
#ifndef MW_BASE_LOG_H
#define MW_BASE_LOG_H

#include <stdint.h>

#include "lib/base/slice.h"

typedef enum mw_log_level { MW_LOG_DEBUG, MW_LOG_INFO, MW_LOG_WARN, MW_LOG_ERROR } mw_log_level;
typedef enum mw_log_format { MW_LOG_LOGFMT, MW_LOG_JSON } mw_log_format;

typedef struct mw_log_field {
    const char *key;
    enum { MW_FIELD_TEXT, MW_FIELD_U64, MW_FIELD_I64 } type;
    mw_slice text;
    uint64_t number;
} mw_log_field;

#define MW_KV(key_, slice_) ((mw_log_field){key_, MW_FIELD_TEXT, slice_, 0})
#define MW_KV_STR(key_, c_string_) ((mw_log_field){key_, MW_FIELD_TEXT, mw_slice_of(c_string_), 0})
#define MW_KV_U64(key_, n_) ((mw_log_field){key_, MW_FIELD_U64, {NULL, 0}, (uint64_t)(n_)})
#define MW_KV_I64(key_, n_) ((mw_log_field){key_, MW_FIELD_I64, {NULL, 0}, (uint64_t)(n_)})
#define MW_KV_ERR(err_) MW_KV_STR("error", mw_err_text(err_))
#define MW_KV_END ((mw_log_field){NULL, MW_FIELD_TEXT, {NULL, 0}, 0})

/* Before threads start. */
void mw_log_init(mw_log_level least, mw_log_format format, int fd);
/* Any thread, any time. */
void mw_log_set_level(mw_log_level least);
void mw_log_write(mw_log_level level, const char *component, const char *message,
                  const mw_log_field *fields);
#define MW_LOG(level_, component_, ...) MW_LOG_(level_, component_, __VA_ARGS__, MW_KV_END)
#define MW_LOG_(level_, component_, message_, ...)                                                 \
    mw_log_write(level_, component_, message_, (const mw_log_field[]){__VA_ARGS__})

#endif
