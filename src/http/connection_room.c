/*
 * connection_room: which connections have a seat, and which one makes room for another.
 *
 * There are limits.connections seats, over all threads. A connection without one is beyond a limit:
 * it gets one response, 503. It asks for a seat when it is accepted and again when its request has
 * come, so a connection that sends nothing does not keep one that does from being served. By then
 * its token is known, so clients behind one proxy are told apart.
 */
#include "http/closer.h"
#include "http/connection_private.h"
#include "http/peers.h"

#include "access/clients.h"
#include "base/clock.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utlist.h>

#define EVICT_LOOK_MAX 64  /* connections of a phase, so that a flood costs little */
#define CLAIM_LOOK_MAX 512 /* the same, for one whose request has come */
#define ENDS_A_TURN    16
#define BEYOND_GRACE_MS                                                                            \
        8                /* for each one that may be beyond a limit: so 125 a second end at least */
#define SHARE_DIVISOR 10 /* by default, a remote address has this part of limits.connections */

/* ---- seats ---- */

static bool take_seat(struct client_connection *connection)
{
        struct server_shared *shared = connection->table->server->shared;
        int max = atomic_load(&shared->connections_max), seats = atomic_load(&shared->seats);

        while (seats < max) {
                if (atomic_compare_exchange_weak(&shared->seats, &seats, seats + 1)) {
                        connection->seated = true;
                        return true;
                }
        }
        return false;
}

void connection_leave_room(struct client_connection *connection)
{
        if (connection->seated)
                (void)atomic_fetch_sub(&connection->table->server->shared->seats, 1);
        connection->seated = false;
}

int connection_share(const struct client_connection *connection)
{
        const struct server_shared *shared = connection->table->server->shared;
        int configured = atomic_load(&shared->connections_per_address_max);
        int share = atomic_load(&shared->connections_max) / SHARE_DIVISOR;

        if (configured > 0)
                return configured;
        if (!connection->peer || peer_is_loopback(connection->peer))
                return INT_MAX;
        return share > 0 ? share : 1;
}

/* ---- holders ---- */

void connection_set_client(struct client_connection *connection, struct client *client)
{
        if (connection->client == client)
                return;
        if (connection->client)
                (void)atomic_fetch_sub(&connection->client->connections, 1);
        if (client)
                (void)atomic_fetch_add(&client->connections, 1);
        peer_count_known(connection->peer, (client != NULL) - (connection->client != NULL));
        connection->client = client;
}

void connection_checked(struct client_connection *connection, struct client *client, bool served)
{
        connection_set_client(connection, client);
        connection->served = connection->served || served;
}

static bool have_one_holder(const struct client_connection *one,
                            const struct client_connection *other)
{
        if (one->client || other->client)
                return one->client == other->client;
        return one->peer == other->peer;
}

static int holder_connections(const struct client_connection *connection)
{
        return connection->client ? atomic_load(&connection->client->connections)
                                  : peer_unknown_connections(connection->peer);
}

/* ---- who makes room ---- */

/* In this order, and after how long in the phase a connection makes room for another one of the
 * same address; it does so at once for one of an address with fewer connections. */
static const struct {
        enum connection_phase phase;
        int64_t slow_ms;
} evictable[] = {
        {CONNECTION_HEADER, 1000}, {CONNECTION_BODY, 1000},  {CONNECTION_REPLY, 1000},
        {CONNECTION_UNREAD, 5000}, {CONNECTION_IDLE, 10000},
};

static bool has_input(const struct client_connection *connection)
{
        int bytes = 0;

        return ioctl(connection->fd, FIONREAD, &bytes) == 0 && bytes > 0;
}

/* Operators have few seats, so a connection that sends nothing leaves its own at once to one whose
 * request has come. */
static bool is_silent_operator(const struct client_connection *victim,
                               const struct client_connection *newcomer)
{
        return newcomer->claiming && newcomer->table->server->kind != SERVER_FOR_TOOLS &&
               victim->phase == CONNECTION_HEADER && !has_input(victim);
}

