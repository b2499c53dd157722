/* Plans from a table of steps. See plan.h. */
#include <openssl/sha.h>

#include "lib/base/id.h"
#include "lib/base/json_writer.h"
#include "triage/conclusion/plan.h"

/* A dozen steps of some hundred bytes; names of services are cut where they are shown. */
#define PLAN_MAX ((size_t)64 << 10)
#define STEP_MAX ((size_t)4 << 10)
#define NAME_SHOWN 200

typedef enum phase { PREPARE, PRE_VALIDATE, APPLY, POST_VALIDATE, PHASES } phase;
static const char *const phase_names[PHASES] = {"Prepare", "Pre-Validate", "Apply",
                                                "Post-Validate"};

/* When a step is part of a plan. */
enum { ALWAYS = 0, WITH_DEPLOYMENT = 1, WITHOUT_DEPLOYMENT = 2 };
#define ANY_KIND MW_FAULT_COUNT

/* {service}, {entry}, {version}, {previous}, {id}; in commands they are quoted for a shell. */
typedef struct step {
    phase phase;
    int when;
    mw_fault_kind kind;
    const char *title, *command, *expected, *rollback;
} step;

#define UNDO "kubectl rollout undo deployment/{service}"
#define RESTART "kubectl rollout restart deployment/{service}"
#define SCALE                                                                                      \
    "kubectl scale deployment/{service} --replicas=$(( $(kubectl get deployment/{service} "        \
    "-o jsonpath='{.spec.replicas}') + 1 ))"
#define SCALE_BACK                                                                                 \
    "kubectl scale deployment/{service} --replicas=$(( $(kubectl get deployment/{service} "        \
    "-o jsonpath='{.spec.replicas}') - 1 ))"

static const step steps[] = {
    {PREPARE, ALWAYS, ANY_KIND, "Read the evidence and tell the owners of {service}",
     "midwatch investigation show {id}", "you agree that {service} is where it began", ""},
    {PREPARE, WITH_DEPLOYMENT, ANY_KIND, "Stop further deployments of {service}",
     "kubectl rollout pause deployment/{service}", "no new version appears while you work",
     "kubectl rollout resume deployment/{service}"},
    {PREPARE, ALWAYS, ANY_KIND, "Note what runs now, to be able to return to it",
     "kubectl get deployment/{service} -o yaml > before.yaml", "a file with the present state", ""},

    {PRE_VALIDATE, ALWAYS, ANY_KIND, "See that it still lasts",
     "midwatch service show {service} --since 10m",
     "the figures are as bad as the evidence says; stop here if they have recovered", ""},
    {PRE_VALIDATE, WITH_DEPLOYMENT, ANY_KIND, "See that {version} is what runs",
     "midwatch deployment list --service {service}",
     "{version} is the newest, and it came before the onset", ""},
    {PRE_VALIDATE, WITHOUT_DEPLOYMENT, MW_FAULT_CPU, "See which pods are short of processor",
     "kubectl top pod --containers", "pods of {service} are at their limit", ""},
    {PRE_VALIDATE, WITHOUT_DEPLOYMENT, MW_FAULT_MEMORY, "See which pods are short of memory",
     "kubectl top pod --containers", "pods of {service} are near their limit or were restarted",
     ""},
    {PRE_VALIDATE, WITHOUT_DEPLOYMENT, MW_FAULT_NETWORK, "See on which nodes {service} runs",
     "kubectl get pod -o wide", "its pods share a node or a zone that others are not on", ""},

    {APPLY, WITH_DEPLOYMENT, ANY_KIND, "Undo the deployment of {service}: {version} to {previous}",
     "kubectl rollout resume deployment/{service}; " UNDO,
     "the rollout of the former version completes", UNDO},
    {APPLY, WITHOUT_DEPLOYMENT, MW_FAULT_NETWORK,
     "Move {service} away: new pods, on other nodes where the scheduler can", RESTART,
     "new pods are ready on other nodes", UNDO},
    {APPLY, WITHOUT_DEPLOYMENT, MW_FAULT_SLOW, "Give {service} one instance more", SCALE,
     "one more pod is ready and takes work", SCALE_BACK},
    {APPLY, WITHOUT_DEPLOYMENT, MW_FAULT_CPU, "Give {service} one instance more", SCALE,
     "one more pod is ready and the load of the others falls", SCALE_BACK},
    {APPLY, WITHOUT_DEPLOYMENT, MW_FAULT_MEMORY, "Restart {service}, pod by pod", RESTART,
     "new pods are ready and start with little memory", UNDO},
    {APPLY, WITHOUT_DEPLOYMENT, MW_FAULT_ERRORS,
     "Return what {service} reads at run time (settings, flags, secrets) to what it was, then "
     "restart it",
     RESTART, "new pods are ready and answer without errors", UNDO},
    {APPLY, WITHOUT_DEPLOYMENT, MW_FAULT_MISSING,
     "Return what {service} reads at run time (settings, flags, data) to what it was, then "
     "restart it",
     RESTART, "new pods are ready and make the calls that were missing", UNDO},
    {APPLY, WITHOUT_DEPLOYMENT, MW_FAULT_TRAFFIC, "Give {service} one instance more", SCALE,
     "one more pod is ready and takes work", SCALE_BACK},

    {POST_VALIDATE, ALWAYS, ANY_KIND, "See that {service} has recovered",
     "midwatch service show {service} --since 5m", "its figures are those of before the onset", ""},
    {POST_VALIDATE, ALWAYS, ANY_KIND, "See that {entry} has recovered",
     "midwatch service show {entry} --since 5m",
     "its figures are usual again, and its alarm resolves", ""},
};

