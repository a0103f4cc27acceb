/*
 * test_tls: which certificates and keys a listener may have, and that no message quotes a key.
 */
#include "base/strbuf.h"
#include "config/config.h"
#include "http/tls.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define LIFE_S       86400
#define PATH_BYTES   128
#define TOO_LARGE    300000
#define LINES_QUOTED 16

/* A directory with a pair that belongs together, and what the last load said. */
struct fixture {
        char directory[64];
        char certificate[PATH_BYTES];
        char key[PATH_BYTES];
        struct tls_identity *identity;
        struct strbuf problem;
};

/* ---- making certificates ---- */

static EVP_PKEY *make_key(const char *path, const char *password)
{
        EVP_PKEY *key = EVP_EC_gen("P-256");
        FILE *file = fopen(path, "w");

        assert_non_null(key);
        assert_non_null(file);
        assert_int_equal(PEM_write_PKCS8PrivateKey(file, key, password ? EVP_aes_128_cbc() : NULL,
                                                   password, password ? (int)strlen(password) : 0,
                                                   NULL, NULL),
                         1);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(chmod(path, 0600), 0);
        return key;
}

static void add_extension(X509 *certificate, int kind, const char *value)
{
        X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, value);

        assert_non_null(extension);
        assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
        X509_EXTENSION_free(extension);
}

/* Signed by itself; it begins and ends so many seconds from now. names: the alternative ones, as
 * openssl's configuration has them, or NULL. */
static void write_certificate(FILE *file, EVP_PKEY *key, long begins_s, long ends_s,
                              const char *names)
{
        static const unsigned char common_name[] = "common.example";
        X509 *certificate = X509_new();
        static long serial;

        assert_non_null(certificate);
        assert_int_equal(X509_set_version(certificate, 2), 1);
        assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial), 1);
        assert_non_null(X509_gmtime_adj(X509_getm_notBefore(certificate), begins_s));
        assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), ends_s));
        assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN",
                                                    MBSTRING_ASC, common_name, -1, -1, 0),
                         1);
        if (names)
                add_extension(certificate, NID_subject_alt_name, names);
        assert_int_equal(X509_set_pubkey(certificate, key), 1);
        assert_int_not_equal(X509_sign(certificate, key, EVP_sha256()), 0);
        assert_int_equal(PEM_write_X509(file, certificate), 1);
        X509_free(certificate);
}

static void make_certificates(const char *path, EVP_PKEY *key, int count, long ends_s)
{
        FILE *file = fopen(path, "w");

        assert_non_null(file);
        for (int i = 0; i < count; i++)
                write_certificate(file, key, ends_s - LIFE_S, ends_s, NULL);
        assert_int_equal(fclose(file), 0);
}

static void make_pair(const struct fixture *fixture, long ends_s)
{
        EVP_PKEY *key = make_key(fixture->key, NULL);

        make_certificates(fixture->certificate, key, 1, ends_s);
        EVP_PKEY_free(key);
}

static void make_named(const struct fixture *fixture, const char *names)
{
        EVP_PKEY *key = make_key(fixture->key, NULL);
        FILE *file = fopen(fixture->certificate, "w");

        assert_non_null(file);
        write_certificate(file, key, 0, LIFE_S, names);
        assert_int_equal(fclose(file), 0);
        EVP_PKEY_free(key);
}

static void write_bytes(const char *path, size_t len)
{
        FILE *file = fopen(path, "w");

        assert_non_null(file);
        for (size_t i = 0; i < len; i++)
                assert_int_not_equal(putc('x', file), EOF);
        assert_int_equal(fclose(file), 0);
}

/* ---- the fixture ---- */

static int setup(void **state)
{
        struct fixture *fixture = calloc(1, sizeof *fixture);

        assert_non_null(fixture);
        strcpy(fixture->directory, "/tmp/test_tls.XXXXXX");
        assert_non_null(mkdtemp(fixture->directory));
        (void)snprintf(fixture->certificate, PATH_BYTES, "%s/server.pem", fixture->directory);
        (void)snprintf(fixture->key, PATH_BYTES, "%s/server.key", fixture->directory);
        strbuf_init(&fixture->problem, 8192);
        make_pair(fixture, LIFE_S);
        *state = fixture;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *fixture = *state;
        char command[128];

        tls_identity_unref(fixture->identity);
        strbuf_done(&fixture->problem);
        (void)snprintf(command, sizeof command, "rm -rf '%s'", fixture->directory);
        int r = system(command);
        free(fixture);
        return r;
}