/*
 * Whether the holder of a connection has more of them than the newcomer's. The counts change all
 * the time, so a holder is not compared with itself. The holder of one that does not claim yet is
 * unknown: otherwise a client with many connections would pass for a new one with each of them.
 */
static bool has_more(const struct client_connection *one, const struct client_connection *newcomer)
{
        if (!newcomer->claiming)
                return one->peer != newcomer->peer &&
                       peer_connections(one->peer) > peer_connections(newcomer->peer);
        return !have_one_holder(one, newcomer) &&
               holder_connections(one) > holder_connections(newcomer);
}

/* Whether nothing was served on it, though it has sent a request. */
static bool is_only_refused(const struct client_connection *connection)
{
        return connection->carried > 0 && !connection->served;
}

static int look_max(const struct client_connection *newcomer)
{
        return newcomer->claiming ? CLAIM_LOOK_MAX : EVICT_LOOK_MAX;
}

static bool may_evict(const struct client_connection *victim,
                      const struct client_connection *newcomer, bool of_peer, int64_t slow_since_ms)
{
        if (victim == newcomer || !victim->seated || (of_peer && victim->peer != newcomer->peer))
                return false;
        return victim->entered_ms <= slow_since_ms || has_more(victim, newcomer) ||
               (newcomer->claiming && is_only_refused(victim)) ||
               is_silent_operator(victim, newcomer);
}

/* Among the oldest of a phase: one of the holder with the most connections. */
static struct client_connection *find_victim_in(const struct client_connection *newcomer,
                                                bool of_peer, bool refused, size_t rank,
                                                int64_t now_ms)
{
        struct client_connection *list = newcomer->table->awaited[evictable[rank].phase];
        struct client_connection *one, *victim = NULL;
        int looked = 0;

        DL_FOREACH (list, one) {
                if (looked++ == look_max(newcomer))
                        break;
                if (is_only_refused(one) == refused &&
                    may_evict(one, newcomer, of_peer, now_ms - evictable[rank].slow_ms) &&
                    (!victim || holder_connections(one) > holder_connections(victim)))
                        victim = one;
        }
        return victim;
}

/* Those on which every request was refused go first. */
static struct client_connection *find_victim(const struct client_connection *newcomer, bool of_peer)
{
        const size_t ranks = sizeof evictable / sizeof *evictable;
        int64_t now_ms = clock_monotonic_ms();
        struct client_connection *victim = NULL;

        for (size_t i = 0; !victim && i < ranks; i++)
                victim = find_victim_in(newcomer, of_peer, true, i, now_ms);
        for (size_t i = 0; !victim && i < ranks; i++)
                victim = find_victim_in(newcomer, of_peer, false, i, now_ms);
        return victim;
}

static const char *eviction_message(const struct client_connection *victim)
{
        return victim->phase == CONNECTION_BEYOND
                       ? "too many connections are open, and this one has sent no request; reuse "
                         "connections, and close idle ones"
                       : "this connection was slow, and was closed to make room for another one; "
                         "reuse connections, and close idle ones";
}

void connection_evict(struct client_connection *victim)
{
        const char *message = eviction_message(victim);

        connection_leave_room(victim);
        switch (victim->phase) {
        case CONNECTION_BEYOND:
        case CONNECTION_HEADER:
                request_header_refuse(victim->table->server, victim->mhd, victim, CONNECTION_SHUT,
                                      503, "too_many_connections", message);
                break;
        case CONNECTION_BODY:
                request_cut(victim->request, CONNECTION_SHUT, 503, "too_many_connections", message);
                break;
        case CONNECTION_REPLY:
                connection_abort(victim);
                break;
        case CONNECTION_UNREAD:
        case CONNECTION_IDLE:
        case CONNECTION_BUSY:
                connection_close_idle(victim);
                break;
        }
}

/* The oldest request that is held of the holder with the most connections, if the newcomer's has
 * fewer. */
static struct client_connection *find_held(const struct client_connection *newcomer)
{
        struct client_connection *victim = NULL;
        struct request *request;
        int looked = 0;

