/* Provider "version change": telemetry that names another version than before.
 *
 * What a resource says of itself (service.version, the tag of its image) is a deployment that
 * nobody had to record. A version is new when it is first seen after another one of the same
 * service and key. Pure; runs on a pool thread.
 */
#include "triage/evidence/provider_int.h"

/* A service's versions in a window: a rollout has two, or three. */
#define VERSIONS_MAX 512

static const mw_slice keys[] = {MW_SLICE_INIT("service.version"),
                                MW_SLICE_INIT("container.image.tag"),
                                MW_SLICE_INIT("deployment.version")};

typedef struct version {
    mw_slice service, value;
    size_t key;
    uint64_t first_ns, last_ns;
} version;

typedef struct version_work {
    mw_context *context;
    version items[VERSIONS_MAX];
    size_t count;
} version_work;

static size_t key_index(mw_slice key)
{
    size_t at = 0;
    while (at < sizeof keys / sizeof keys[0] && !mw_slice_equal(key, keys[at]))
        at++;
    return at;
}

static mw_err take(void *ctx, const mw_resource_seen *seen)
{
    version_work *work = ctx;
    size_t key = key_index(seen->key), at = 0;
    while (at < work->count &&
           !(work->items[at].key == key && mw_slice_equal(work->items[at].service, seen->service) &&
             mw_slice_equal(work->items[at].value, seen->value)))
        at++;
    if (at == VERSIONS_MAX)
        return MW_OK;
    version *one = &work->items[at];
    if (at == work->count) {
        one->service = mw_arena_copy(work->context->arena, seen->service);
        one->value = mw_arena_copy(work->context->arena, mw_slice_first(seen->value, 256));
        if (!one->service.data || !one->value.data)
            return MW_E_NOMEM;
        one->key = key;
        one->first_ns = seen->first_ns;
        work->count++;
    }
    one->first_ns = seen->first_ns < one->first_ns ? seen->first_ns : one->first_ns;
    one->last_ns = seen->last_ns > one->last_ns ? seen->last_ns : one->last_ns;
    return MW_OK;
}

/* The one that was there before it, the last to appear. */
static const version *before_of(const version_work *work, const version *one)
{
    const version *found = NULL;
    for (size_t i = 0; i < work->count; i++) {
        const version *other = &work->items[i];
        if (other->key == one->key && mw_slice_equal(other->service, one->service) &&
            other->first_ns < one->first_ns && (!found || other->first_ns > found->first_ns))
            found = other;
    }
    return found;
}

static mw_err add_finding(version_work *work, const version *one, const version *before)
{
    mw_context *context = work->context;
    char at[MW_TIME_TEXT_SIZE];
    mw_slice whose = mw_shown(context->arena, one->service, 80);
    mw_slice to = mw_shown(context->arena, one->value, 80);
    mw_slice from = mw_shown(context->arena, before->value, 80);
    mw_slice word = mw_shell_quoted(context->arena, one->service);
    mw_slice value = mw_shell_quoted(context->arena, one->value);
    mw_time_format(one->first_ns, at);
    mw_finding finding = {.kind = MW_FOUND_VERSION,
                          .service = one->service,
                          .other = one->value,
                          .strength = 1,
                          .first_ns = one->first_ns,
                          .text = mw_sentence(context->arena,
                                              "%.*s says %.*s %.*s since %.19sZ, %.*s before",
                                              MW_SLICE_FMT(whose), MW_SLICE_FMT(keys[one->key]),
                                              MW_SLICE_FMT(to), at, MW_SLICE_FMT(from))};
    mw_evidence evidence = {
        .kind = "deployment",
        .text = finding.text,
        .service = one->service,
        .start_ns = one->first_ns,
        .end_ns = one->last_ns,
        .query =
            mw_sentence(context->arena, "midwatch span list --service %.*s --attribute %.*s=%.*s",
                        MW_SLICE_FMT(word), MW_SLICE_FMT(keys[one->key]), MW_SLICE_FMT(value))};
    if (finding.text.data)
        finding.evidence = mw_evidence_new(context->arena, &evidence);
    return mw_findings_add(context->findings, &finding);
}

static mw_err look(version_work *work)
{
    mw_context *context = work->context;
    size_t found = 0;
    mw_err err = mw_store_each_resource(context->view, &context->plan.resources, keys,
                                        sizeof keys / sizeof keys[0], take, work);
    for (size_t i = 0; err == MW_OK && i < work->count; i++) {
        const version *before = before_of(work, &work->items[i]);
        if (!before)
            continue;
        err = add_finding(work, &work->items[i], before);
        found++;
    }
    if (err == MW_OK)
        context->said =
            found ? mw_sentence(context->arena, "versions that telemetry names anew: %zu", found)
                  : MW_SLICE("telemetry names no new version");
    return err;
}

static mw_err collect(mw_context *context)
{
    version_work *work = mw_arena_zalloc(context->arena, 1, sizeof *work);
    if (!work)
        return MW_E_NOMEM;
    work->context = context;
    return look(work);
}

const mw_provider mw_provider_version_change = {.name = "version_change", .collect = collect};
