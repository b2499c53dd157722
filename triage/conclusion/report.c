/* Findings and causes to JSON. See report_int.h. Pure; runs on a pool thread. */
#include "lib/base/clock.h"
#include "lib/base/json_writer.h"
#include "triage/conclusion/report_int.h"

/* Ten candidates with eight reasons of a kilobyte, every byte escaped to six. */
#define REPORT_MAX ((size_t)1 << 20)
/* Evidence that a journal record holds: enough to judge, little enough to read. */
#define EVIDENCE_MAX 20

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

static void write_ref(mw_json *json, const mw_evidence *evidence)
{
    const struct {
        const char *key;
        mw_slice text;
    } members[] = {{"trace_id", evidence->trace_id},
                   {"span_id", evidence->span_id},
                   {"metric", evidence->metric},
                   {"caller", evidence->caller},
                   {"callee", evidence->callee},
                   {"operation", evidence->operation},
                   {"deployment_id", evidence->deployment_id}};
    mw_json_key(json, MW_SLICE("ref"));
    mw_json_object_begin(json);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (members[i].text.len)
            mw_json_kv(json, members[i].key, members[i].text);
    mw_json_object_end(json);
}

static void write_evidence(mw_json *json, const mw_evidence *evidence)
{
    mw_json_object_begin(json);
    mw_json_kv(json, "evidence_id", mw_slice_of(evidence->id));
    mw_json_kv(json, "kind", mw_slice_of(evidence->kind));
    mw_json_kv(json, "text", evidence->text);
    mw_json_kv_or_null(json, "service", evidence->service);
    mw_json_key(json, MW_SLICE("window"));
    mw_json_object_begin(json);
    mw_json_kv_time(json, "start", evidence->start_ns);
    mw_json_kv_time(json, "end", evidence->end_ns);
    mw_json_object_end(json);
    write_ref(json, evidence);
    mw_json_kv(json, "query", evidence->query);
    mw_json_object_end(json);
}

mw_err mw_report_evidence(const mw_findings *findings, size_t from, mw_slice *out)
{
    mw_buffer buffer;
    mw_json json;
    size_t written = 0;
    mw_buffer_init(&buffer, MW_MEM_QUERY, REPORT_MAX);
    mw_json_init(&json, &buffer);
    mw_json_array_begin(&json);
    for (size_t i = from; i < findings->count && written < EVIDENCE_MAX; i++) {
        if (!findings->items[i].evidence)
            continue;
        write_evidence(&json, findings->items[i].evidence);
        written++;
    }
    mw_json_array_end(&json);
    return keep(findings->arena, &buffer, out);
}

static void write_reason(mw_json *json, const mw_finding *finding)
{
    mw_json_object_begin(json);
    mw_json_kv(json, "text", finding->text);
    mw_json_key(json, MW_SLICE("evidence"));
    mw_json_array_begin(json);
    if (finding->evidence)
        write_evidence(json, finding->evidence);
    mw_json_array_end(json);
    mw_json_object_end(json);
}

static void write_candidate(mw_json *json, const mw_ranked_cause *cause)
{
    mw_json_object_begin(json);
    mw_json_kv(json, "service", cause->service);
    mw_json_kv_double(json, "score", cause->score);
    mw_json_kv(json, "kind", mw_slice_of(mw_fault_kind_name(cause->kind)));
    mw_json_key(json, MW_SLICE("reasons"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < cause->reason_count; i++)
        write_reason(json, cause->reasons[i]);
    mw_json_array_end(json);
    mw_json_object_end(json);
}

static void write_lists(mw_json *json, const mw_findings *findings, const mw_causes *causes)
{
    mw_json_key(json, MW_SLICE("candidates"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < causes->count; i++)
        write_candidate(json, &causes->items[i]);
    mw_json_array_end(json);
    mw_json_key(json, MW_SLICE("ruled_out"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < causes->ruled_out_count; i++) {
        mw_json_object_begin(json);
        mw_json_kv(json, "service", causes->ruled_out[i].service);
        mw_json_kv(json, "text", causes->ruled_out[i].text);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
    mw_json_key(json, MW_SLICE("gaps"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < findings->gap_count; i++) {
        mw_json_object_begin(json);
        mw_json_kv(json, "code", mw_slice_of(mw_gap_code_name(findings->gaps[i].code)));
        mw_json_kv(json, "text", findings->gaps[i].text);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

mw_err mw_report_root_cause(const mw_findings *findings, const mw_causes *causes, mw_slice summary,
                            mw_slice *out)
{
    mw_buffer buffer;
    mw_json json;
    mw_buffer_init(&buffer, MW_MEM_QUERY, REPORT_MAX);
    mw_json_init(&json, &buffer);
    mw_json_object_begin(&json);
    mw_json_kv(&json, "verdict",
               causes->probable ? MW_SLICE("PROBABLE") : MW_SLICE("INCONCLUSIVE"));
    mw_json_kv(&json, "summary", summary);
    mw_json_kv_double(&json, "confidence", causes->confidence);
    mw_json_kv_time(&json, "onset", causes->onset_ns);
    write_lists(&json, findings, causes);
    mw_json_object_end(&json);
    return keep(findings->arena, &buffer, out);
}

mw_slice mw_report_summary(const mw_findings *findings, const mw_causes *causes, mw_slice entry)
{
    mw_arena *arena = findings->arena;
    char onset[MW_TIME_TEXT_SIZE];
    if (!causes->count)
        return mw_sentence(arena, "No cause is named: nothing differs enough from before.%s",
                           findings->gap_count ? " The gaps say what could not be looked at." : "");
    const mw_ranked_cause *first = &causes->items[0];
    mw_slice service = mw_shown(arena, first->service, 120);
    mw_slice where = mw_shown(arena, entry, 120);
    bool elsewhere = causes->entry_leads;
    mw_slice change = first->change ? first->change->text : MW_SLICE("");
    mw_time_format(causes->onset_ns, onset);
    mw_slice since =
        causes->onset_ns ? mw_sentence(arena, ", since about %.19sZ", onset) : MW_SLICE("");
    if (first->untied)
        return mw_sentence(arena,
                           "No cause is named: no known call leads from %.*s to what is wrong. "
                           "Elsewhere, %.*s: %s%.*s.",
                           MW_SLICE_FMT(where), MW_SLICE_FMT(service),
                           mw_fault_kind_words(first->kind), MW_SLICE_FMT(since));
    return mw_sentence(arena, "%s%s%.*s: %s%.*s.%s%.*s%s%s%.*s%s",
                       entry.len ? "" : "No alarm names a service; of all, this stands out. ",
                       causes->probable ? "" : "Not certain; first in line is ",
                       MW_SLICE_FMT(service), mw_fault_kind_words(first->kind), MW_SLICE_FMT(since),
                       elsewhere ? " " : "", elsewhere ? (int)where.len : 0,
                       elsewhere ? where.data : "", elsewhere ? " only suffers from it." : "",
                       change.len ? " Before that, " : "", MW_SLICE_FMT(change),
                       change.len ? "." : "");
}
