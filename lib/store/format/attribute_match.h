/* Does an item hold an attribute with a value? Values are compared as text (store.h).
 *
 * A string is its own text, an integer its decimal digits, a bool "true" or "false", a double what
 * the API shows of it ("5.0", shortest round trip; "NaN", "Infinity", "-Infinity"). Arrays, lists,
 * bytes and empty values have no text and equal nothing. Of equal keys in one message the last one
 * counts, as it is the one that is shown. Pure, any thread: OTLP bytes in, a verdict out, nothing
 * unpacked.
 */
#ifndef MW_STORE_ATTRIBUTE_MATCH_H
#define MW_STORE_ATTRIBUTE_MATCH_H

#include "lib/store/store.h"
#include "proto/scan.h"

/* The numbers of the attributes' fields, by message. */
enum {
    MW_RESOURCE_ATTRIBUTES = 1,
    MW_SCOPE_ATTRIBUTES = 3,
    MW_LOG_ATTRIBUTES = 6,
    MW_SPAN_ATTRIBUTES = 9
};

/* What is wanted, with all that its text can stand for read once. */
typedef struct mw_attribute_wanted {
    mw_slice key, value; /* the query's */
    bool is_integer, is_double;
    int64_t integer;
    uint64_t double_bits; /* as mw_double_bits */
} mw_attribute_wanted;

/* MW_E_NOMEM. The query's texts must outlive *out. */
MW_MUST_USE mw_err mw_attribute_want(const mw_attribute_query *query, mw_attribute_wanted *out);

/* A KeyValue message; value->type is EMPTY when it has none. False: the wire format is broken. */
bool mw_attribute_read(mw_slice key_value, mw_slice *key, mw_value *value);
/* Without a loop, where it is of the usual form, a key and then a text. False says nothing: that is
 * left to mw_attribute_read. */
bool mw_attribute_text(mw_slice key_value, mw_slice *key, mw_slice *text);
/* The bits of a double, with one NaN for all, since they show alike. */
uint64_t mw_double_bits(double value);

/* Bit i of the answer: the message, whose attributes are its fields of that number, holds
 * wanted[i]. At most 32. Bytes that break the wire format end the search. */
uint32_t mw_attributes_held(mw_slice message, uint32_t number, const mw_attribute_wanted *wanted,
                            size_t count);

#endif
