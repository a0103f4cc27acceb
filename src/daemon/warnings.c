/*
 * warnings: see warnings.h.
 */
#include "daemon/warnings.h"

#include "access/sites.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/strbuf.h"
#include "base/utf8.h"
#include "config/config.h"
#include "config/config_date.h"
#include "config/config_url.h"
#include "config/permissions.h"
#include "daemon/files.h"
#include "http/listener.h"
#include "http/server.h"
#include "http/tls.h"
#include "upstream/account.h"

#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_BYTES_MAX        2048 /* of one warning; the log's ceiling too */
#define WHERE_BYTES_MAX       160
#define CERTIFICATE_BYTES_MAX 2048
#define LIST_BYTES_MAX        1200 /* of what a line lists */
#define MORE_BYTES_MAX        40   /* of how many more there are */

#define DAY_MS                  INT64_C(86400000)
#define CERTIFICATE_DAYS_WARNED 21 /* enough to have a new one made */
#define END_DAYS_WARNED         7  /* of a client or a site */

/* ---- what was found ---- */

/* Keeps a text among those of its grade, the last of the notes making room for it. */
static void keep(struct warnings *found, enum warning_grade grade, const char *text)
{
        size_t place = grade == WARNING_URGENT ? found->urgent_kept : found->kept;
        char *copy;

        if (place == WARNINGS_KEPT_MAX)
                return;
        copy = strdup(text);
        if (!copy)
                return;
        secret_mask(copy); /* as the log does: a note may hold anything */
        if (found->kept == WARNINGS_KEPT_MAX)
                free(found->texts[--found->kept]);
        memmove(&found->texts[place + 1], &found->texts[place],
                (found->kept - place) * sizeof *found->texts);
        found->texts[place] = copy;
        found->kept++;
        found->urgent_kept += grade == WARNING_URGENT;
}

void warnings_add(struct warnings *found, enum warning_grade grade, const char *format, ...)
{
        char text[TEXT_BYTES_MAX];
        va_list args;

        va_start(args, format);
        (void)vsnprintf(text, sizeof text, format, args);
        va_end(args);
        utf8_end_cut(text, sizeof text);
        if (found->logs)
                log_warning("%s", text);
        found->count++;
        found->urgent += grade == WARNING_URGENT;
        keep(found, grade, text);
}

void warnings_log_urgent(const struct warnings *found)
{
        for (size_t i = 0; i < found->urgent_kept; i++)
                log_warning("%s", found->texts[i]);
        if (found->urgent > found->urgent_kept)
                log_warning("and %zu more that are as urgent", found->urgent - found->urgent_kept);
}

void warnings_copy(const struct warnings *found, struct warnings *ret_copy)
{
        struct warnings copy = {.count = found->count, .urgent = found->urgent};

        for (size_t i = 0; i < found->kept; i++)
                keep(&copy, i < found->urgent_kept ? WARNING_URGENT : WARNING_NOTE,
                     found->texts[i]);
        *ret_copy = copy;
}

void warnings_done(struct warnings *found)
{
        for (size_t i = 0; i < found->kept; i++)
                free(found->texts[i]);
        *found = (struct warnings){.logs = found->logs};
}

/* 0 is never. */
static bool is_over(int64_t until_ms)
{
        return until_ms != 0 && until_ms <= clock_wall_ms();
}

/* It is not over yet. */
static bool ends_within(int64_t until_ms, int64_t days)
{
        int64_t left_ms = until_ms - clock_wall_ms();

        return until_ms != 0 && left_ms > 0 && left_ms <= days * DAY_MS;
}

/* What one line names: as much as fits. A value; list_done() frees. */
struct list {
        struct strbuf text;
        size_t count, shown;
};

static void list_init(struct list *list)
{
        *list = (struct list){0};
        strbuf_init(&list->text, LIST_BYTES_MAX + MORE_BYTES_MAX);
}

__attribute__((format(printf, 2, 3))) static void list_add(struct list *list, const char *format,
                                                           ...)
{
        char item[WHERE_BYTES_MAX + SITE_HOST_BYTES_MAX + 256];
        va_list args;

        va_start(args, format);
        (void)vsnprintf(item, sizeof item, format, args);
        va_end(args);
        list->count++;
        if (list->text.len + strlen(item) > LIST_BYTES_MAX)
                return;
        if (strbuf_printf(&list->text, "%s%s", list->shown > 0 ? ", " : "", item) == 0)
                list->shown++;
}