static int load_from(struct fixture *fixture, char *certificate, char *key)
{
        const struct config_listen config = {
                .tls = {.certificate = certificate, .key = key},
        };

        tls_identity_unref(fixture->identity);
        fixture->identity = NULL;
        strbuf_done(&fixture->problem);
        strbuf_init(&fixture->problem, 8192);
        return tls_identity_load(&config, &fixture->identity, &fixture->problem);
}

static int load(struct fixture *fixture)
{
        return load_from(fixture, fixture->certificate, fixture->key);
}

/* It failed, gave nothing, and said why in one line, of this file. */
static void assert_refused(const struct fixture *fixture, const char *path, const char *why)
{
        assert_null(fixture->identity);
        assert_non_null(fixture->problem.data);
        assert_ptr_equal(strstr(fixture->problem.data, path), fixture->problem.data);
        assert_non_null(strstr(fixture->problem.data, why));
        assert_null(strchr(fixture->problem.data, '\n'));
}

/* ---- what is taken ---- */

static void test_a_certificate_and_its_key_are_loaded(void **state)
{
        struct fixture *fixture = *state;
        int64_t ends_ms = ((int64_t)time(NULL) + LIFE_S) * 1000;

        assert_int_equal(load(fixture), 0);
        assert_non_null(fixture->identity);
        assert_int_equal(fixture->problem.len, 0);
        assert_in_range(tls_identity_until_ms(fixture->identity), ends_ms - 60000, ends_ms + 60000);
}

static void test_an_identity_lives_until_its_last_reference(void **state)
{
        struct fixture *fixture = *state;

        assert_int_equal(load(fixture), 0);
        struct tls_identity *other = tls_identity_ref(fixture->identity);
        int64_t until_ms = tls_identity_until_ms(other);
        tls_identity_unref(fixture->identity);
        fixture->identity = NULL;
        assert_int_equal(tls_identity_until_ms(other), until_ms);
        tls_identity_unref(other);
        tls_identity_unref(NULL);
}

/* Who is refused then is the client, and the operator is warned. */
static void test_an_expired_certificate_is_loaded_and_says_since_when(void **state)
{
        struct fixture *fixture = *state;

        make_pair(fixture, -60);
        assert_int_equal(load(fixture), 0);
        assert_true(tls_identity_until_ms(fixture->identity) < (int64_t)time(NULL) * 1000);
}

static void test_a_key_may_be_readable_by_its_group(void **state)
{
        struct fixture *fixture = *state;

        assert_int_equal(chmod(fixture->key, 0640), 0);
        assert_int_equal(load(fixture), 0);
}

static void test_symbolic_links_are_followed(void **state)
{
        struct fixture *fixture = *state;
        char link[PATH_BYTES];

        (void)snprintf(link, sizeof link, "%s/link", fixture->directory);
        assert_int_equal(symlink(fixture->certificate, link), 0);
        assert_int_equal(load_from(fixture, link, fixture->key), 0);
}

/* ---- what it is ---- */

/* Loads a certificate with these names. Returns what is told of it, until the next call. */
static const char *describe(struct fixture *fixture, const char *names)
{
        make_named(fixture, names);
        assert_int_equal(load(fixture), 0);
        tls_identity_describe(fixture->identity, &fixture->problem);
        assert_non_null(fixture->problem.data);
        return fixture->problem.data;
}

