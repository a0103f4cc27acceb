/*
 * account: an upstream that jobs are sent to, by its name.
 *
 * A struct account is made once for a name and lives as long as the process, whatever a reload does
 * to the configuration: flights, records of the store and balances refer to it. What a reload
 * replaces are its terms. One that a reload takes out is retired: it is sent nothing new, what it
 * has goes on, and then it loses its terms; when its name comes back it is not retired any more.
 *
 * Terms are immutable and shared by references, so what is under way goes on by those that it began
 * with; the last reference wipes the credential. Thread: any who holds one.
 */
#ifndef SOLVEGATE_UPSTREAM_ACCOUNT_H
#define SOLVEGATE_UPSTREAM_ACCOUNT_H

#include "upstream/breaker.h"
#include "upstream/request_counts.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_upstream;
struct credential;

/* ---- terms ---- */

struct account_terms {
        _Atomic unsigned references;
        char *url;
        int api;
        char *ca; /* trusted certificates as the file had them; NULL: the system's */
        size_t ca_len;
        int max_in_flight;
        int priority;
        char *credential_name;
        struct credential *credential; /* owned */
};

/*
 * Makes terms by a configuration, which need not outlive them, with one reference. The credential
 * is taken over, whether it succeeds or not. Returns 0, -ENOMEM, or another -errno where the file
 * ca cannot be read.
 */
int account_terms_new(const struct config_upstream *config, struct credential *credential,
                      struct account_terms **ret_terms);

struct account_terms *account_terms_ref(struct account_terms *terms);

/* Takes NULL. */
void account_terms_unref(struct account_terms *terms);

/* In what two terms differ; 0: in nothing. */
enum {
        ACCOUNT_CREDENTIAL = 1, /* its name or its values, which are compared in constant time */
        ACCOUNT_PLACE = 2,      /* url or api */
        ACCOUNT_CA = 4,         /* what is in the file ca */
        ACCOUNT_LIMITS = 8,     /* max_in_flight or priority */
};
unsigned account_terms_compare(const struct account_terms *a, const struct account_terms *b);

/* Whether a job that was taken under one can be asked for under the other: they have the same url
 * and api, and are of one account, that is, of one uid, or else of one name of a credential. */
bool account_terms_same_jobs(const struct account_terms *a, const struct account_terms *b);

/* By what an account at the service is known. What it points to must outlive it. */
struct account_key {
        const char *url;
        const char *credential_name;
        const struct credential *credential; /* may be NULL */
};

/*
 * Whether both are one account at the service, which counts its jobs together: the same scheme,
 * host and port, and the same uid; where one of them has no uid, the same apikey, or the same name
 * of a credential. Neither api nor ca counts.
 */
bool account_key_same(const struct account_key *a, const struct account_key *b);

/* The key of terms. */
struct account_key account_terms_key(const struct account_terms *terms);

#define ACCOUNT_PLACE_BYTES_MAX 600 /* a url is shorter than that, by the table of keys */

/* Writes where jobs are sent and asked for, as it is kept over a restart. */
void account_place(const char *url, int api, char ret_place[static ACCOUNT_PLACE_BYTES_MAX]);

/* ---- slots ---- */

/*
 * The slots of one account at the service, shared by all names that it has, or had, in the
 * configuration: by two upstreams, and by one that a reload renames. Guarded by the scheduler's
 * mutex.
 */
struct account_slots {
        unsigned references;         /* by accounts, and by turns that hold a slot */
        struct account_terms *terms; /* a reference: the last ones of one of these accounts */
        int64_t number;              /* unique in the life of the process */
        int in_flight;               /* jobs sent and not final, by all names */
        int max_in_flight;           /* the smallest of those in the configuration; 0: none is */
        struct account_slots *prev, *next;
};

/* ---- accounts ---- */

struct account {
        char *name;   /* immutable */
        size_t index; /* among all accounts; set by accounts_add() */

        /* Guarded by the scheduler's mutex. Main alone replaces the terms, and retires, so it reads
         * both without. */
        struct account_terms *terms; /* a reference; NULL before it is first used and once gone */
        bool retired;
        bool gone;                   /* retired, and had nothing in flight when main last looked */
        unsigned health;             /* how often its breaker began anew */
        int in_flight;               /* jobs sent under this name and not final */
        struct account_slots *slots; /* a reference; NULL while there are no terms */
        struct breaker breaker;      /* counts since then */

        struct request_counts requests; /* count by themselves */
};

/* Without terms, and retired. Returns 0 or -ENOMEM. */
int account_new(const char *name, struct account **ret_account);

/* Takes NULL. */
void account_free(struct account *account);

/* Names that upstreams may have in the life of one process; in a configuration there are 64. */
#define ACCOUNTS_EVER_MAX 256

/*
 * All of them, in the order in which their names came. Items are only ever added, by main; who
 * reads the count may read so many items without a lock.
 */
struct accounts {
        struct account *items[ACCOUNTS_EVER_MAX];
        _Atomic size_t count;
};

size_t accounts_count(const struct accounts *accounts);

/* NULL: there is none of that name. */
struct account *accounts_find(const struct accounts *accounts, const char *name);

/* Takes the account over. Requires room. Thread: main. */
void accounts_add(struct accounts *accounts, struct account *account);

/* Frees all. */
void accounts_done(struct accounts *accounts);

#endif
