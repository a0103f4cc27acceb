/*
 * ca_file: see ca_file.h.
 */
#include "upstream/ca_file.h"

#include "base/file.h"
#include "config/config.h"
#include "config/problem.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

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

static const char *read_problem(int r)
{
        switch (-r) {
        case EISDIR:
        case EINVAL:
                return "is no regular file";
        case EFBIG:
                return "is larger than 4 MiB";
        default:
                return strerror(-r);
        }
}

int ca_file_read(const char *path, char **ret_bytes, size_t *ret_len, const char **ret_problem)
{
        struct file file = {0};
        int r = file_read(path, CA_FILE_BYTES_MAX, &file);
        const char *problem = r < 0 ? read_problem(r) : content_problem(file.bytes, file.len);

        if (problem) {
                file_done(&file);
                *ret_problem = problem;
                return r < 0 ? r : -EINVAL;
        }
        *ret_bytes = file.bytes;
        *ret_len = file.len;
        return 0;
}

static int check_upstream(const struct config_upstream *upstream, struct strbuf *problem)
{
        const char *what;
        char *bytes = NULL;
        size_t len;
        int r = upstream->ca ? ca_file_read(upstream->ca, &bytes, &len, &what) : 0;

        if (r < 0)
                problem_write(problem, upstream->ca, 0,
                              "%s; put the certificate of the authority that upstream \"%s\" is to "
                              "be verified by there, in PEM, or leave out its ca for those that "
                              "the system trusts",
                              what, upstream->name);
        free(bytes);
        return r;
}

int ca_files_check(const struct config *config, struct strbuf *problem)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < config->upstreams_count; i++)
                r = check_upstream(&config->upstreams[i], problem);
        return r;
}
