/* What `midwatch check` says. See check_report.h. */
#include <inttypes.h>

#include "lib/base/utf8.h"
#include "server/check_report.h"

/* Half a million findings: a disk to be replaced. */
#define OBJECT_MAX ((size_t)128 << 20)

void mw_check_print(FILE *to, const char *text)
{
    mw_buffer visible;
    mw_buffer_init(&visible, MW_MEM_BASE, strlen(text) * 8 + 64);
    mw_utf8_append_visible(&visible, mw_slice_of(text), false);
    fprintf(to, "%.*s", MW_SLICE_FMT(mw_buffer_slice(&visible)));
    mw_buffer_fini(&visible);
}

static mw_slice text_or_none(const char *text)
{
    return text && text[0] ? mw_slice_of(text) : MW_SLICE_NONE;
}

void mw_check_begin(mw_check_report *report, bool as_json)
{
    *report = (mw_check_report){.as_json = as_json};
    mw_buffer_init(&report->text, MW_MEM_BASE, OBJECT_MAX);
    mw_json_init(&report->json, &report->text);
    mw_json_object_begin(&report->json);
}

void mw_check_end(mw_check_report *report, int exit_status)
{
    mw_json_kv_bool(&report->json, "whole", exit_status == 0);
    mw_json_kv_i64(&report->json, "exit_status", exit_status);
    mw_json_object_end(&report->json);
    mw_buffer_append_byte(&report->text, '\n');
    if (report->as_json && report->text.err == MW_OK)
        fwrite(report->text.data, 1, report->text.len, stdout);
    else if (report->as_json)
        fprintf(stderr, "midwatch: more was found than fits one object; ask without --json\n");
    mw_buffer_fini(&report->text);
}

/* ---- options --------------------------------------------------------------------------------- */

static void array_begin(mw_check_report *report, const char *key)
{
    mw_json_key(&report->json, mw_slice_of(key));
    mw_json_array_begin(&report->json);
}

void mw_check_options_begin(mw_check_report *report)
{
    array_begin(report, "options");
}

void mw_check_option(mw_check_report *report, const char *name, const char *value,
                     const char *origin)
{
    if (!report->as_json) {
        printf("%-16s ", name);
        mw_check_print(stdout, value[0] ? value : "-");
        printf(" (%s)\n", origin);
        return;
    }
    mw_json_object_begin(&report->json);
    mw_json_kv(&report->json, "name", mw_slice_of(name));
    mw_json_kv_or_null(&report->json, "value", mw_slice_of(value));
    mw_json_kv(&report->json, "origin", mw_slice_of(origin));
    mw_json_object_end(&report->json);
}

void mw_check_options_end(mw_check_report *report)
{
    mw_json_array_end(&report->json);
}

/* ---- stores ---------------------------------------------------------------------------------- */

void mw_check_stores_begin(mw_check_report *report)
{
    array_begin(report, "stores");
}

void mw_check_stores_end(mw_check_report *report)
{
    mw_json_array_end(&report->json);
}

void mw_check_store_begin(mw_check_report *report, const char *space, const char *path)
{
    report->damaged = 0;
    mw_json_object_begin(&report->json);
    mw_json_kv(&report->json, "space", mw_slice_of(space));
    mw_json_kv(&report->json, "path", mw_slice_of(path));
    array_begin(report, "findings");
}

static void add_finding(mw_check_report *report, const char *kind, const mw_store_damage *what)
{
    mw_json *json = &report->json;
    if (!report->as_json)
        return;
    mw_json_object_begin(json);
    mw_json_kv(json, "kind", mw_slice_of(kind));
    mw_json_kv_or_null(json, "file", text_or_none(what->file));
    mw_json_kv_u64(json, "offset", what->offset);
    mw_json_kv(json, "what", mw_slice_of(what->what));
    mw_json_object_end(json);
}

static void print_line(const char *word, const mw_store_damage *what)
{
    printf("%-16s ", word);
    mw_check_print(stdout, what->file);
    printf(": %s\n", what->what);
}

