/* The YAML configuration file: one mapping of option names to scalars or lists of scalars. */
#include <yaml.h>

#include "lib/base/buffer.h"
#include "lib/base/io.h"
#include "lib/base/option.h"

/* A configuration is read by people: a larger file is a mistake. libyaml allocates by itself and
 * cannot be hooked; this bound keeps it small. */
#define CONFIG_FILE_MAX ((size_t)1 << 20)

typedef struct reader {
    yaml_parser_t parser;
    const char *path;
    mw_detail *detail;
} reader;

static mw_err complain(reader *in, size_t line, const char *what)
{
    return mw_detail_set(in->detail, MW_E_SYNTAX, "",
                         "write one `name: value` a line; lists as [a, b]", "%s:%zu: %s", in->path,
                         line + 1, what);
}

static mw_err next(reader *in, yaml_event_t *event)
{
    if (yaml_parser_parse(&in->parser, event))
        return MW_OK;
    return complain(in, in->parser.problem_mark.line,
                    in->parser.problem ? in->parser.problem : "not YAML");
}

static mw_slice scalar(const yaml_event_t *event)
{
    return mw_slice_bytes(event->data.scalar.value, event->data.scalar.length);
}

/* A scalar, or a sequence of scalars joined with commas, into `value`. */
static mw_err read_value(reader *in, mw_buffer *value)
{
    bool in_list = false;
    for (;;) {
        yaml_event_t event;
        mw_err err = next(in, &event);
        if (err != MW_OK)
            return err;
        yaml_event_type_t type = event.type;
        size_t line = event.start_mark.line;
        if (type == YAML_SCALAR_EVENT) {
            if (in_list && value->len)
                mw_buffer_append_byte(value, ',');
            mw_buffer_append_slice(value, scalar(&event));
        }
        yaml_event_delete(&event);
        if (type == YAML_SEQUENCE_START_EVENT && !in_list)
            in_list = true;
        else if (type != YAML_SCALAR_EVENT && type != YAML_SEQUENCE_END_EVENT)
            return complain(in, line, "expected a value or a list of values");
        if (!in_list || type == YAML_SEQUENCE_END_EVENT)
            return value->err;
    }
}

typedef struct target {
    const mw_option *table;
    size_t count;
    void *fields;
    mw_option_origin *origins;
} target;

/* One `name: value`; *more is false at the end of the mapping. */
static mw_err read_pair(reader *in, const target *to, mw_buffer *name, mw_buffer *value, bool *more)
{
    yaml_event_t event;
    mw_err err = next(in, &event);
    if (err != MW_OK)
        return err;
    size_t line = event.start_mark.line;
    *more = event.type == YAML_SCALAR_EVENT;
    bool done = event.type == YAML_MAPPING_END_EVENT;
    mw_buffer_clear(name);
    mw_buffer_clear(value);
    if (*more)
        mw_buffer_append_slice(name, scalar(&event));
    yaml_event_delete(&event);
    if (done)
        return MW_OK;
    if (!*more)
        return complain(in, line, "expected an option's name");
    err = read_value(in, value);
    if (err != MW_OK)
        return err;
    return mw_options_set(to->table, to->count, to->fields, to->origins, mw_buffer_slice(name),
                          mw_buffer_slice(value), MW_ORIGIN_FILE, in->detail);
}

/* Stream start, document start, then the mapping; an empty file is an empty mapping. */
static mw_err read_document(reader *in, const target *to, mw_buffer *name, mw_buffer *value)
{
    for (;;) {
        yaml_event_t event;
        mw_err err = next(in, &event);
        if (err != MW_OK)
            return err;
        yaml_event_type_t type = event.type;
        size_t line = event.start_mark.line;
        yaml_event_delete(&event);
        if (type == YAML_STREAM_END_EVENT)
            return MW_OK;
        if (type == YAML_STREAM_START_EVENT || type == YAML_DOCUMENT_START_EVENT)
            continue;
        if (type != YAML_MAPPING_START_EVENT)
            return complain(in, line, "expected a mapping of option names to values");
        for (bool more = true; more;) {
            err = read_pair(in, to, name, value, &more);
            if (err != MW_OK)
                return err;
        }
        return MW_OK;
    }
}

mw_err mw_options_file(const mw_option *table, size_t count, void *fields,
                       mw_option_origin *origins, const char *path, mw_detail *detail)
{
    char *text = NULL;
    size_t len = 0;
    mw_err err = mw_io_read_file(path, CONFIG_FILE_MAX, &text, &len);
    if (err != MW_OK)
        return mw_detail_set(detail, MW_E_INVALID, "config", "name a readable YAML file",
                             "cannot read %s: %s", path, mw_err_text(err));
    reader in = {.path = path, .detail = detail};
    target to = {table, count, fields, origins};
    mw_buffer name, value;
    mw_buffer_init(&name, MW_MEM_BASE, CONFIG_FILE_MAX);
    mw_buffer_init(&value, MW_MEM_BASE, CONFIG_FILE_MAX);
    if (!yaml_parser_initialize(&in.parser))
        mw_bug(__FILE__, __LINE__, "no memory for the configuration parser");
    yaml_parser_set_input_string(&in.parser, (const unsigned char *)text, len);
    err = read_document(&in, &to, &name, &value);
    yaml_parser_delete(&in.parser);
    mw_buffer_fini(&name);
    mw_buffer_fini(&value);
    mw_free(MW_MEM_BASE, text);
    return err;
}
