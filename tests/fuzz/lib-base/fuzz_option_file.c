/* The configuration file: any bytes are either read or refused with words that name the line. */
#include <unistd.h>

#include "lib/base/option.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct settings {
    char name[16];
    uint64_t limit;
    bool loud;
} settings;

static const mw_option table[] = {
    {"name", MW_OPTION_TEXT, offsetof(settings, name), 16, "x", 0, 0, false, "N", "a name"},
    {"limit", MW_OPTION_BYTES, offsetof(settings, limit), 0, "1MiB", 0, 0, false, "N", "a size"},
    {"loud", MW_OPTION_BOOL, offsetof(settings, loud), 0, "no", 0, 0, false, NULL, "a flag"},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[] = "/tmp/midwatch-fuzz-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        return 0;
    close(fd);
    settings now;
    mw_option_origin origins[3];
    mw_detail detail = {.message = ""};
    mw_options_defaults(table, 3, &now, origins);
    mw_err err = mw_options_file(table, 3, &now, origins, path, &detail);
    MW_ASSERT(err == MW_OK || detail.message[0] != '\0');
    unlink(path);
    return 0;
}
