/*
 * Tests of base/hash_table.
 */
#include "base/hash_table.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#define TEXT_BYTES 64

/* The example in appendix A of the paper. */
static void the_hash_is_siphash_2_4(void **state)
{
        unsigned char secret[HASH_SECRET_BYTES], text[15];

        (void)state;
        for (unsigned char i = 0; i < sizeof secret; i++)
                secret[i] = i;
        memcpy(text, secret, sizeof text);
        assert_true(hash_siphash(secret, text, sizeof text) == UINT64_C(0xa129ca6149be45e5));
}

static uint64_t by_libcrypto(EVP_MAC_CTX *context, const unsigned char *secret,
                             const unsigned char *text, size_t len)
{
        unsigned char bytes[8];
        size_t size = sizeof bytes, written;
        const OSSL_PARAM params[] = {
                OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
                OSSL_PARAM_construct_end(),
        };
        uint64_t hash = 0;

        assert_true(EVP_MAC_init(context, secret, HASH_SECRET_BYTES, params));
        assert_true(EVP_MAC_update(context, text, len));
        assert_true(EVP_MAC_final(context, bytes, &written, sizeof bytes));
        assert_int_equal(written, sizeof bytes);
        for (int i = 7; i >= 0; i--)
                hash = hash << 8 | bytes[i];
        return hash;
}

static void texts_of_each_length_have_the_hash_of_libcrypto(void **state)
{
        EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
        EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
        unsigned char secret[HASH_SECRET_BYTES], text[TEXT_BYTES];

        (void)state;
        assert_non_null(context);
        for (size_t i = 0; i < sizeof secret; i++)
                secret[i] = (unsigned char)(251 - 13 * i);
        for (size_t i = 0; i < sizeof text; i++)
                text[i] = (unsigned char)(37 * i + 200);
        for (size_t len = 0; len <= sizeof text; len++)
                assert_true(hash_siphash(secret, text, len) ==
                            by_libcrypto(context, secret, text, len));
        EVP_MAC_CTX_free(context);
        EVP_MAC_free(mac);
}

static void the_hash_of_a_key_stays_while_the_process_runs(void **state)
{
        (void)state;
        assert_int_equal(hash_keyed("key", 3), hash_keyed("key", 3));
        assert_int_not_equal(hash_keyed("key", 3), hash_keyed("kez", 3));
}

/* ---- crafted keys ---- */

#define CRAFTED 400

struct item {
        char key[24];
        UT_hash_handle hh;
};

/* The next key, after *number, of which uthash's own hash has the lowest bits 0. */
static void craft(char key[static 24], unsigned *number)
{
        unsigned hash;

        do {
                memset(key, 0, 24);
                (void)snprintf(key, 24, "%u", ++*number);
                HASH_JEN(key, 24, hash);
        } while (hash % 4096 != 0);
}

static unsigned longest_chain(const struct item *table)
{
        unsigned longest = 0;

        for (unsigned i = 0; i < table->hh.tbl->num_buckets; i++) {
                if (table->hh.tbl->buckets[i].count > longest)
                        longest = table->hh.tbl->buckets[i].count;
        }
        return longest;
}

/* By uthash's own hash all of them are in one chain. */
static void keys_that_collide_by_a_public_hash_do_not_share_a_chain(void **state)
{
        struct item *table = NULL, *items = calloc(CRAFTED, sizeof *items);
        unsigned number = 0;

        (void)state;
        for (size_t i = 0; i < CRAFTED; i++) {
                struct item *item = &items[i];
                craft(item->key, &number);
                HASH_ADD(hh, table, key, sizeof item->key, item);
        }
        assert_int_equal(HASH_COUNT(table), CRAFTED);
        assert_true(longest_chain(table) <= 2 * HASH_BKT_CAPACITY_THRESH);
        HASH_CLEAR(hh, table);
        free(items);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_hash_is_siphash_2_4),
                cmocka_unit_test(texts_of_each_length_have_the_hash_of_libcrypto),
                cmocka_unit_test(the_hash_of_a_key_stays_while_the_process_runs),
                cmocka_unit_test(keys_that_collide_by_a_public_hash_do_not_share_a_chain),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