void mw_check_rebuilt(void *ctx, const mw_store_damage *done)
{
    mw_check_report *report = ctx;
    add_finding(report, "rebuilt", done);
    if (!report->as_json)
        print_line("rebuilt", done);
}

void mw_check_found(void *ctx, const mw_store_damage *found)
{
    mw_check_report *report = ctx;
    add_finding(report, found->note ? "note" : "damage", found);
    report->damaged += !found->note;
    if (report->as_json)
        return;
    if (found->note) {
        print_line("note", found);
        return;
    }
    fprintf(stderr, "midwatch: damaged: ");
    mw_check_print(stderr, found->file);
    fprintf(stderr, " at byte %" PRIu64 ": %s\n", found->offset, found->what);
}

void mw_check_problem(mw_check_report *report, const char *what, const char *message,
                      const char *hint)
{
    char text[1024];
    snprintf(text, sizeof text, "%s: %s%s%s", what, message, hint[0] ? "; " : "", hint);
    const mw_store_damage problem = {.what = text};
    add_finding(report, "problem", &problem);
    if (report->as_json)
        return;
    fprintf(stderr, "midwatch: ");
    mw_check_print(stderr, text);
    fprintf(stderr, "\n");
}

static void print_store(const char *label, const char *path, const mw_store_verified *verified,
                        bool whole, uint64_t damaged)
{
    if (!verified) {
        printf("%-16s %s ", label, whole ? "none yet at" : "GONE from");
        mw_check_print(stdout, path);
        printf("\n");
        return;
    }
    printf("%-16s %s: %" PRIu64 " blocks, %" PRIu64 " spans, %" PRIu64 " logs, %" PRIu64
           " points, %" PRIu64 " damaged\n",
           label, whole ? "whole" : "NOT whole", verified->blocks, verified->spans, verified->logs,
           verified->points, damaged);
}

void mw_check_store_end(mw_check_report *report, const char *label, const char *path, bool exists,
                        const mw_store_verified *verified, bool whole)
{
    mw_json *json = &report->json;
    mw_json_array_end(json);
    mw_json_kv_bool(json, "exists", exists);
    mw_json_kv_bool(json, "whole", whole);
    mw_json_kv_u64(json, "damaged", report->damaged);
    mw_json_kv_u64(json, "blocks", verified->blocks);
    mw_json_kv_u64(json, "spans", verified->spans);
    mw_json_kv_u64(json, "logs", verified->logs);
    mw_json_kv_u64(json, "points", verified->points);
    mw_json_object_end(json);
    if (!report->as_json)
        print_store(label, path, exists ? verified : NULL, whole, report->damaged);
}

/* ---- the other parts ------------------------------------------------------------------------- */

static void print_part(const mw_check_part *part)
{
    if (part->detail) {
        fprintf(stderr, "midwatch: ");
        if (part->path)
            fprintf(stderr, "%s: %s: ", part->name, part->path);
        mw_check_print(stderr, part->detail->message);
        fprintf(stderr, "%s%s\n", part->detail->hint[0] ? "; " : "", part->detail->hint);
    }
    if (!part->exists)
        printf("%-16s %s %s\n", part->name, part->detail ? "GONE from" : "none yet at", part->path);
    else if (!part->detail)
        printf("%-16s %s\n", part->name, part->fine);
    else if (part->path)
        printf("%-16s NOT whole\n", part->name);
}

void mw_check_tell_part(mw_check_report *report, const mw_check_part *part)
{
    mw_json *json = &report->json;
    if (!report->as_json)
        print_part(part);
    mw_json_key(json, mw_slice_of(part->name));
    mw_json_object_begin(json);
    mw_json_kv_or_null(json, "path", text_or_none(part->path));
    mw_json_kv_bool(json, "exists", part->exists);
    mw_json_kv_bool(json, "whole", !part->detail);
    mw_json_kv_or_null(json, "message", text_or_none(part->detail ? part->detail->message : NULL));
    mw_json_kv_or_null(json, "hint", text_or_none(part->detail ? part->detail->hint : NULL));
    mw_json_object_end(json);
}
