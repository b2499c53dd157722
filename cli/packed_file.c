/* Plain and gzip files. See packed_file.h; the format is RFC 1952. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/packed_file.h"

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
    *file = (mw_packed_file){.packing = MW_PACKING_UNKNOWN};
    file->fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (file->fd < 0)
        return false;
    file->input = mw_calloc_or_die(MW_MEM_BASE, 1, INPUT_SIZE);
    return true;
}

void mw_packed_file_close(mw_packed_file *file)
{
    if (file->has_stream)
        inflateEnd(&file->stream);
    if (file->fd >= 0)
        close(file->fd);
    mw_free(MW_MEM_BASE, file->input);
    *file = (mw_packed_file){.fd = -1};
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
    if (file->has_stream && inflateReset(&file->stream) != Z_OK)
        return fail_memory(file);
    if (!file->has_stream) {
        file->stream = (z_stream){.zalloc = allocate, .zfree = release};
        if (inflateInit2(&file->stream, GZIP_WINDOW) != Z_OK)
            return fail_memory(file);
        file->has_stream = true;
    }
    file->in_member = true;
    return true;
}

static void judge(mw_packed_file *file, int code)
{
    if (code == Z_STREAM_END)
        file->in_member = false;
    else if (code == Z_MEM_ERROR)
        fail_memory(file);
    else if (code != Z_OK && code != Z_BUF_ERROR)
        snprintf(file->problem, sizeof file->problem,
                 "its gzip member at byte %llu is damaged, near byte %llu: %s",
                 (unsigned long long)file->member, (unsigned long long)position(file),
                 file->stream.msg ? file->stream.msg : "not what a packer writes");
}

/* One step of the present member: how much came out. */
static size_t unpack(mw_packed_file *file, char *out, size_t size)
{
    if (!look_ahead(file, 1))
        return 0;
    if (file->at == file->len) {
        snprintf(file->problem, sizeof file->problem,
                 "its gzip data ends too early: the member at byte %llu is cut off at byte %llu",
                 (unsigned long long)file->member, (unsigned long long)position(file));
        return 0;
    }
    z_stream *stream = &file->stream;
    unsigned room = size < UINT_MAX ? (unsigned)size : UINT_MAX;
    stream->next_in = file->input + file->at;
    stream->avail_in = (unsigned)(file->len - file->at);
    stream->next_out = (Bytef *)out;
    stream->avail_out = room;
    int code = inflate(stream, Z_NO_FLUSH);
    file->at = file->len - stream->avail_in;
    judge(file, code);
    return room - stream->avail_out;
}

static size_t read_gzip(mw_packed_file *file, char *out, size_t size)
{
    size_t got = 0;
    while (!got && !file->problem[0] && (file->in_member || begin_member(file)))
        got = unpack(file, out, size);
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