typedef struct writer {
    const mw_plan_input *input;
    mw_arena *arena;
    mw_json json;
} writer;

/* ---- placeholders --------------------------------------------------------------------------- */

static mw_slice value_of(const mw_plan_input *input, mw_slice name)
{
    if (mw_slice_equal(name, MW_SLICE("service")))
        return input->service;
    if (mw_slice_equal(name, MW_SLICE("entry")))
        return input->entry.len ? input->entry : input->service;
    if (mw_slice_equal(name, MW_SLICE("version")))
        return input->version;
    if (mw_slice_equal(name, MW_SLICE("previous")))
        return input->previous.len ? input->previous : MW_SLICE("the version before");
    if (mw_slice_equal(name, MW_SLICE("id")))
        return input->investigation_id;
    return MW_SLICE_NONE;
}

static void append_word(mw_arena *arena, mw_slice text, mw_buffer *out)
{
    mw_slice word = mw_shell_quoted(arena, text);
    if (!word.data && out->err == MW_OK)
        out->err = MW_E_NOMEM;
    mw_buffer_append_slice(out, word);
}

static void expand(const writer *w, const char *text, bool command, mw_buffer *out)
{
    for (size_t i = 0; text[i]; i++) {
        const char *end = text[i] == '{' ? strchr(text + i, '}') : NULL;
        mw_slice value = MW_SLICE_NONE;
        if (end)
            value = value_of(w->input, mw_slice_bytes(text + i + 1, (size_t)(end - text) - i - 1));
        if (!value.data) {
            mw_buffer_append_byte(out, text[i]);
            continue;
        }
        value = mw_slice_first(value, NAME_SHOWN);
        if (command)
            append_word(w->arena, value, out);
        else
            mw_buffer_append_slice(out, value);
        i = (size_t)(end - text);
    }
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static void write_member(writer *w, const char *key, const char *text, bool command)
{
    mw_buffer expanded;
    mw_buffer_init(&expanded, MW_MEM_QUERY, STEP_MAX);
    expand(w, text, command, &expanded);
    if (expanded.err && w->json.out->err == MW_OK)
        w->json.out->err = expanded.err;
    mw_json_kv_or_null(&w->json, key, mw_buffer_slice(&expanded));
    mw_buffer_fini(&expanded);
}

static bool applies(const mw_plan_input *input, const step *one)
{
    int have = input->version.len ? WITH_DEPLOYMENT : WITHOUT_DEPLOYMENT;
    return (one->when == ALWAYS || one->when == have) &&
           (one->kind == ANY_KIND || one->kind == input->kind);
}

static void write_step(writer *w, const step *one)
{
    mw_json_object_begin(&w->json);
    write_member(w, "title", one->title, false);
    write_member(w, "command", one->command, true);
    write_member(w, "expected", one->expected, false);
    write_member(w, "rollback", one->rollback, true);
    mw_json_kv_or_null(&w->json, "evidence",
                       one->phase == APPLY ? w->input->evidence : MW_SLICE_NONE);
    mw_json_object_end(&w->json);
}

static void write_phases(writer *w)
{
    mw_json *json = &w->json;
    mw_json_array_begin(json);
    for (int p = 0; p < PHASES; p++) {
        mw_json_object_begin(json);
        mw_json_kv(json, "name", mw_slice_of(phase_names[p]));
        mw_json_key(json, MW_SLICE("steps"));
        mw_json_array_begin(json);
        for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
            if (steps[i].phase == (phase)p && applies(w->input, &steps[i]))
                write_step(w, &steps[i]);
        mw_json_array_end(json);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

mw_err mw_plan_make(const mw_plan_input *input, mw_arena *arena, mw_plan *out)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    mw_buffer buffer;
    writer w = {.input = input, .arena = arena};
    mw_buffer_init(&buffer, MW_MEM_QUERY, PLAN_MAX);
    mw_json_init(&w.json, &buffer);
    write_phases(&w);
    mw_err err = buffer.err;
    if (err == MW_OK) {
        out->phases_json = mw_arena_copy(arena, mw_buffer_slice(&buffer));
        err = out->phases_json.data ? MW_OK : MW_E_NOMEM;
    }
    mw_buffer_fini(&buffer);
    if (err != MW_OK)
        return err;
    SHA256((const unsigned char *)out->phases_json.data, out->phases_json.len, digest);
    mw_hex_encode(digest, sizeof digest, out->hash);
    return MW_OK;
}