/* The list as a text, which lives as long as the list does. */
static const char *list_text(struct list *list)
{
        if (list->count > list->shown)
                (void)strbuf_printf(&list->text, " and %zu more", list->count - list->shown);
        return list->text.data ? list->text.data : "";
}

static void list_done(struct list *list)
{
        strbuf_done(&list->text);
}

/* ---- listeners ---- */

static void tell_certificate(const char *name, const struct tls_identity *identity)
{
        struct strbuf text;

        strbuf_init(&text, CERTIFICATE_BYTES_MAX);
        tls_identity_describe(identity, &text);
        log_info("certificate of %s: %s", name, text.data ? text.data : "");
        strbuf_done(&text);
}

static void warn_of_end(struct warnings *found, const struct config_listen *listen,
                        const char *name, const struct tls_identity *identity)
{
        int64_t until_ms = tls_identity_until_ms(identity);
        char day[CONFIG_DATE_BYTES];

        config_date_write(until_ms, day);
        if (is_over(until_ms))
                warnings_add(found, WARNING_URGENT,
                             "the certificate %s of %s has expired: tools will refuse it",
                             listen->tls.certificate, name);
        else if (ends_within(until_ms, CERTIFICATE_DAYS_WARNED))
                warnings_add(found, WARNING_URGENT,
                             "the certificate %s of %s expires on %s: put a new one in its place, "
                             "and reload",
                             listen->tls.certificate, name, day);
}

/* Whether tools can call by the address; one that stands for all of the machine's is none. */
static bool address_is_named(const struct config_listen *listen,
                             const struct tls_identity *identity)
{
        const char *address = listen->address;

        if (config_url_same_address(address, "0.0.0.0") || config_url_same_address(address, "::"))
                return true;
        return tls_identity_has_name(identity, address) ||
               (config_url_address(address) == CONFIG_ADDRESS_LOOPBACK &&
                tls_identity_has_name(identity, "localhost"));
}

static void warn_of_names(struct warnings *found, const struct config *config, size_t i,
                          const char *name, const struct tls_identity *identity)
{
        const struct config_listen *listen = &config->listen[i];
        struct list missing;

        list_init(&missing);
        for (size_t j = 0; j < config->server_names.count; j++) {
                if (!tls_identity_has_name(identity, config->server_names.items[j]))
                        list_add(&missing, "%s", config->server_names.items[j]);
        }
        if (!address_is_named(listen, identity))
                list_add(&missing, "%s", listen->address);
        if (missing.count > 0)
                warnings_add(found, WARNING_URGENT,
                             "the certificate of %s has no name for %s: tools that call by that "
                             "will refuse it (%s)",
                             name, list_text(&missing), listen->tls.certificate);
        list_done(&missing);
}

static void warn_of_listeners(struct warnings *found, const struct config *config,
                              struct tls_identity *const *identities)
{
        for (size_t i = 0; i < config->listen_count; i++) {
                const struct config_listen *listen = &config->listen[i];
                char name[LISTENER_NAME_BYTES_MAX];
                listener_name(listen, name);
                if (identities[i]) {
                        if (found->logs)
                                tell_certificate(name, identities[i]);
                        warn_of_end(found, listen, name, identities[i]);
                        warn_of_names(found, config, i, name, identities[i]);
                } else if (config_url_address(listen->address) == CONFIG_ADDRESS_OTHER) {
                        warnings_add(found, WARNING_NOTE,
                                     "listen[%zu] (%s port %d) has no tls: tokens and jobs cross "
                                     "the network in clear text",
                                     i, listen->address, listen->port);
                }
        }
}

/* ---- sites and clients ---- */

static void warn_of_expired_sites(struct warnings *found, const char *where,
                                  const struct config_sites *sites)
{
        for (size_t i = 0; i < sites->count; i++) {
                const struct config_site *entry = &sites->items[i];
                if (is_over(entry->until_ms))
                        warnings_add(found, WARNING_NOTE,
                                     "%s: \"%s\" has expired%s%s%s: it allows nothing any more",
                                     where, entry->site, entry->note ? " (" : "",
                                     entry->note ? entry->note : "", entry->note ? ")" : "");
        }
}

