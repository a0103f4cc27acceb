/*
 * protocol_fixture: see protocol_fixture.h.
 */
#include "protocol_fixture.h"

#include "base/strbuf.h"
#include "config/credential.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct credential *credential, *other;

/* A credential comes from a file only. */
static int load(const char *text, struct credential **ret_credential)
{
        char folder[] = "/tmp/solvegate-test-XXXXXX", path[sizeof folder + sizeof "/key"];
        struct strbuf problem;

        if (!mkdtemp(folder))
                return -1;
        (void)snprintf(path, sizeof path, "%s/key", folder);
        FILE *file = fopen(path, "w");
        if (!file)
                return -1;
        (void)fputs(text, file);
        (void)fclose(file);
        (void)chmod(path, 0600);
        (void)setenv("CREDENTIALS_DIRECTORY", folder, 1);
        strbuf_init(&problem, 1024);
        int r = credential_load("key", "unused.conf", ret_credential, &problem);
        strbuf_done(&problem);
        (void)unlink(path);
        (void)rmdir(folder);
        return r;
}

int load_credentials(void **state)
{
        (void)state;
        if (load("uid = \"" UID "\"; apikey = \"" APIKEY "\";\n", &credential) < 0)
                return -1;
        return load("apikey = \"" OTHER_APIKEY "\";\n", &other);
}

int free_credentials(void **state)
{
        (void)state;
        credential_free(credential);
        credential_free(other);
        return 0;
}

struct protocol_request request_to(enum upstream_endpoint endpoint)
{
        return (struct protocol_request){
                .endpoint = endpoint,
                .upstream_id = endpoint == UPSTREAM_STATUS ? ASKED_ID : NULL,
                .credential = credential,
                .other = other,
                .wall_ms = NOW_MS,
        };
}

void read_bytes(enum upstream_endpoint endpoint, long http_code, const char *bytes, size_t len,
                struct answer *ret_answer)
{
        struct protocol_request request = request_to(endpoint);

        protocol_read(&request, http_code, bytes, len, ret_answer);
}

void read_text(enum upstream_endpoint endpoint, long http_code, const char *text,
               struct answer *ret_answer)
{
        read_bytes(endpoint, http_code, text, strlen(text), ret_answer);
}

void read_with_key(enum upstream_endpoint endpoint, const char *apikey, const char *text,
                   struct answer *ret_answer)
{
        struct protocol_request request = request_to(endpoint);
        struct credential *own = NULL;
        char file[CREDENTIAL_VALUE_BYTES_MAX + 64];

        (void)snprintf(file, sizeof file, "uid = \"" UID "\"; apikey = \"%s\";", apikey);
        assert_int_equal(load(file, &own), 0);
        request.credential = own;
        protocol_read(&request, 200, text, strlen(text), ret_answer);
        credential_free(own);
}
