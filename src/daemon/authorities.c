/*
 * authorities: see authorities.h.
 */
#include "daemon/authorities.h"

#include "config/config.h"
#include "config/problem.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX (16L << 20) /* the system's own are about 220 KiB */

/* Nobody is asked for the password of a key that lies among them. */
static int no_password(char *buffer, int size, int writes, void *arg)
{
        (void)buffer;
        (void)size;
        (void)writes;
        (void)arg;
        return 0;
}

/* Looks at all of it, since one that is damaged makes libcurl refuse the others too. */
static const char *content_problem(FILE *file)
{
        BIO *bio = BIO_new_fp(file, BIO_NOCLOSE);
        STACK_OF(X509_INFO) *found =
                bio ? PEM_X509_INFO_read_bio(bio, NULL, no_password, NULL) : NULL;
        bool any = false;

        for (int i = 0; i < sk_X509_INFO_num(found); i++) /* -1 of NULL */
                any = any || sk_X509_INFO_value(found, i)->x509;
        const char *problem = any     ? NULL
                              : found ? "has no certificate in PEM"
                                      : "has a certificate that is damaged";
        sk_X509_INFO_pop_free(found, X509_INFO_free);
        BIO_free(bio);
        ERR_clear_error();
        return problem;
}

/* Opens without waiting, and looks at what was opened: a FIFO would hang the daemon. */
static const char *file_problem(const char *path)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
        const char *problem;
        struct stat status;

        if (!file || fstat(fd, &status) < 0)
                problem = strerror(errno);
        else if (!S_ISREG(status.st_mode))
                problem = "is no regular file";
        else if (status.st_size > FILE_BYTES_MAX)
                problem = "is larger than 16 MiB";
        else
                problem = content_problem(file);
        if (file)
                (void)fclose(file);
        else if (fd >= 0)
                (void)close(fd);
        return problem;
}

int authorities_check(const struct config *config, struct strbuf *problem)
{
        for (size_t i = 0; i < config->upstreams_count; i++) {
                const struct config_upstream *upstream = &config->upstreams[i];
                const char *what = upstream->ca ? file_problem(upstream->ca) : NULL;
                if (!what)
                        continue;
                problem_write(problem, upstream->ca, 0,
                              "%s; put the certificate of the authority that upstream \"%s\" is to "
                              "be verified by there, in PEM, or leave out its ca for those that "
                              "the system trusts",
                              what, upstream->name);
                return -EINVAL;
        }
        return 0;
}