static void test_a_certificate_is_told_by_its_names_its_end_and_its_fingerprint(void **state)
{
        struct fixture *fixture = *state;
        unsigned char fingerprint[EVP_MAX_MD_SIZE];
        char expected[256], day[16];
        const char *told = describe(fixture, "DNS:solve.lan,email:a@b.example,IP:192.0.2.2,IP:::1");
        FILE *file = fopen(fixture->certificate, "r");
        time_t until_s = (time_t)(tls_identity_until_ms(fixture->identity) / 1000);

        assert_non_null(file);
        X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
        assert_non_null(certificate);
        assert_int_equal(X509_digest(certificate, EVP_sha256(), fingerprint, NULL), 1);
        X509_free(certificate);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(strftime(day, sizeof day, "%Y-%m-%d", gmtime(&until_s)), 10);
        int len = snprintf(expected, sizeof expected,
                           "names solve.lan, 192.0.2.2, ::1; until %s; sha256 ", day);
        for (int i = 0; i < 8; i++)
                len += snprintf(expected + len, sizeof expected - (size_t)len, "%02x",
                                fingerprint[i]);
        assert_string_equal(told, expected);
}

static void test_of_many_names_the_first_are_told_and_how_many_there_are(void **state)
{
        struct fixture *fixture = *state;

        assert_non_null(strstr(describe(fixture, "DNS:a,DNS:b,DNS:c,DNS:d,DNS:e,DNS:f,DNS:g,DNS:h"),
                               "names a, b, c, d, e, f, g, h; until "));
        assert_non_null(strstr(
                describe(fixture, "DNS:a,DNS:b,DNS:c,DNS:d,DNS:e,DNS:f,DNS:g,DNS:h,DNS:i,DNS:j"),
                "names a, b, c, d, e, f, g, h and 2 more; until "));
        assert_non_null(strstr(describe(fixture, "email:a@b.example"), "names none; until "));
        assert_non_null(strstr(describe(fixture, NULL), "names none; until "));
}

static void test_a_host_is_looked_for_among_the_names(void **state)
{
        static const char *const named[] = {"solve.lan", "SOLVE.lan", "a.wild.example", "192.0.2.2",
                                            "::1",       "[::1]",     "0:0:0:0:0:0:0:1"};
        static const char *const others[] = {
                "lan", "a.solve.lan",    "a.b.wild.example", "192.0.2.3", "::2", "[::2]",
                "",    "common.example", "wild.example"};
        struct fixture *fixture = *state;

        (void)describe(fixture, "DNS:solve.lan,DNS:*.wild.example,IP:192.0.2.2,IP:::1");
        for (size_t i = 0; i < sizeof named / sizeof named[0]; i++) {
                if (!tls_identity_has_name(fixture->identity, named[i]))
                        fail_msg("it has %s", named[i]);
        }
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
                if (tls_identity_has_name(fixture->identity, others[i]))
                        fail_msg("it has no %s", others[i]);
        }
}

/* Browsers, Python and Go refuse it. */
static void test_a_common_name_is_no_name(void **state)
{
        struct fixture *fixture = *state;

        (void)describe(fixture, NULL);
        assert_false(tls_identity_has_name(fixture->identity, "common.example"));
        (void)describe(fixture, "email:a@b.example");
        assert_false(tls_identity_has_name(fixture->identity, "common.example"));
        (void)describe(fixture, "DNS:common.example");
        assert_true(tls_identity_has_name(fixture->identity, "common.example"));
}

/* ---- what is refused ---- */

static void test_a_certificate_of_another_key_is_refused(void **state)
{
        struct fixture *fixture = *state;

        EVP_PKEY_free(make_key(fixture->key, NULL));
        assert_int_equal(load(fixture), -EINVAL);
        assert_refused(fixture, fixture->certificate, "is not of the key");
        assert_non_null(strstr(fixture->problem.data, fixture->key));
}

static void test_a_key_that_everybody_can_read_or_write_is_refused(void **state)
{
        struct fixture *fixture = *state;
        const mode_t modes[] = {0644, 0604, 0602, 0666};

        for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
                assert_int_equal(chmod(fixture->key, modes[i]), 0);
                assert_int_equal(load(fixture), -EACCES);
                assert_refused(fixture, fixture->key, "chmod o-rwx");
        }
}

