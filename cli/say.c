/* What leaves the command line: data on stdout, complaints on stderr. */
#include <errno.h>
#include <unistd.h>

#include "cli/cli_int.h"
#include "lib/base/utf8.h"

/* What, why and hint together: an API's message is at most a few hundred bytes. */
#define COMPLAINT_MAX 16384

int mw_complain(int status, const char *what, const char *why, const char *hint)
{
    mw_buffer line;
    mw_buffer_init(&line, MW_MEM_BASE, COMPLAINT_MAX);
    mw_utf8_append_visible(&line, mw_slice_of(what), false);
    if (why[0]) {
        mw_buffer_append(&line, ": ", 2);
        mw_utf8_append_visible(&line, mw_slice_of(why), false);
    }
    if (hint[0]) {
        mw_buffer_append(&line, "; ", 2);
        mw_utf8_append_visible(&line, mw_slice_of(hint), false);
    }
    fprintf(stderr, "midwatch: %.*s\n", MW_SLICE_FMT(mw_buffer_slice(&line)));
    mw_buffer_fini(&line);
    return status;
}

int mw_print(const mw_buffer *text)
{
    if (text->err)
        return mw_complain(MW_EXIT_FAILED, "the output", mw_err_text(text->err),
                           "ask for less with --limit, or use --json");
    for (size_t done = 0; done < text->len;) {
        ssize_t n = write(STDOUT_FILENO, text->data + done, text->len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return mw_complain(MW_EXIT_FAILED, "cannot write", strerror(errno), "");
        done += (size_t)n;
    }
    return MW_EXIT_DONE;
}
