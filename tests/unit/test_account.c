/*
 * Accounts by their names, and in what their terms differ.
 */
#include "upstream/account.h"

#include "config/config.h"
#include "upstream/ca_file.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char url[] = "https://up", other_url[] = "https://other", name[] = "c", other[] = "d";

static const struct config_upstream usual = {
        .name = name,
        .url = url,
        .api = 1,
        .credential = name,
        .max_in_flight = 2,
};

/* Each test has its own. */
static char ca[] = "/tmp/solvegate-test-ca-XXXXXX";

static int make_ca(void **state)
{
        (void)state;
        int fd = mkstemp(ca);

        return fd < 0 ? -1 : close(fd);
}

static int remove_ca(void **state)
{
        (void)state;
        (void)unlink(ca);
        memset(ca + strlen(ca) - 6, 'X', 6);
        return 0;
}

/* Writes the file anew, with a certificate of this name and whatever follows it. */
static void write_ca(const char *common_name, const char *text)
{
        EVP_PKEY *key = EVP_EC_gen("P-256");
        X509 *certificate = X509_new();
        X509_NAME *subject = X509_get_subject_name(certificate);
        FILE *file = fopen(ca, "w");

        assert_true(key && certificate && file);
        assert_true(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                               (const unsigned char *)common_name, -1, -1, 0));
        assert_true(X509_set_issuer_name(certificate, subject));
        (void)X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
        (void)X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
        assert_true(X509_set_pubkey(certificate, key) && X509_sign(certificate, key, EVP_sha256()));
        assert_true(PEM_write_X509(file, certificate));
        (void)fputs(text, file);
        (void)fclose(file);
        X509_free(certificate);
        EVP_PKEY_free(key);
}

static struct account_terms *terms_of(const struct config_upstream *config)
{
        struct account_terms *terms;

        assert_int_equal(account_terms_new(config, NULL, &terms), 0);
        return terms;
}

static void assert_differ(struct config_upstream changed, unsigned wanted, bool same_jobs)
{
        struct account_terms *a = terms_of(&usual), *b = terms_of(&changed);

        assert_int_equal(account_terms_compare(a, b), wanted);
        assert_int_equal(account_terms_compare(b, a), wanted);
        assert_int_equal(account_terms_same_jobs(a, b), same_jobs);
        account_terms_unref(a);
        account_terms_unref(b);
}

static void terms_differ_in_what_was_changed(void **state)
{
        struct config_upstream changed = usual;

        (void)state;
        assert_differ(usual, 0, true);
        changed.credential = other;
        assert_differ(changed, ACCOUNT_CREDENTIAL, false); /* there is no uid that says more */
        changed = usual;
        changed.ca = ca;
        write_ca("one", "");
        assert_differ(changed, ACCOUNT_CA, true);
        changed.api = 2;
        assert_differ(changed, ACCOUNT_PLACE | ACCOUNT_CA, false);
        changed = usual;
        changed.url = other_url;
        changed.priority = 1;
        assert_differ(changed, ACCOUNT_PLACE | ACCOUNT_LIMITS, false);
        changed = usual;
        changed.max_in_flight = 3;
        assert_differ(changed, ACCOUNT_LIMITS, true);
}

static void terms_have_the_certificates_that_were_in_the_file(void **state)
{
        struct config_upstream changed = usual;

        (void)state;
        changed.ca = ca;
        write_ca("one", "");
        struct account_terms *a = terms_of(&changed), *b = terms_of(&changed);
        assert_int_equal(account_terms_compare(a, b), 0);
        account_terms_unref(b);
        write_ca("two", "");
        b = terms_of(&changed);
        assert_int_equal(account_terms_compare(a, b), ACCOUNT_CA);
        assert_non_null(memmem(a->ca, a->ca_len, "-----BEGIN CERTIFICATE-----", 27));
        account_terms_unref(a);
        account_terms_unref(b);
        write_ca("three", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n");
        assert_int_equal(account_terms_new(&changed, NULL, &a), -EINVAL);
        assert_int_equal(truncate(ca, CA_FILE_BYTES_MAX + 1), 0);
        assert_int_equal(account_terms_new(&changed, NULL, &a), -EFBIG);
        assert_int_equal(unlink(ca), 0);
        assert_int_equal(account_terms_new(&changed, NULL, &a), -ENOENT);
}

static void accounts_are_found_by_name_and_fill_up(void **state)
{
        static struct accounts accounts;
        char text[16];

        (void)state;
        assert_null(accounts_find(&accounts, "u-0"));
        for (int i = 0; i < ACCOUNTS_EVER_MAX; i++) {
                struct account *account;
                (void)snprintf(text, sizeof text, "u-%d", i);
                assert_int_equal(account_new(text, &account), 0);
                assert_true(account->retired && account->gone);
                accounts_add(&accounts, account);
                assert_ptr_equal(accounts_find(&accounts, text), account);
        }
        assert_int_equal(accounts_count(&accounts), ACCOUNTS_EVER_MAX);
        assert_string_equal(accounts_find(&accounts, "u-7")->name, "u-7");
        assert_null(accounts_find(&accounts, "u-"));
        accounts_done(&accounts);
}

#define WITH_CA(name) cmocka_unit_test_setup_teardown(name, make_ca, remove_ca)

static bool same_account(const char *url_a, const char *credential_a, const char *url_b,
                         const char *credential_b)
{
        const struct account_key a = {url_a, credential_a, NULL}, b = {url_b, credential_b, NULL};

        assert_int_equal(account_key_same(&a, &b), account_key_same(&b, &a));
        return account_key_same(&a, &b);
}

static void an_account_is_known_by_scheme_host_and_port(void **state)
{
        (void)state;
        static const char *const same[][2] = {
                {"https://up.example", "https://up.example"},
                {"https://up.example", "https://UP.example:443"},
                {"http://[::1]", "http://[::1]:80"},
        };
        static const char *const different[][2] = {
                {"https://up.example", "http://up.example"},
                {"https://up.example", "http://up.example:443"},
                {"https://up.example", "https://up.example:8443"},
                {"https://up.example", "https://up.example.org"},
                {"http://[::1]", "http://[::1]:81"},
                {"http://[::1]", "http://[::2]"},
        };
        for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
                assert_true(same_account(same[i][0], "c", same[i][1], "c"));
        for (size_t i = 0; i < sizeof different / sizeof different[0]; i++)
                assert_false(same_account(different[i][0], "c", different[i][1], "c"));
        assert_false(same_account(same[0][0], "c", same[0][1], "d"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                WITH_CA(terms_differ_in_what_was_changed),
                WITH_CA(terms_have_the_certificates_that_were_in_the_file),
                cmocka_unit_test(accounts_are_found_by_name_and_fill_up),
                cmocka_unit_test(an_account_is_known_by_scheme_host_and_port),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
