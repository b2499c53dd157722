/* Plain and gzip files. See packed_file.h; the format is RFC 1952. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/packed_file.h"
#include "lib/base/slice.h"

#define INPUT_SIZE ((size_t)64 << 10)
/* zlib's largest window, and a gzip header alone. */
#define GZIP_WINDOW (MAX_WBITS + 16)
#define MAGIC_1 0x1f
#define MAGIC_2 0x8b

/* ---- life ------------------------------------------------------------------------------------ */

static void *allocate(void *ctx, unsigned count, unsigned size)
{
    (void)ctx;
    return mw_calloc(MW_MEM_CODEC, count, size);
}

static void release(void *ctx, void *pointer)
{
    (void)ctx;
    mw_free(MW_MEM_CODEC, pointer);
}

bool mw_packed_file_open(mw_packed_file *file, const char *path)
{
    struct stat about;
    *file = (mw_packed_file){.again_fd = -1, .kept_fd = -1, .kept_max = MW_PACKED_KEPT};
    file->fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (file->fd < 0)
        return false;
    /* "< FILE" may begin in its middle. */
    off_t begin = lseek(file->fd, 0, SEEK_CUR);
    file->seekable = begin >= 0 && fstat(file->fd, &about) == 0 && S_ISREG(about.st_mode);
    file->offset = file->seekable ? (uint64_t)begin : 0;
    file->input = mw_calloc_or_die(MW_MEM_BASE, 1, INPUT_SIZE);
    file->again = mw_calloc_or_die(MW_MEM_BASE, 1, INPUT_SIZE);
    return true;
}

void mw_packed_file_close(mw_packed_file *file)
{
    if (file->has_stream)
        inflateEnd(&file->stream);
    if (file->kept_fd >= 0)
        close(file->kept_fd);
    if (file->fd >= 0)
        close(file->fd);
    mw_free(MW_MEM_BASE, file->input);
    mw_free(MW_MEM_BASE, file->again);
    *file = (mw_packed_file){.fd = -1, .again_fd = -1, .kept_fd = -1};
}

/* ---- bytes of the file ----------------------------------------------------------------------- */

static uint64_t position(const mw_packed_file *file)
{
    return file->offset + file->at;
}

/* 0 at the end, and behind a problem. */
static size_t read_some(mw_packed_file *file, void *to, size_t size)
{
    ssize_t n;
    do
        n = read(file->fd, to, size);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        snprintf(file->problem, sizeof file->problem, "%s", strerror(errno));
    file->at_end = n <= 0;
    return n > 0 ? (size_t)n : 0;
}

/* At least `count` bytes of input, as far as the file has them. False behind a problem. */
static bool look_ahead(mw_packed_file *file, size_t count)
{
    while (file->len - file->at < count && !file->at_end) {
        memmove(file->input, file->input + file->at, file->len - file->at);
        file->offset += file->at;
        file->len -= file->at;
        file->at = 0;
        file->len += read_some(file, file->input + file->len, INPUT_SIZE - file->len);
    }
    return !file->problem[0];
}

static size_t read_plain(mw_packed_file *file, char *out, size_t size)
{
    size_t held = file->len - file->at;
    if (!held)
        return file->at_end ? 0 : read_some(file, out, size);
    held = held < size ? held : size;
    memcpy(out, file->input + file->at, held);
    file->at += held;
    return held;
}

/* ---- gzip ------------------------------------------------------------------------------------ */

static bool is_magic(const mw_packed_file *file)
{
    const uint8_t *at = file->input + file->at;
    return file->len - file->at >= 2 && at[0] == MAGIC_1 && at[1] == MAGIC_2;
}

static bool fail_memory(mw_packed_file *file)
{
    snprintf(file->problem, sizeof file->problem, "memory is short");
    return false;
}

static bool reset_stream(mw_packed_file *file)
{
    if (file->has_stream)
        return inflateReset(&file->stream) == Z_OK || fail_memory(file);
    file->stream = (z_stream){.zalloc = allocate, .zfree = release};
    if (inflateInit2(&file->stream, GZIP_WINDOW) != Z_OK)
        return fail_memory(file);
    file->has_stream = true;
    return true;
}

/* What became of a member's lines, behind the words of a problem. */
static const char *fate(const mw_packed_file *file)
{
    return file->unchecked ? "what was read of it before was sent" : "nothing of it was sent";
}

static void judge(mw_packed_file *file, int code, size_t taken)
{
    if (code == Z_STREAM_END)
        file->in_member = false;
    else if (code == Z_MEM_ERROR)
        fail_memory(file);
    else if (code != Z_OK && code != Z_BUF_ERROR)
        snprintf(file->problem, sizeof file->problem,
                 "its gzip member at byte %llu is damaged, near byte %llu: %s; %s",
                 (unsigned long long)file->member, (unsigned long long)(position(file) + taken),
                 file->stream.msg ? file->stream.msg : "not what a packer writes", fate(file));
}

static void fail_cut(mw_packed_file *file)
{
    snprintf(file->problem, sizeof file->problem,
             "its gzip data ends too early: the member at byte %llu is cut off at byte %llu; %s",
             (unsigned long long)file->member, (unsigned long long)position(file), fate(file));
}