/* One line for a list, while there is time to ask those who wrote the notes. */
static void warn_of_ending_sites(struct warnings *found, const char *where,
                                 const struct config_sites *sites)
{
        struct list ending;

        list_init(&ending);
        for (size_t i = 0; i < sites->count; i++) {
                const struct config_site *entry = &sites->items[i];
                char day[CONFIG_DATE_BYTES];
                if (!ends_within(entry->until_ms, END_DAYS_WARNED))
                        continue;
                config_date_write(entry->until_ms - 1, day); /* its last one */
                list_add(&ending, "\"%s\" on %s%s%s%s", entry->site, day, entry->note ? " (" : "",
                         entry->note ? entry->note : "", entry->note ? ")" : "");
        }
        if (ending.count > 0)
                warnings_add(found, WARNING_URGENT, "%s: what ends within %d days: %s", where,
                             END_DAYS_WARNED, list_text(&ending));
        list_done(&ending);
}

static void warn_of_sites(struct warnings *found, const struct config_sites *sites)
{
        if (sites->count == 0)
                warnings_add(found, WARNING_NOTE, "sites.allow is empty: every job is refused");
        for (size_t i = 0; i < sites->count; i++) {
                const char *pattern = sites->items[i].site;
                if (strcmp(pattern, "*") == 0)
                        warnings_add(found, WARNING_NOTE,
                                     "sites.allow has \"*\": jobs for every site are relayed");
                else if (strncmp(pattern, "*.", 2) == 0 && !strchr(pattern + 2, '.'))
                        warnings_add(
                                found, WARNING_NOTE,
                                "sites.allow has \"%s\": jobs for a whole top-level domain are "
                                "relayed",
                                pattern);
        }
        warn_of_expired_sites(found, "sites.allow", sites);
        warn_of_ending_sites(found, "sites.allow", sites);
}

/* A client's list only narrows the global one, NULL for want of memory. */
static void warn_of_client_sites(struct warnings *found, const struct config_client *client,
                                 const struct sites *global)
{
        char where[WHERE_BYTES_MAX], host[SITE_HOST_BYTES_MAX];

        (void)snprintf(where, sizeof where, "sites.allow of client \"%s\"", client->name);
        warn_of_expired_sites(found, where, &client->sites.allow);
        warn_of_ending_sites(found, where, &client->sites.allow);
        for (size_t i = 0; i < client->sites.allow.count; i++) {
                const char *pattern = client->sites.allow.items[i].site;
                if (strcmp(pattern, "*") == 0)
                        warnings_add(found, WARNING_NOTE,
                                     "%s has \"*\": it is not narrower than the global one", where);
                else if (pattern[0] != '*' && global && site_host(pattern, host) == 0 &&
                         sites_check(global, host, clock_wall_ms()) == SITES_DENY)
                        warnings_add(found, WARNING_NOTE,
                                     "%s has \"%s\", which the global one does not allow: jobs for "
                                     "it are refused",
                                     where, pattern);
        }
}

/* One line, while there is time to give them another day. */
static void warn_of_ending_clients(struct warnings *found, const struct config *config)
{
        struct list ending;

        list_init(&ending);
        for (size_t i = 0; i < config->clients_count; i++) {
                const struct config_client *client = &config->clients[i];
                char day[CONFIG_DATE_BYTES];
                if (!ends_within(client->until_ms, END_DAYS_WARNED))
                        continue;
                config_date_write(client->until_ms - 1, day); /* its last one */
                list_add(&ending, "\"%s\" on %s", client->name, day);
        }
        if (ending.count > 0)
                warnings_add(found, WARNING_URGENT, "clients: what ends within %d days: %s",
                             END_DAYS_WARNED, list_text(&ending));
        list_done(&ending);
}

