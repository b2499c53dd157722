/* Room-private: the body of a log record as a JSON document, for emf.c. */
#ifndef MW_COLLECTOR_EMF_BODY_H
#define MW_COLLECTOR_EMF_BODY_H

#include <jansson.h>

#include "lib/base/buffer.h"
#include "proto/scan.h"

/* The body, text or map, as a JSON object; NULL when it is none, too long or nested too deep.
 * The caller's (json_decref). `text` is used meanwhile; MW_E_NOMEM sticks to it. */
json_t *mw_emf_body_load(const mw_value *body, mw_buffer *text);

#endif