/* One step of the present member through `in`, of which it takes *taken: how much came out. */
static size_t unpack(mw_packed_file *file, mw_slice in, size_t *taken, void *out, size_t size)
{
    z_stream *stream = &file->stream;
    unsigned room = size < UINT_MAX ? (unsigned)size : UINT_MAX;
    stream->next_in = (z_const Bytef *)in.data;
    stream->avail_in = (unsigned)in.len;
    stream->next_out = out;
    stream->avail_out = room;
    int code = inflate(stream, Z_NO_FLUSH);
    *taken = in.len - stream->avail_in;
    judge(file, code, *taken);
    return room - stream->avail_out;
}

/* ---- a member's first reading ---------------------------------------------------------------- */

/* A file that is gone with its descriptor. Without one, members of pipes are read once. */
static bool open_kept(mw_packed_file *file)
{
    char path[PATH_MAX];
    const char *directory = getenv("TMPDIR");
    if (file->kept_fd >= 0)
        return true;
    int len = snprintf(path, sizeof path, "%s/midwatch-import-XXXXXX",
                       directory && directory[0] ? directory : "/tmp");
    if (len < 0 || (size_t)len >= sizeof path)
        return false;
    file->kept_fd = mkostemp(path, O_CLOEXEC);
    return file->kept_fd >= 0 && unlink(path) == 0;
}

/* False when there is no room for them. */
static bool keep(mw_packed_file *file, const uint8_t *bytes, size_t len)
{
    if (file->seekable)
        return true;
    if (file->again_end + len > file->kept_max || !open_kept(file))
        return false;
    for (size_t done = 0; done < len;) {
        ssize_t n =
            pwrite(file->kept_fd, bytes + done, len - done, (off_t)(file->again_end + done));
        if (n <= 0 && errno != EINTR)
            return false;
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* To its checksum, or as far as can be kept. What comes out is looked at in the second reading. */
static void read_ahead(mw_packed_file *file)
{
    while (file->in_member && !file->problem[0] && look_ahead(file, 1)) {
        size_t taken;
        mw_slice in = {(char *)file->input + file->at, file->len - file->at};
        if (!in.len) {
            fail_cut(file);
            return;
        }
        (void)unpack(file, in, &taken, file->again, INPUT_SIZE);
        if (!keep(file, file->input + file->at, taken)) {
            file->unchecked = true;
            file->problem[0] = '\0'; /* it comes again, behind what stands before it */
            return;
        }
        file->again_end += taken;
        file->at += taken;
    }
}

/* ---- its second ------------------------------------------------------------------------------ */

/* False at the end of the file, and behind a problem. */
static bool begin_member(mw_packed_file *file)
{
    if (!look_ahead(file, 2) || file->at == file->len)
        return false;
    file->member = position(file);
    if (!is_magic(file)) {
        snprintf(file->problem, sizeof file->problem,
                 "behind its gzip data, from byte %llu on, stands what is no gzip; it is not taken",
                 (unsigned long long)file->member);
        return false;
    }
    if (!reset_stream(file))
        return false;
    file->in_member = true;
    file->unchecked = false;
    file->again_at = file->again_end = file->seekable ? file->member : 0;
    file->piece_at = file->piece_len = 0;
    read_ahead(file);
    file->again_fd = file->seekable ? file->fd : file->kept_fd;
    file->in_member = true;
    return !file->problem[0] && reset_stream(file);
}

/* Packed bytes of the second reading; empty behind a problem. */
static mw_slice next_piece(mw_packed_file *file)
{
    uint64_t left = file->again_end - file->again_at;
    if (file->piece_at == file->piece_len && left) {
        ssize_t n;
        do
            n = pread(file->again_fd, file->again, left < INPUT_SIZE ? (size_t)left : INPUT_SIZE,
                      (off_t)file->again_at);
        while (n < 0 && errno == EINTR);
        if (n <= 0) {
            snprintf(file->problem, sizeof file->problem, "it cannot be read a second time: %s",
                     n < 0 ? strerror(errno) : "it has become shorter");
            return MW_SLICE_NONE;
        }
        file->again_at += (uint64_t)n;
        file->piece_at = 0;
        file->piece_len = (size_t)n;
    }
    if (file->piece_at < file->piece_len)
        return (mw_slice){(char *)file->again + file->piece_at, file->piece_len - file->piece_at};
    if (!file->unchecked) {
        snprintf(file->problem, sizeof file->problem, "it changed while it was read");
        return MW_SLICE_NONE;
    }
    if (look_ahead(file, 1) && file->at == file->len)
        fail_cut(file);
    return (mw_slice){(char *)file->input + file->at, file->len - file->at};
}

static size_t read_gzip(mw_packed_file *file, char *out, size_t size)
{
    size_t got = 0;
    while (!got && !file->problem[0] && (file->in_member || begin_member(file))) {
        size_t taken;
        bool kept = file->piece_at < file->piece_len || file->again_at < file->again_end;
        mw_slice piece = next_piece(file);
        if (file->problem[0])
            return 0;
        got = unpack(file, piece, &taken, out, size);
        if (kept)
            file->piece_at += taken;
        else
            file->at += taken;
    }
    return got;
}

size_t mw_packed_file_read(mw_packed_file *file, char *out, size_t size)
{
    MW_ASSERT(size > 0);
    if (file->problem[0])
        return 0;
    if (file->packing == MW_PACKING_UNKNOWN) {
        if (!look_ahead(file, 2))
            return 0;
        file->packing = is_magic(file) ? MW_PACKING_GZIP : MW_PACKING_NONE;
    }
    return file->packing == MW_PACKING_GZIP ? read_gzip(file, out, size)
                                            : read_plain(file, out, size);
}
