/* endpoints.json and the lines of the start. Main thread. */
#include <unistd.h>

#include "cli/cli.h"
#include "lib/base/io.h"
#include "lib/base/json_writer.h"
#include "server/announce.h"

#define TEXT_MAX 8192

mw_err mw_endpoints_write(mw_server *server)
{
    char path[MW_PATH_SIZE];
    mw_buffer text;
    mw_json json;
    mw_net *net = atomic_load(&server->net);
    mw_data_path(&server->settings.values, "endpoints.json", path);
    mw_buffer_init(&text, MW_MEM_BASE, TEXT_MAX);
    mw_json_init(&json, &text);
    mw_json_object_begin(&json);
    mw_json_kv(&json, "grpc", mw_slice_of(mw_net_endpoint(net, MW_PORT_GRPC)));
    mw_json_kv(&json, "http", mw_slice_of(mw_net_endpoint(net, MW_PORT_HTTP)));
    mw_json_kv(&json, "web", mw_slice_of(mw_net_endpoint(net, MW_PORT_WEB)));
    mw_json_object_end(&json);
    mw_buffer_append_byte(&text, '\n');
    mw_err err = text.err;
    if (!err)
        err = mw_io_replace_file(path, mw_buffer_slice(&text), 0600);
    mw_buffer_fini(&text);
    return err;
}

void mw_endpoints_remove(mw_server *server)
{
    char path[MW_PATH_SIZE];
    mw_data_path(&server->settings.values, "endpoints.json", path);
    mw_io_current()->unlink(path);
}

static bool is_plain(mw_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c && strchr("/._-+:@%=,", c));
        if (!plain)
            return false;
    }
    return text.len > 0;
}

void mw_shell_quote(mw_buffer *out, mw_slice text)
{
    if (is_plain(text)) {
        mw_buffer_append_slice(out, text);
        return;
    }
    mw_buffer_append_byte(out, '\'');
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '\'')
            mw_buffer_append(out, "'\\''", 4);
        else
            mw_buffer_append_byte(out, text.data[i]);
    }
    mw_buffer_append_byte(out, '\'');
}

/* The path of this binary and, unless it is the default one, the data directory. */
static void append_command(mw_buffer *out, const mw_server_options *options)
{
    char program[MW_PATH_SIZE], standard[MW_PATH_SIZE];
    ssize_t len = readlink("/proc/self/exe", program, sizeof program);
    mw_slice path = len > 0 && (size_t)len < sizeof program ? mw_slice_bytes(program, (size_t)len)
                                                            : MW_SLICE("midwatch");
    mw_shell_quote(out, path);
    mw_buffer_appendf(out, " session list");
    if (mw_cli_default_data_dir(standard, sizeof standard) && strcmp(standard, options->data) == 0)
        return;
    mw_buffer_appendf(out, " --data ");
    mw_shell_quote(out, mw_slice_of(options->data));
}

void mw_announce(mw_server *server)
{
    mw_buffer text;
    mw_net *net = atomic_load(&server->net);
    const mw_server_options *options = &server->settings.values;
    const char *http = mw_net_endpoint(net, MW_PORT_HTTP);
    bool tls = mw_net_tls_on(net);
    const char *scheme = tls ? "https" : "http";
    mw_buffer_init(&text, MW_MEM_BASE, TEXT_MAX);
    mw_buffer_appendf(&text,
                      "midwatch %s is ready.\n\n"
                      "  OTLP/gRPC  %s\n"
                      "  OTLP/HTTP  %s://%s\n"
                      "  API        %s://%s/api/v1\n"
                      "  data       %s\n\n"
                      "Point an agent's exporter at it:\n\n"
                      "  export OTEL_EXPORTER_OTLP_ENDPOINT=%s://%s "
                      "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\n\n",
                      MW_VERSION, mw_net_endpoint(net, MW_PORT_GRPC), scheme, http, scheme,
                      mw_net_endpoint(net, MW_PORT_WEB), options->data, scheme, http);
    if (tls)
        mw_buffer_appendf(&text, "TLS is on: OTEL_EXPORTER_OTLP_CERTIFICATE must name the file of "
                                 "the CA that signed tls_cert.\n\n");
    mw_buffer_appendf(&text, "Then look, in a second terminal:\n\n  ");
    append_command(&text, options);
    mw_buffer_appendf(&text, "\n\nStop it with Ctrl-C.\n");
    /* A closed stdout is no reason to stop serving. */
    if (!text.err && write(STDOUT_FILENO, text.data, text.len) < 0)
        MW_LOG(MW_LOG_DEBUG, "serve", "stdout is closed");
    mw_buffer_fini(&text);
}
