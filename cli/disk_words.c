/* The disk in words, for status and doctor: what lies on it, what is free, how long that lasts.
 * Private to the room (cli_int.h); one thread. */
#include "cli/cli_int.h"

void mw_bytes_text(int64_t bytes, char *out, size_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024;
        unit++;
    }
    snprintf(out, size, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

void mw_while_text(double seconds, char *out, size_t size)
{
    static const struct {
        double seconds;
        const char *name;
    } units[] = {{86400, "days"}, {3600, "hours"}, {60, "minutes"}};
    if (seconds > 3650 * 86400.0) {
        snprintf(out, size, "more than ten years");
        return;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (seconds >= 2 * units[i].seconds) {
            snprintf(out, size, "%.0f %s", seconds / units[i].seconds, units[i].name);
            return;
        }
    snprintf(out, size, "a minute");
}

static void render_part(const json_t *disk, const char *key, const char *name, mw_buffer *out)
{
    char text[MW_CELL_SIZE];
    mw_bytes_text(mw_integer(disk, key), text, sizeof text);
    mw_buffer_appendf(out, "%s %s", name, text);
}

static bool is_told(const json_t *object, const char *key)
{
    return json_is_number(json_object_get(object, key));
}

static void render_retention(const json_t *disk, mw_buffer *out)
{
    char text[MW_CELL_SIZE];
    double seconds = mw_number(disk, "retention_in_seconds");
    if (!is_told(disk, "retention_in_seconds"))
        return;
    mw_buffer_appendf(out, "; retention by %.*s ", MW_SLICE_FMT(mw_text(disk, "retention_by")));
    mw_while_text(seconds, text, sizeof text);
    if (seconds > 0)
        mw_buffer_appendf(out, "begins in %s", text);
    else
        mw_buffer_appendf(out, "has begun");
}

static void render_growth(const json_t *disk, mw_buffer *out)
{
    char text[MW_CELL_SIZE];
    mw_buffer_appendf(out, "  %-13s ", "growth");
    if (is_told(disk, "growth_bytes_per_hour")) {
        mw_bytes_text((int64_t)mw_number(disk, "growth_bytes_per_hour"), text, sizeof text);
        mw_buffer_appendf(out, "%s an hour", text);
    } else {
        mw_buffer_appendf(out, "not known in the first minute");
    }
    if (is_told(disk, "full_in_seconds")) {
        mw_while_text(mw_number(disk, "full_in_seconds"), text, sizeof text);
        mw_buffer_appendf(out, "; at that the disk is full in %s", text);
    }
    render_retention(disk, out);
    mw_buffer_append_byte(out, '\n');
}

void mw_disk_render(const json_t *status, mw_buffer *out)
{
    const json_t *disk = json_object_get(status, "disk");
    if (!json_is_object(disk))
        return;
    mw_buffer_appendf(out, "  %-13s ", "disk");
    render_part(disk, "used_bytes", "used", out);
    render_part(disk, "log_bytes", " (log", out);
    render_part(disk, "merged_bytes", ", merged", out);
    render_part(disk, "spare_bytes", ", spare", out);
    render_part(disk, "ballast_bytes", ", ballast", out);
    render_part(disk, "free_bytes", "); free", out);
    render_part(disk, "bytes", " of", out);
    mw_buffer_append_byte(out, '\n');
    render_growth(disk, out);
}
