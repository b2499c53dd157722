/* The strings of a log record's body, one after the other: those of its AnyValue at any depth, keys
 * of key-value lists among them.
 *
 * A body nests as deep as a sender liked, so that it is walked with a stack of bounded height, as
 * in proto/scan_value.c: a frame is the end of a message and its shape. Records are stored with at
 * most MW_OTLP_DEPTH_MAX levels; deeper ones are passed over. Bytes that break the wire format end
 * the walk. Pure, allocates nothing; about 3 KiB of stack.
 */
#ifndef MW_STORE_BODY_WALK_H
#define MW_STORE_BODY_WALK_H

#include "lib/base/slice.h"
#include "proto/scan.h"

/* A level is at most a list, a KeyValue and an AnyValue; the outermost is an AnyValue alone. */
#define MW_BODY_FRAMES_MAX (3 * MW_OTLP_DEPTH_MAX + 1)

typedef struct mw_body_walk {
    const uint8_t *at; /* NULL = the format is broken here */
    size_t top;
    struct {
        const uint8_t *end;
        uint8_t shape;
    } frames[MW_BODY_FRAMES_MAX];
} mw_body_walk;

/* `value` is an AnyValue message and must outlive the walk. */
void mw_body_walk_begin(mw_body_walk *walk, mw_slice value);
/* The next string, a slice of the value; false at the end. */
bool mw_body_walk_next(mw_body_walk *walk, mw_slice *text);

/* The next body of a LogRecord message (one, unless it came in parts), cut off the front of *rest,
 * which begins as the message. False when there is none left. */
bool mw_record_body(mw_slice *rest, mw_slice *value);

#endif
