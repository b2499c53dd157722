/* Loads the OTLP captures of tests/data/otlp-captures: the plain message and what it holds. */
#ifndef MW_TESTS_OTLP_CAPTURE_H
#define MW_TESTS_OTLP_CAPTURE_H

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/slice.h"

#define CAPTURES "tests/data/otlp-captures"

typedef struct otlp_capture {
    char name[128]; /* path without extension, below CAPTURES */
    char *data;
    mw_slice message; /* the gRPC prefix taken off */
    json_t *about;    /* the .json file */
} otlp_capture;

static inline void capture_free(otlp_capture *capture)
{
    free(capture->data);
    json_decref(capture->about);
    *capture = (otlp_capture){0};
}

/* Aborts when a file is missing: the data is part of the tree. */
static inline otlp_capture capture_load(const char *name)
{
    otlp_capture capture = {0};
    char path[512];
    snprintf(capture.name, sizeof capture.name, "%s", name);
    snprintf(path, sizeof path, CAPTURES "/%s.json", name);
    capture.about = json_load_file(path, 0, NULL);
    snprintf(path, sizeof path, CAPTURES "/%s.bin", name);
    FILE *file = fopen(path, "rb");
    if (!file || !capture.about)
        abort();
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    /* The exact size, so that the sanitizers see a read past the end. */
    capture.data = malloc(size ? size : 1);
    if (!capture.data || fread(capture.data, 1, size, file) != size)
        abort();
    fclose(file);
    size_t prefix = strstr(name, "-grpc-") ? 5 : 0;
    capture.message = (mw_slice){capture.data + prefix, size - prefix};
    return capture;
}

/* Calls `each` for every capture whose name starts with `start` and ends with one of `ends`, a
 * list that NULL closes; returns how many there were. */
static inline int capture_each_of(const char *start, const char *const *ends,
                                  void (*each)(otlp_capture *capture))
{
    int count = 0;
    DIR *dir = opendir(CAPTURES);
    if (!dir)
        abort();
    for (struct dirent *entry; (entry = readdir(dir));) {
        bool wanted = false;
        mw_slice name = {entry->d_name, strlen(entry->d_name)};
        for (size_t i = 0; ends[i]; i++)
            wanted |= mw_slice_ends(name, mw_slice_of(ends[i]));
        if (!wanted || strncmp(entry->d_name, start, strlen(start)) != 0)
            continue;
        char stem[128];
        snprintf(stem, sizeof stem, "%.*s", (int)name.len - 4, entry->d_name);
        otlp_capture capture = capture_load(stem);
        each(&capture);
        capture_free(&capture);
        count++;
    }
    closedir(dir);
    return count;
}

/* The uncompressed protobuf captures. */
static inline int capture_each(const char *start, void (*each)(otlp_capture *capture))
{
    static const char *const ends[] = {"-http-protobuf-none.bin", "-grpc-none.bin", NULL};
    return capture_each_of(start, ends, each);
}

/* The uncompressed JSON captures: `message` is the text. */
static inline int capture_each_json(const char *start, void (*each)(otlp_capture *capture))
{
    static const char *const ends[] = {"-http-json-none.bin", NULL};
    return capture_each_of(start, ends, each);
}

#endif
