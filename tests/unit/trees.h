/* Directories that tests make: what is in them, and the end of them. */
#ifndef MW_TESTS_TREES_H
#define MW_TESTS_TREES_H

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>

#include "tests/check.h"

static inline int remove_entry(const char *path, const struct stat *status, int type,
                               struct FTW *ftw)
{
    (void)status, (void)type, (void)ftw;
    return remove(path);
}

/* 0 when all of it is gone. */
static inline int remove_tree(const char *path)
{
    return nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Whose names have that part. */
static inline size_t count_files(const char *path, const char *part)
{
    size_t count = 0;
    DIR *entries = opendir(path);
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        count += strstr(entry->d_name, part) != NULL;
    closedir(entries);
    return count;
}

#endif
