/* Text on its way out: whatever a peer sent, JSON parses and terminal text holds no control. */
#include <jansson.h>

#include "lib/base/json_writer.h"
#include "lib/base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_visible(mw_slice text)
{
    mw_buffer out;
    mw_buffer_init(&out, MW_MEM_BASE, (size_t)64 << 20);
    mw_utf8_append_visible(&out, text, false);
    MW_ASSERT(mw_utf8_valid(mw_buffer_slice(&out)));
    for (size_t i = 0; i < out.len; i++)
        MW_ASSERT((unsigned char)out.data[i] >= 0x20 && out.data[i] != 0x7f);
    mw_buffer_fini(&out);
}

static void check_json(mw_slice text)
{
    mw_buffer out;
    mw_json json;
    mw_buffer_init(&out, MW_MEM_BASE, (size_t)64 << 20);
    mw_json_init(&json, &out);
    mw_json_object_begin(&json);
    mw_json_key(&json, text);
    mw_json_string(&json, text);
    mw_json_key(&json, MW_SLICE("number"));
    double number = 0;
    memcpy(&number, text.data, text.len < sizeof number ? text.len : sizeof number);
    mw_json_double(&json, number);
    mw_json_object_end(&json);
    MW_ASSERT(out.err == MW_OK);
    json_t *root = json_loadb(out.data, out.len, JSON_ALLOW_NUL | JSON_DISABLE_EOF_CHECK, NULL);
    MW_ASSERT(root != NULL || mw_slice_find_byte(text, '\0') < text.len);
    if (root && number == number && text.len >= sizeof number &&
        json_is_real(json_object_get(root, "number")))
        MW_ASSERT(json_real_value(json_object_get(root, "number")) == number);
    json_decref(root);
    mw_buffer_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mw_slice text = mw_slice_bytes(data, size);
    if (size == 0)
        return 0;
    check_visible(text);
    check_json(text);
    return 0;
}
