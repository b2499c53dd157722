/* Bytes on their way to a socket. See out_queue_int.h. */
#include "lib/net/out_queue_int.h"

void mw_out_queue_init(mw_out_queue *queue)
{
    *queue = (mw_out_queue){0};
}

/* One chunk is kept: a connection in steady state allocates nothing to answer. */
static void release_chunk(mw_out_queue *queue, mw_out_chunk *chunk)
{
    if (chunk->release)
        chunk->release(chunk->what);
    if (!queue->spare && chunk->capacity == MW_OUT_CHUNK_SIZE)
        queue->spare = chunk;
    else
        mw_free(MW_MEM_NET, chunk);
}

void mw_out_queue_fini(mw_out_queue *queue)
{
    while (queue->head) {
        mw_out_chunk *chunk = queue->head;
        queue->head = chunk->next;
        release_chunk(queue, chunk);
    }
    mw_free(MW_MEM_NET, queue->spare);
    mw_out_queue_init(queue);
}

static mw_out_chunk *add_chunk(mw_out_queue *queue, size_t capacity)
{
    mw_out_chunk *chunk = NULL;
    if (capacity == MW_OUT_CHUNK_SIZE) {
        chunk = queue->spare;
        queue->spare = NULL;
    }
    if (!chunk)
        chunk = mw_alloc(MW_MEM_NET, sizeof *chunk + capacity);
    if (!chunk) {
        queue->failed = true;
        return NULL;
    }
    *chunk = (mw_out_chunk){.capacity = capacity};
    chunk->data = chunk->own;
    if (queue->tail)
        queue->tail->next = chunk;
    else
        queue->head = chunk;
    queue->tail = chunk;
    return chunk;
}

static size_t room_in(const mw_out_chunk *chunk)
{
    if (!chunk || chunk->capacity == 0)
        return 0;
    return chunk->capacity - (size_t)(chunk->data - chunk->own) - chunk->len;
}

void mw_out_queue_append(mw_out_queue *queue, mw_slice bytes)
{
    while (bytes.len > 0 && !queue->failed) {
        size_t room = room_in(queue->tail);
        if (room == 0) {
            /* What is longer than a chunk gets one of its size: h2 frames, middling bodies. */
            size_t capacity = bytes.len > MW_OUT_CHUNK_SIZE ? bytes.len : MW_OUT_CHUNK_SIZE;
            if (!add_chunk(queue, capacity))
                return;
            room = capacity;
        }
        size_t n = bytes.len < room ? bytes.len : room;
        mw_out_chunk *chunk = queue->tail;
        memcpy(chunk->own + (chunk->capacity - room), bytes.data, n);
        chunk->len += n;
        queue->bytes += n;
        bytes = mw_slice_from(bytes, n);
    }
}

void mw_out_queue_refer(mw_out_queue *queue, mw_slice bytes, void (*release)(void *what),
                        void *what)
{
    mw_out_chunk *chunk = queue->failed ? NULL : add_chunk(queue, 0);
    if (!chunk) {
        release(what);
        return;
    }
    chunk->data = bytes.data;
    chunk->len = bytes.len;
    chunk->release = release;
    chunk->what = what;
    queue->bytes += bytes.len;
}

int mw_out_queue_peek(const mw_out_queue *queue, struct iovec *iov, int max)
{
    int count = 0;
    for (const mw_out_chunk *chunk = queue->head; chunk && count < max; chunk = chunk->next)
        /* writev only reads, though its type does not say so. */
        iov[count++] = (struct iovec){(void *)(uintptr_t)chunk->data, chunk->len};
    return count;
}

void mw_out_queue_consume(mw_out_queue *queue, size_t n)
{
    MW_ASSERT(n <= queue->bytes);
    queue->bytes -= n;
    while (n > 0 || (queue->head && queue->head->len == 0)) {
        mw_out_chunk *chunk = queue->head;
        MW_ASSERT(chunk);
        size_t part = n < chunk->len ? n : chunk->len;
        chunk->data += part;
        chunk->len -= part;
        n -= part;
        if (chunk->len > 0)
            return;
        queue->head = chunk->next;
        if (!queue->head)
            queue->tail = NULL;
        release_chunk(queue, chunk);
    }
}
