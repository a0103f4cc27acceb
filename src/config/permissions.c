/*
 * permissions: see permissions.h.
 */
#include "config/permissions.h"

#include "config/problem.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OVERFLOW_ID 65534 /* what a user namespace shows for IDs that it does not map */

static int refuse(const char *path, const struct stat *status, const char *what,
                  struct strbuf *problem)
{
        problem_write(problem, path, 0, "%s (mode %04o); run: chmod o-w %s", what,
                      (unsigned)(status->st_mode & 07777), path);
        return -EACCES;
}

static int check_parent(const char *path, struct strbuf *problem)
{
        struct stat status;

        if (stat(path, &status) < 0 || !S_ISDIR(status.st_mode) || !(status.st_mode & S_IWOTH) ||
            (status.st_mode & S_ISVTX))
                return 0;
        return refuse(path, &status,
                      "every user of this machine can write this directory, and so replace what "
                      "solvegate uses in it",
                      problem);
}

/* Checks each directory that a path names on its way, as far as they exist. */
static int check_chain(const char *path, struct strbuf *problem)
{
        char prefix[PATH_MAX];
        int r = 0;

        for (const char *slash = strchr(path, '/'); slash && r == 0;
             slash = strchr(slash + 1, '/')) {
                size_t len = slash == path ? 1 : (size_t)(slash - path);
                if (len >= sizeof prefix)
                        return 0; /* no such path can be used */
                memcpy(prefix, path, len);
                prefix[len] = '\0';
                r = check_parent(prefix, problem);
        }
        return r;
}

/* The same for where a path leads through symbolic links; of one that does not exist, where its
 * directory does. The name that follows it does not matter. */
static int check_real_chain(const char *path, struct strbuf *problem)
{
        const char *slash = strrchr(path, '/');
        char directory[PATH_MAX] = ".", real[PATH_MAX + 2];

        if (realpath(path, real))
                return check_chain(real, problem);
        if (slash)
                (void)snprintf(directory, sizeof directory, "%.*s",
                               slash == path ? 1 : (int)(slash - path), path);
        if (!realpath(directory, real))
                return 0;
        (void)strcat(real, "/");
        return check_chain(real, problem);
}

int permissions_check_parents(const char *path, struct strbuf *problem)
{
        int r = check_chain(path, problem);

        return r == 0 ? check_real_chain(path, problem) : r;
}

int permissions_check_open(const char *path, const struct stat *status, struct strbuf *problem)
{
        if (status->st_mode & S_IWOTH)
                return refuse(path, status, "every user of this machine can write it", problem);
        return permissions_check_parents(path, problem);
}

int permissions_check_file(const char *path, struct strbuf *problem)
{
        struct stat status;

        if (stat(path, &status) < 0)
                return 0;
        return permissions_check_open(path, &status, problem);
}

int permissions_check_directory(const char *path, struct strbuf *problem)
{
        struct stat status;

        if (stat(path, &status) == 0 && S_ISDIR(status.st_mode) && (status.st_mode & S_IWOTH))
                return refuse(path, &status,
                              "every user of this machine can write this directory, in which "
                              "solvegate keeps its files",
                              problem);
        return permissions_check_parents(path, problem);
}

bool permissions_find_odd(const char *path, char *ret_what, size_t size)
{
        struct stat status;

        if (stat(path, &status) < 0)
                return false;
        if (status.st_uid != 0 && status.st_uid != geteuid() && status.st_uid != OVERFLOW_ID) {
                (void)snprintf(ret_what, size,
                               "belongs to user %u, not to root or the user of "
                               "solvegate; if that is not intended, run: chown root %s",
                               (unsigned)status.st_uid, path);
                return true;
        }
        if ((status.st_mode & S_IWGRP) && status.st_gid != 0 && status.st_gid != getegid()) {
                (void)snprintf(ret_what, size,
                               "can be written by group %u; if that is not intended, run: "
                               "chmod g-w %s",
                               (unsigned)status.st_gid, path);
                return true;
        }
        return false;
}