static void test_a_key_with_a_password_is_refused(void **state)
{
        struct fixture *fixture = *state;
        EVP_PKEY *key = make_key(fixture->key, "password");

        make_certificates(fixture->certificate, key, 1, LIFE_S);
        EVP_PKEY_free(key);
        assert_int_equal(load(fixture), -EINVAL);
        assert_refused(fixture, fixture->key, "password");
}

static void test_a_file_that_is_missing_empty_or_no_file_is_refused(void **state)
{
        struct fixture *fixture = *state;
        char *files[] = {fixture->certificate, fixture->key};

        for (size_t i = 0; i < 2; i++) {
                write_bytes(files[i], 0);
                assert_int_equal(load(fixture), -EINVAL);
                assert_refused(fixture, files[i], "PEM");
                assert_int_equal(unlink(files[i]), 0);
                assert_int_equal(load(fixture), -ENOENT);
                assert_refused(fixture, files[i], "cannot be read");
                assert_int_equal(mkdir(files[i], 0700), 0);
                assert_int_equal(load(fixture), -EINVAL);
                assert_refused(fixture, files[i], "no regular file");
                assert_int_equal(rmdir(files[i]), 0);
                assert_int_equal(mkfifo(files[i], 0600), 0); /* nobody writes: it must not wait */
                assert_int_equal(load(fixture), -EINVAL);
                assert_refused(fixture, files[i], "no regular file");
                assert_int_equal(unlink(files[i]), 0);
                make_pair(fixture, LIFE_S);
        }
}

static void test_a_file_that_is_too_large_is_refused(void **state)
{
        struct fixture *fixture = *state;

        write_bytes(fixture->certificate, TOO_LARGE);
        assert_int_equal(load(fixture), -EFBIG);
        assert_refused(fixture, fixture->certificate, "256 KiB");
}

static void test_a_chain_has_a_ceiling(void **state)
{
        struct fixture *fixture = *state;
        EVP_PKEY *key = make_key(fixture->key, NULL);

        make_certificates(fixture->certificate, key, 1, LIFE_S);
        assert_int_equal(load(fixture), 0);
        make_certificates(fixture->certificate, key, TLS_CHAIN_MAX + 1, LIFE_S);
        EVP_PKEY_free(key);
        assert_int_equal(load(fixture), -EINVAL);
        assert_refused(fixture, fixture->certificate, "16");
}

/* Each line of the key's file is looked for in what is said when the two are mixed up. */
static void test_no_problem_quotes_the_key(void **state)
{
        struct fixture *fixture = *state;
        char line[256];
        int lines = 0;

        assert_int_equal(load_from(fixture, fixture->key, fixture->certificate), -EINVAL);
        assert_refused(fixture, fixture->key, "holds no certificate");
        FILE *file = fopen(fixture->key, "r");
        assert_non_null(file);
        while (lines < LINES_QUOTED && fgets(line, sizeof line, file)) {
                line[strcspn(line, "\n")] = '\0';
                line[16] = '\0';
                assert_null(strstr(fixture->problem.data, line));
                lines++;
        }
        assert_int_equal(fclose(file), 0);
        assert_true(lines > 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_a_certificate_and_its_key_are_loaded),
                TEST(test_an_identity_lives_until_its_last_reference),
                TEST(test_an_expired_certificate_is_loaded_and_says_since_when),
                TEST(test_a_key_may_be_readable_by_its_group),
                TEST(test_symbolic_links_are_followed),
                TEST(test_a_certificate_is_told_by_its_names_its_end_and_its_fingerprint),
                TEST(test_of_many_names_the_first_are_told_and_how_many_there_are),
                TEST(test_a_host_is_looked_for_among_the_names),
                TEST(test_a_common_name_is_no_name),
                TEST(test_a_certificate_of_another_key_is_refused),
                TEST(test_a_key_that_everybody_can_read_or_write_is_refused),
                TEST(test_a_key_with_a_password_is_refused),
                TEST(test_a_file_that_is_missing_empty_or_no_file_is_refused),
                TEST(test_a_file_that_is_too_large_is_refused),
                TEST(test_a_chain_has_a_ceiling),
                TEST(test_no_problem_quotes_the_key),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
