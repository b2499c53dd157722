/* Text search in the body of a log record.
 *
 * The body's strings are those of its AnyValue at any depth, keys of key-value lists among them.
 * Pure: OTLP bytes in, a verdict out. Nothing is unpacked.
 */
#ifndef MW_STORE_LOG_TEXT_H
#define MW_STORE_LOG_TEXT_H

#include "lib/base/slice.h"

/* Does `needle` occur in one of the strings of the body of `record`, an OTLP LogRecord? The case of
 * ASCII letters is ignored. An empty needle occurs everywhere. Bytes that break the wire format end
 * the search: what stands before them counts. */
bool mw_log_body_contains(mw_slice record, mw_slice needle);
/* The same in one text. */
bool mw_text_contains(mw_slice text, mw_slice needle);

#endif