static void warn_of_clients(struct warnings *found, const struct config *config)
{
        const struct config_sites *allow = &config->sites.allow;
        struct sites *global = NULL;
        bool limited = false;

        warn_of_ending_clients(found, config);
        (void)sites_new(allow->items, allow->count, &global);
        for (size_t i = 0; i < config->clients_count; i++) {
                const struct config_client *client = &config->clients[i];
                if (is_over(client->until_ms))
                        warnings_add(found, WARNING_NOTE,
                                     "client \"%s\" has expired: its token is refused",
                                     client->name);
                warn_of_client_sites(found, client, global);
                limited = limited || client->daily_limit > 0 || client->monthly_limit > 0;
        }
        sites_free(global);
        if (limited && config->durability == DURABILITY_NONE)
                warnings_add(found, WARNING_NOTE,
                             "durability is \"none\": what clients have used of daily_limit and "
                             "monthly_limit is forgotten at each stop");
}

/* Whether a directory belongs to the user of the service. A check by root (sudo solvegate -t) does
 * not know that user, so it takes the owner for it. */
static bool is_of_service_user(const char *directory)
{
        struct stat status;

        return geteuid() == 0 && stat(directory, &status) == 0 && status.st_uid != 0;
}

/* What every user can write is refused; this may be intended. */
static void warn_of_permissions(struct warnings *found, const struct config *config)
{
        const char *slash = strrchr(config->file, '/');
        char directory[PATH_MAX], what[WHERE_BYTES_MAX + PATH_MAX];
        const char *const paths[] = {config->file, directory, config->state_directory};
        size_t count = sizeof paths / sizeof paths[0];

        (void)snprintf(directory, sizeof directory, "%.*s",
                       slash ? (int)(slash - config->file + 1) : 1, slash ? config->file : ".");
        if (is_of_service_user(config->state_directory))
                count--;
        for (size_t i = 0; i < count; i++) {
                if (permissions_find_odd(paths[i], what, sizeof what))
                        warnings_add(found, WARNING_NOTE, "%s %s", paths[i], what);
        }
        if (strtoul(config->admin.socket_mode, NULL, 8) & S_IWOTH)
                warnings_add(found, WARNING_NOTE,
                             "admin.socket_mode \"%s\": each user of this machine with access to "
                             "%s is an operator",
                             config->admin.socket_mode, config->admin.socket);
}

void warnings_find_files(struct warnings *found, const struct config *config,
                         const struct files *files)
{
        struct files_plan plan;

        if (files_share(files, config, &plan, NULL) == 0 && plan.scarce)
                warnings_add(found, WARNING_NOTE,
                             "%zu open files are allowed, so tools have %d connections, not %d "
                             "(limits.connections); raise the limit to %zu (LimitNOFILE= in the "
                             "unit, or ulimit -n)",
                             files->limit, plan.connections, config->limits.connections,
                             plan.wanted);
}

static struct account_key key_of(const struct config_upstream *upstream,
                                 const struct credential *credential)
{
        return (struct account_key){upstream->url, upstream->credential, credential};
}

/* Tells of one upstream which of those before it is the same account, if any is. */
static void warn_of_account(struct warnings *found, const struct config *config,
                            struct credential *const *credentials, size_t number)
{
        const struct config_upstream *upstream = &config->upstreams[number];
        const struct account_key key = key_of(upstream, credentials[number]);

        for (size_t i = 0; i < number; i++) {
                const struct config_upstream *other = &config->upstreams[i];
                const struct account_key other_key = key_of(other, credentials[i]);
                if (!account_key_same(&other_key, &key))
                        continue;
                warnings_add(found, WARNING_NOTE,
                             "upstreams \"%s\" and \"%s\" are one account, so the smallest "
                             "max_in_flight of its names holds for all of them together; give the "
                             "account one name, unless api or ca differ",
                             other->name, upstream->name);
                return;
        }
}

void warnings_find_accounts(struct warnings *found, const struct config *config,
                            struct credential *const *credentials)
{
        for (size_t i = 1; i < config->upstreams_count; i++)
                warn_of_account(found, config, credentials, i);
}

void warnings_add_notes(struct warnings *found, const struct warnings *notes)
{
        for (size_t i = 0; i < notes->kept; i++)
                warnings_add(found, WARNING_NOTE, "%s", notes->texts[i]);
}

void warnings_find(struct warnings *found, const struct config *config,
                   struct tls_identity *const *identities)
{
        warn_of_listeners(found, config, identities);
        warn_of_sites(found, &config->sites.allow);
        warn_of_clients(found, config);
        warn_of_permissions(found, config);
}