        DL_FOREACH2 (newcomer->table->server->held, request, held_next) {
                struct client_connection *one = request->connection;
                if (looked++ == look_max(newcomer))
                        break;
                if (one->held && one->seated && has_more(one, newcomer) &&
                    (!victim || holder_connections(one) > holder_connections(victim)))
                        victim = one;
        }
        return victim;
}

/* Returns whether a connection has left its seat; it is closed soon. */
static bool make_room(const struct client_connection *newcomer, bool of_peer)
{
        struct client_connection *victim = find_victim(newcomer, of_peer);

        if (victim) {
                connection_evict(victim);
                return true;
        }
        victim = of_peer ? NULL : find_held(newcomer);
        if (!victim)
                return false;
        connection_leave_room(victim);
        victim->room = CONNECTION_OVER_LIMIT; /* its response is the last one */
        request_client_gone(victim->held);
        return true;
}

void connection_find_room(struct client_connection *connection)
{
        const struct server_shared *shared = connection->table->server->shared;
        bool many = atomic_load(&shared->seats) >= atomic_load(&shared->connections_max) / 2;

        if (many && peer_connections(connection->peer) > connection_share(connection) &&
            !make_room(connection, true))
                connection->room = CONNECTION_OVER_ADDRESS_LIMIT;
        else if (take_seat(connection) || (make_room(connection, false) && take_seat(connection)))
                connection->room = CONNECTION_ROOM;
        else
                connection->room = CONNECTION_OVER_LIMIT;
}

enum connection_room connection_claim_room(struct client_connection *connection)
{
        if (connection->room != CONNECTION_ROOM && !connection->seated) {
                connection->claiming = connection->served;
                connection_find_room(connection);
                connection->claiming = false;
        }
        return connection->room;
}

/* ---- descriptors ---- */

static int files_max(const struct server_shared *shared)
{
        return atomic_load(&shared->connections_max) + atomic_load(&shared->beyond_max);
}

/* Whether a connection beyond a limit may end for another one: it had time to send something and
 * has not, or has sent nothing and is of the same address or one with more connections. Operators
 * are near. */
static bool may_end_beyond(const struct client_connection *one,
                           const struct client_connection *newcomer)
{
        const struct server *server = one->table->server;
        int64_t grace_ms = BEYOND_GRACE_MS * (int64_t)atomic_load(&server->shared->beyond_max);

        if (has_input(one))
                return false;
        if (newcomer)
                return one->peer == newcomer->peer || has_more(one, newcomer);
        return server->kind != SERVER_FOR_TOOLS ||
               clock_monotonic_ms() - one->entered_ms >= grace_ms;
}

/* Ends the oldest such connection. newcomer is not in a phase yet; NULL: it is not accepted yet. */
static bool end_beyond(const struct connection_table *table,
                       const struct client_connection *newcomer)
{
        struct client_connection *one;
        int looked = 0;

        DL_FOREACH (table->awaited[CONNECTION_BEYOND], one) {
                if (looked++ == EVICT_LOOK_MAX)
                        break;
                if (may_end_beyond(one, newcomer)) {
                        connection_evict(one);
                        return true;
                }
        }
        return false;
}

/* The kernel gives the lowest descriptor that is free, so it says how many are in use. If there is
 * none, accept(2) says so. */
static bool is_short_of_files(const struct server *server)
{
        int max = atomic_load(&server->shared->fd_max);

        if (max == INT_MAX)
                return false;
        int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
        if (fd >= 0)
                (void)close(fd);
        return fd >= max;
}

bool connection_admit(struct server *server)
{
        const struct server_shared *shared = server->shared;

        if (!atomic_load(&shared->waits))
                return true;
        if (!is_short_of_files(server) && (atomic_load(&shared->files) < files_max(shared) ||
                                           closer_end_oldest(server->connections->closer)))
                return true;
        for (int i = 0; i < ENDS_A_TURN && end_beyond(server->connections, NULL);)
                i++;
        return false;
}

bool connection_has_file(const struct client_connection *connection)
{
        const struct connection_table *table = connection->table;
        const struct server_shared *shared = table->server->shared;

        return atomic_load(&shared->waits) || atomic_load(&shared->files) <= files_max(shared) ||
               closer_end_oldest(table->closer) || end_beyond(table, connection);
}
