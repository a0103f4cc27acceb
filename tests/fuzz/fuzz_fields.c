/*
 * Fuzz target: what the values of header fields and the names in the configuration mean, one pure
 * function each: Prefer, Cache-Control, apikey and Authorization, Idempotency-Key, a job's site,
 * and site patterns, origins and URLs.
 *
 * Rules: results lie within their input and their limits, and are what a second, plainer reading of
 * the value gives; what is written back is accepted again and stays the same.
 */
#include "access/sites.h"
#include "config/config.h"
#include "config/config_origin.h"
#include "config/config_url.h"
#include "config/site_pattern.h"
#include "fuzz.h"
#include "http/directive.h"
#include "http/idempotency.h"
#include "http/prefer.h"
#include "http/token_field.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* So an origin that can be listed needs no escape anywhere. */
#define ORIGIN_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+:/[]"

static void check_prefer(const char *value)
{
        struct prefer prefer = prefer_none();

        CHECK(!prefer.respond_async && prefer.wait_s == -1);
        prefer_add(&prefer, value);
        CHECK(prefer.wait_s >= -1 && prefer.wait_s <= PREFER_WAIT_MAX_S);
        CHECK(prefer.wait_s == -1 || strcasestr(value, "wait"));
        CHECK(!prefer.respond_async || strcasestr(value, "respond-async"));
        struct prefer first = prefer;
        prefer_add(&prefer, value);
        CHECK(prefer.wait_s == first.wait_s && prefer.respond_async == first.respond_async);

        int64_t seconds = prefer_seconds(value);
        bool digits = value[0] != '\0' && value[strspn(value, "0123456789")] == '\0';
        CHECK(seconds >= -1 && seconds <= PREFER_WAIT_MAX_S);
        CHECK((seconds >= 0) == digits);
}

static void check_directive(const char *value)
{
        bool has = directive_has(value, "no-cache");

        CHECK(!has || strcasestr(value, "no-cache"));
        if (strcasecmp(value, "no-cache") == 0)
                CHECK(has);
        /* Without quotes every comma separates. */
        if (strcspn(value, "\"\\ \t=") == strlen(value)) {
                char *copy = strdup(value), *state = NULL;
                bool found = false;
                CHECK(copy);
                for (char *part = strtok_r(copy, ",", &state); part;
                     part = strtok_r(NULL, ",", &state))
                        found |= strcasecmp(part, "no-cache") == 0;
                CHECK(found == has);
                free(copy);
        }
}

static void check_token(const char *value)
{
        static const char *const names[] = {"apikey", "Authorization", "Cookie"};

        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
                struct token_field field = {0};
                token_field_add(&field, names[i], value);
                CHECK(!field.differs);
                if (field.len == 0)
                        continue;
                CHECK(i < 2);
                CHECK(field.text >= value && field.text + field.len <= value + strlen(value));
                CHECK(!strchr(" \t", field.text[0]) && !strchr(" \t", field.text[field.len - 1]));
                struct token_field first = field;
                token_field_add(&field, names[i], value);
                CHECK(!field.differs && field.text == first.text && field.len == first.len);
                token_field_add(&field, "apikey", "another one, which no input is likely to be");
                CHECK(field.differs || strstr(value, "another one"));
        }
}

static void check_key(const char *value)
{
        char key[JOB_KEY_BYTES_MAX + 1] = "untouched", again[JOB_KEY_BYTES_MAX + 1];

        if (!idempotency_key(value, key)) {
                CHECK(strcmp(key, "untouched") == 0);
                return;
        }
        CHECK(key[0] != '\0' && strlen(key) <= JOB_KEY_BYTES_MAX);
        CHECK(strstr(value, key) && fuzz_is_line(key, strlen(key)));
        CHECK(idempotency_key(key, again) && strcmp(key, again) == 0);
}

/* A host, once it is written, is a host and stays as it is. */
static void check_site(const char *site)
{
        char host[SITE_HOST_BYTES_MAX], again[SITE_HOST_BYTES_MAX];
        int r = site_host(site, host);

        CHECK(r == 0 || r == -EINVAL);
        if (r < 0)
                return;
        CHECK(host[0] != '\0' && strlen(host) < sizeof host);
        for (const char *c = host; *c; c++)
                CHECK(isalnum((unsigned char)*c) ? !isupper((unsigned char)*c)
                                                 : strchr("-._:[]", *c) != NULL);
        CHECK(site_host(host, again) == 0 && strcmp(host, again) == 0);
}

/* A pattern that the configuration accepts makes a list, and an exact one allows its own host. */
static void check_pattern(char *pattern)
{
        struct config_site entry = {.site = pattern};
        struct sites *sites = NULL;
        char host[SITE_HOST_BYTES_MAX];
        const char *problem = site_pattern_problem(pattern);

        if (problem) {
                CHECK(fuzz_is_line(problem, strlen(problem)));
                return;
        }
        CHECK(sites_new(&entry, 1, &sites) == 0);
        if (pattern[0] != '*') {
                CHECK(site_host(pattern, host) == 0);
                CHECK(sites_check(sites, host, 0) == SITES_ALLOW);
                CHECK(sites_check(sites, "other.invalid", 0) == SITES_DENY ||
                      strcmp(host, "other.invalid") == 0);
        }
        sites_free(sites);
}

static void check_urls(const char *text)
{
        bool tls = false;
        const char *problem = config_url_problem(text, &tls);

        if (problem)
                CHECK(fuzz_is_line(problem, strlen(problem)));
        else
                CHECK(strncmp(text, tls ? "https://" : "http://", tls ? 8 : 7) == 0 &&
                      fuzz_is_line(text, strlen(text)) && !strpbrk(text, "@ \\?#\"'"));
        problem = config_origin_problem(text);
        if (problem)
                CHECK(fuzz_is_line(problem, strlen(problem)));
        else
                CHECK(strstr(text, "://") && text[strspn(text, ORIGIN_CHARACTERS)] == '\0');

        enum config_address address = config_url_address(text);
        CHECK(address == CONFIG_ADDRESS_NONE || config_url_same_address(text, text));
        CHECK(address == CONFIG_ADDRESS_NONE ||
              text[strspn(text, "0123456789abcdefABCDEF.:")] == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = fuzz_string(data, size);

        check_prefer(text);
        check_directive(text);
        check_token(text);
        check_key(text);
        check_site(text);
        check_pattern(text);
        check_urls(text);
        free(text);
        return 0;
}
