/* Findings to JSON. See report_int.h. Pure; runs on a pool thread. */
#include "lib/base/json_writer.h"
#include "triage/report_int.h"

/* MW_EVIDENCE_MAX items of a few hundred bytes each, every byte escaped to six. */
#define REPORT_MAX ((size_t)256 << 10)

static const char *const gap_codes[] = {
#define MW_GAP_TEXT(name, code) [MW_GAP_##name] = code,
    MW_GAPS(MW_GAP_TEXT)
#undef MW_GAP_TEXT
};

const char *mw_gap_code_name(mw_gap_code code)
{
    MW_ASSERT((unsigned)code < MW_GAP_COUNT);
    return gap_codes[code];
}

static mw_err keep(mw_arena *arena, mw_buffer *buffer, mw_slice *out)
{
    mw_err err = buffer->err;
    if (err == MW_OK) {
        *out = mw_arena_copy(arena, mw_buffer_slice(buffer));
        err = out->data ? MW_OK : MW_E_NOMEM;
    }
    mw_buffer_fini(buffer);
    return err;
}

static void write_evidence(mw_json *json, const mw_evidence *evidence)
{
    char id[MW_ID_TEXT_SIZE];
    mw_id_new(id);
    mw_json_object_begin(json);
    mw_json_kv(json, "evidence_id", mw_slice_of(id));
    mw_json_kv(json, "kind", mw_slice_of(evidence->kind));
    mw_json_kv(json, "text", evidence->text);
    mw_json_kv_or_null(json, "service", evidence->service);
    mw_json_key(json, MW_SLICE("window"));
    mw_json_object_begin(json);
    mw_json_kv_time(json, "start", evidence->start_ns);
    mw_json_kv_time(json, "end", evidence->end_ns);
    mw_json_object_end(json);
    mw_json_key(json, MW_SLICE("ref"));
    mw_json_object_begin(json);
    if (evidence->trace_id.len)
        mw_json_kv(json, "trace_id", evidence->trace_id);
    if (evidence->span_id.len)
        mw_json_kv(json, "span_id", evidence->span_id);
    mw_json_object_end(json);
    mw_json_kv(json, "query", evidence->query);
    mw_json_object_end(json);
}

mw_err mw_report_evidence(const mw_findings *findings, mw_slice *out)
{
    mw_buffer buffer;
    mw_json json;
    mw_buffer_init(&buffer, MW_MEM_QUERY, REPORT_MAX);
    mw_json_init(&json, &buffer);
    mw_json_array_begin(&json);
    for (size_t i = 0; i < findings->evidence_count; i++)
        write_evidence(&json, &findings->evidence[i]);
    mw_json_array_end(&json);
    return keep(findings->arena, &buffer, out);
}

static void write_empty_array(mw_json *json, mw_slice key)
{
    mw_json_key(json, key);
    mw_json_array_begin(json);
    mw_json_array_end(json);
}

mw_err mw_report_root_cause(mw_arena *arena, mw_slice summary, const mw_gap *gaps, size_t gap_count,
                            mw_slice *out)
{
    mw_buffer buffer;
    mw_json json;
    mw_buffer_init(&buffer, MW_MEM_QUERY, REPORT_MAX);
    mw_json_init(&json, &buffer);
    mw_json_object_begin(&json);
    mw_json_kv(&json, "verdict", MW_SLICE("INCONCLUSIVE"));
    mw_json_kv(&json, "summary", summary);
    mw_json_kv_double(&json, "confidence", 0.0);
    mw_json_kv_null(&json, "onset");
    write_empty_array(&json, MW_SLICE("candidates"));
    write_empty_array(&json, MW_SLICE("ruled_out"));
    mw_json_key(&json, MW_SLICE("gaps"));
    mw_json_array_begin(&json);
    for (size_t i = 0; i < gap_count; i++) {
        mw_json_object_begin(&json);
        mw_json_kv(&json, "code", mw_slice_of(mw_gap_code_name(gaps[i].code)));
        mw_json_kv(&json, "text", gaps[i].text);
        mw_json_object_end(&json);
    }
    mw_json_array_end(&json);
    mw_json_object_end(&json);
    return keep(arena, &buffer, out);
}
