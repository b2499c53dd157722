/* google.rpc.Status in protobuf and JSON. Contract: status_body.h. */
#include "collector/status_body.h"

#include "collector/collector.h"
#include "lib/base/json_writer.h"
#include "proto/rpc_status.pb-c.h"

#define RETRY_INFO_URL "type.googleapis.com/google.rpc.RetryInfo"
#define BAD_REQUEST_URL "type.googleapis.com/google.rpc.BadRequest"

/* A Status is a sentence, a path and two type URLs; anything longer is cut by its maker. */
#define STATUS_JSON_MAX 8192

mw_answer_form mw_answer_form_of(const mw_request *request, bool *known)
{
    *known = true;
    if (request->framing == MW_FRAMING_GRPC)
        return MW_FORM_GRPC;
    mw_slice type = mw_request_header(request, MW_SLICE("content-type"), NULL);
    type = mw_slice_trim(mw_slice_first(type, mw_slice_find_byte(type, ';')));
    if (mw_slice_equal_nocase(type, MW_SLICE("application/x-protobuf")))
        return MW_FORM_PROTOBUF;
    *known = mw_slice_equal_nocase(type, MW_SLICE("application/json"));
    return MW_FORM_JSON;
}

/* ---- protobuf ------------------------------------------------------------------------------ */

static ProtobufCBinaryData binary(mw_slice text)
{
    /* protobuf-c takes a pointer that is not const and only reads. */
    return (ProtobufCBinaryData){text.len, (uint8_t *)(uintptr_t)text.data};
}

static mw_slice pack(const ProtobufCMessage *message, mw_arena *arena)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *out = mw_arena_alloc(arena, size + 1);
    if (!out)
        return MW_SLICE_NONE;
    return (mw_slice){(const char *)out, protobuf_c_message_pack(message, out)};
}

static mw_slice pack_retry_info(unsigned seconds, mw_arena *arena)
{
    Google__Protobuf__Duration delay;
    Google__Rpc__RetryInfo info;
    google__protobuf__duration__init(&delay);
    google__rpc__retry_info__init(&info);
    delay.seconds = seconds;
    info.retry_delay = &delay;
    return pack(&info.base, arena);
}

static mw_slice pack_bad_request(const mw_status *status, mw_arena *arena)
{
    Google__Rpc__BadRequest__FieldViolation violation, *list = &violation;
    Google__Rpc__BadRequest request;
    google__rpc__bad_request__field_violation__init(&violation);
    google__rpc__bad_request__init(&request);
    violation.field = binary(status->field);
    violation.description = binary(status->message);
    request.n_field_violations = 1;
    request.field_violations = &list;
    return pack(&request.base, arena);
}

static void add_detail(Google__Rpc__Status *message, Google__Protobuf__Any *any, mw_slice type_url,
                       mw_slice value)
{
    google__protobuf__any__init(any);
    any->type_url = binary(type_url);
    any->value = binary(value);
    message->details[message->n_details++] = any;
}

mw_slice mw_status_protobuf(const mw_status *status, mw_arena *arena)
{
    Google__Rpc__Status message;
    Google__Protobuf__Any anys[2], *details[2];
    google__rpc__status__init(&message);
    message.code = (int32_t)status->code;
    message.message = binary(status->message);
    message.details = details;
    if (status->retry_after_s)
        add_detail(&message, &anys[message.n_details], MW_SLICE(RETRY_INFO_URL),
                   pack_retry_info(status->retry_after_s, arena));
    if (status->field.len)
        add_detail(&message, &anys[message.n_details], MW_SLICE(BAD_REQUEST_URL),
                   pack_bad_request(status, arena));
    return pack(&message.base, arena);
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static void write_retry_info(mw_json *json, unsigned seconds)
{
    char delay[16];
    snprintf(delay, sizeof delay, "%us", seconds);
    mw_json_object_begin(json);
    mw_json_kv(json, "@type", MW_SLICE(RETRY_INFO_URL));
    mw_json_kv(json, "retryDelay", mw_slice_of(delay));
    mw_json_object_end(json);
}

static void write_bad_request(mw_json *json, const mw_status *status)
{
    mw_json_object_begin(json);
    mw_json_kv(json, "@type", MW_SLICE(BAD_REQUEST_URL));
    mw_json_key(json, MW_SLICE("fieldViolations"));
    mw_json_array_begin(json);
    mw_json_object_begin(json);
    mw_json_kv(json, "field", status->field);
    mw_json_kv(json, "description", status->message);
    mw_json_object_end(json);
    mw_json_array_end(json);
    mw_json_object_end(json);
}

mw_slice mw_status_json(const mw_status *status, mw_arena *arena)
{
    mw_buffer buffer;
    mw_json json;
    mw_buffer_init(&buffer, MW_MEM_INGEST, STATUS_JSON_MAX);
    mw_json_init(&json, &buffer);
    mw_json_object_begin(&json);
    mw_json_kv_i64(&json, "code", status->code);
    mw_json_kv(&json, "message", status->message);
    mw_json_key(&json, MW_SLICE("details"));
    mw_json_array_begin(&json);
    if (status->retry_after_s)
        write_retry_info(&json, status->retry_after_s);
    if (status->field.len)
        write_bad_request(&json, status);
    mw_json_array_end(&json);
    mw_json_object_end(&json);
    mw_slice text = MW_SLICE_NONE;
    if (buffer.err == MW_OK)
        text = mw_arena_copy(arena, mw_buffer_slice(&buffer));
    mw_buffer_fini(&buffer);
    return text;
}

/* ---- answers ------------------------------------------------------------------------------- */

static bool has_header(const mw_response *response, mw_slice name)
{
    for (size_t i = 0; i < response->header_count; i++)
        if (mw_slice_equal(response->headers[i].name, name))
            return true;
    return false;
}

static void add_header(mw_response *response, mw_slice name, const char *value)
{
    if (value && response->header_count < MW_RESPONSE_HEADERS_MAX)
        response->headers[response->header_count++] = (mw_header){name, mw_slice_of(value)};
}

void mw_status_fill(const mw_status *status, mw_answer_form form, mw_arena *arena,
                    mw_response *response)
{
    if (form == MW_FORM_GRPC) {
        response->rpc_details = mw_status_protobuf(status, arena);
        return;
    }
    bool json = form == MW_FORM_JSON;
    response->content_type =
        json ? MW_SLICE("application/json") : MW_SLICE("application/x-protobuf");
    response->body = json ? mw_status_json(status, arena) : mw_status_protobuf(status, arena);
    if (status->retry_after_s && !has_header(response, MW_SLICE("retry-after")))
        add_header(response, MW_SLICE("retry-after"),
                   mw_arena_printf(arena, "%u", status->retry_after_s));
}

void mw_status_answer(const mw_status *status, mw_answer_form form, mw_arena *arena,
                      mw_response *response)
{
    *response = (mw_response){
        .status = status->http_status, .rpc_code = status->code, .rpc_message = status->message};
    mw_status_fill(status, form, arena, response);
}

void mw_collector_format_refusal(mw_request *request, const mw_net_refusal *refusal,
                                 mw_response *response)
{
    bool known;
    mw_answer_form form = mw_answer_form_of(request, &known);
    mw_status status = {.http_status = refusal->status,
                        .code = refusal->rpc_code,
                        .message = refusal->message,
                        .retry_after_s = refusal->retry_after_s};
    if (response->rpc_message.len == 0)
        response->rpc_message = refusal->message;
    mw_status_fill(&status, form, &request->arena, response);
}
