/*
 * reload_words: see reload_words.h.
 */
#include "daemon/reload_words.h"

#include "access/policy.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "gateway/gateway_reload.h"

#include <stddef.h>
#include <string.h>

#define NAMES_BYTES_MAX 240 /* of the names with one kind of change */

/* Names with one kind of change. */
struct names {
        struct strbuf text;
        size_t count, shown;
};

/* What comes before the names of a kind, and before each of them. */
struct kind {
        const char *title;
        const char *sign;
};

static void names_init(struct names *names, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                names[i] = (struct names){0};
                strbuf_init(&names[i].text, NAMES_BYTES_MAX);
        }
}

static void add_name(struct names *names, const struct kind *kind, const char *name)
{
        const char *between = names->count == 0 ? "" : kind->sign[0] ? " " : ", ";

        names->count++;
        if (strbuf_printf(&names->text, "%s%s%s", between, kind->sign, name) == 0)
                names->shown++;
}

/* Appends `SUBJECT: …` with each kind that there is, and frees the names. */
static void append_names(const char *subject, const struct kind *kinds, struct names *names,
                         size_t count, struct strbuf *text)
{
        bool any = false;

        for (size_t i = 0; i < count; i++) {
                const struct names *these = &names[i];
                if (these->shown > 0 && !any)
                        (void)strbuf_printf(text, "%s:", subject);
                if (these->shown > 0)
                        (void)strbuf_printf(text, "%s%s%s", any && kinds[i].title[0] ? "; " : " ",
                                            kinds[i].title, these->text.data);
                if (these->shown > 0 && these->count > these->shown)
                        (void)strbuf_printf(text, " and %zu more", these->count - these->shown);
                any = any || these->shown > 0;
                strbuf_done(&names[i].text);
        }
}

/* ---- clients ---- */

static const struct kind client_kinds[POLICY_CHANGE_COUNT] = {
        [POLICY_CLIENT_NEW] = {"", "+"},
        [POLICY_CLIENT_GONE] = {"", "-"},
        [POLICY_CLIENT_TOKEN] = {"new token: ", ""},
        [POLICY_CLIENT_LIMITS] = {"other limits: ", ""},
        [POLICY_CLIENT_SITES] = {"other sites: ", ""},
        [POLICY_CLIENT_END] = {"expires changed: ", ""},
};

static void add_client(void *arg, enum policy_change change, const char *client)
{
        add_name(&((struct names *)arg)[change], &client_kinds[change], client);
}

void reload_words_clients(const struct policy *before, const struct policy *after,
                          struct strbuf *text)
{
        struct names names[POLICY_CHANGE_COUNT];

        names_init(names, POLICY_CHANGE_COUNT);
        policy_compare(before, after, add_client, names);
        append_names("clients", client_kinds, names, POLICY_CHANGE_COUNT, text);
}

/* ---- upstreams ---- */

static const struct kind upstream_kinds[GATEWAY_UPSTREAM_CHANGES] = {
        [GATEWAY_UPSTREAM_NEW] = {"", "+"},
        [GATEWAY_UPSTREAM_GONE] = {"", "-"},
        [GATEWAY_UPSTREAM_CREDENTIAL] = {"new credential: ", ""},
        [GATEWAY_UPSTREAM_PLACE] = {"other url or api: ", ""},
        [GATEWAY_UPSTREAM_CA] = {"other ca: ", ""},
        [GATEWAY_UPSTREAM_LIMITS] = {"other limits: ", ""},
};

static void add_upstream(void *arg, enum gateway_upstream_change what, const char *name)
{
        add_name(&((struct names *)arg)[what], &upstream_kinds[what], name);
}

void reload_words_upstreams(const struct gateway *gateway, const struct gateway_change *change,
                            struct strbuf *text)
{
        struct names names[GATEWAY_UPSTREAM_CHANGES];

        names_init(names, GATEWAY_UPSTREAM_CHANGES);
        gateway_change_each(gateway, change, add_upstream, names);
        append_names("upstreams", upstream_kinds, names, GATEWAY_UPSTREAM_CHANGES, text);
}

/* ---- keys ---- */

static const struct kind key_kind = {"", ""};

static void add_key(void *arg, const char *key)
{
        if (strcmp(key, "clients") != 0 && strcmp(key, "upstreams") != 0)
                add_name(arg, &key_kind, key);
}

void reload_words_keys(const struct config *running, const struct config *merged,
                       struct strbuf *text)
{
        struct names names;

        names_init(&names, 1);
        config_changed(running, merged, add_key, &names);
        append_names("changed", &key_kind, &names, 1, text);
}

/* ---- jobs ---- */

void reload_words_jobs(const struct entry_unwanted_counts *counts, struct strbuf *text)
{
        const char *before = "waiting jobs: ";

        if (counts->cancelled > 0) {
                (void)strbuf_printf(text, "%s%zu cancelled", before, counts->cancelled);
                before = ", ";
        }
        if (counts->given_up > 0)
                (void)strbuf_printf(text, "%s%zu not sent again", before, counts->given_up);
}
