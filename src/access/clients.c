/*
 * clients: see clients.h. Names come from the configuration and the ledger, never from a request,
 * so there are no more records than an operator has ever named.
 */
#include "access/clients.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct clients {
        pthread_mutex_t mutex;
        struct client *by_name; /* guarded by mutex */
};

static void client_free(struct client *client)
{
        if (!client)
                return;
        free(client->name);
        free(client);
}

static struct client *client_new(const char *name)
{
        struct client *client = calloc(1, sizeof *client);

        if (!client)
                return NULL;
        client->name = strdup(name);
        if (!client->name) {
                client_free(client);
                return NULL;
        }
        client->flow.turns.weight = 1;
        quota_init(&client->quota, quota_now());
        return client;
}

int clients_new(struct clients **ret_clients)
{
        struct clients *clients = calloc(1, sizeof *clients);

        if (!clients)
                return -ENOMEM;
        (void)pthread_mutex_init(&clients->mutex, NULL);
        *ret_clients = clients;
        return 0;
}

void clients_free(struct clients *clients)
{
        struct client *client, *next;

        if (!clients)
                return;
        HASH_ITER (by_name, clients->by_name, client, next) {
                HASH_DELETE(by_name, clients->by_name, client);
                client_free(client);
        }
        (void)pthread_mutex_destroy(&clients->mutex);
        free(clients);
}

static struct client *need_locked(struct clients *clients, const char *name)
{
        size_t len = strlen(name);
        struct client *client;

        HASH_FIND(by_name, clients->by_name, name, len, client);
        if (client)
                return client;
        client = client_new(name);
        if (!client)
                return NULL;
        HASH_ADD_KEYPTR(by_name, clients->by_name, client->name, len, client);
        if (!client->by_name.tbl) {
                client_free(client);
                return NULL;
        }
        return client;
}

struct client *clients_need(struct clients *clients, const char *name)
{
        (void)pthread_mutex_lock(&clients->mutex);
        struct client *client = need_locked(clients, name);
        (void)pthread_mutex_unlock(&clients->mutex);
        return client;
}

struct client *client_of(struct queue_flow *flow)
{
        return (struct client *)((char *)flow - offsetof(struct client, flow));
}
