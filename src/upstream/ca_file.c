/*
 * ca_file: see ca_file.h.
 */
#include "upstream/ca_file.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Nobody is asked for the password of a key that lies among them. */
static int no_password(char *buffer, int size, int writes, void *arg)
{
        (void)buffer;
        (void)size;
        (void)writes;
        (void)arg;
        return 0;
}

static const char *content_problem(const char *bytes, size_t len)
{
        BIO *bio = BIO_new_mem_buf(bytes, (int)len);
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

static int read_open(int fd, char **ret_bytes, size_t *ret_len, const char **ret_problem)
{
        struct stat status;

        if (fstat(fd, &status) < 0)
                return -errno;
        if (!S_ISREG(status.st_mode)) {
                *ret_problem = "is no regular file";
                return -EINVAL;
        }
        if (status.st_size > CA_FILE_BYTES_MAX) {
                *ret_problem = "is larger than 4 MiB";
                return -EFBIG;
        }
        char *bytes = malloc((size_t)status.st_size + 1);
        if (!bytes)
                return -ENOMEM;
        /* A file that grows meanwhile is taken as far as it was long. */
        ssize_t len = fd_read_full(fd, bytes, (size_t)status.st_size);
        int r = len < 0 ? (int)len : 0;
        if (r == 0) {
                *ret_problem = content_problem(bytes, (size_t)len);
                r = *ret_problem ? -EINVAL : 0;
        }
        if (r < 0) {
                free(bytes);
                return r;
        }
        *ret_bytes = bytes;
        *ret_len = (size_t)len;
        return 0;
}

int ca_file_read(const char *path, char **ret_bytes, size_t *ret_len, const char **ret_problem)
{
        /* Without waiting: a FIFO would hang the daemon. */
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        int r = fd < 0 ? -errno : 0;
        const char *problem = NULL;

        if (r == 0)
                r = read_open(fd, ret_bytes, ret_len, &problem);
        if (fd >= 0)
                (void)close(fd);
        if (r < 0)
                *ret_problem = problem ? problem : strerror(-r);
        return r;
}
