/*
 * connection_room: which connections have a seat, and which one makes room for another.
 *
 * There are limits.connections seats, over all threads. A connection without one is beyond a limit:
 * it gets one response, 503. It asks for a seat when it is accepted and again when its request has
 * come, so a connection that sends nothing does not keep one that does from being served.
 */
#include "http/closer.h"
#include "http/connection_private.h"
#include "http/peers.h"

#include "base/clock.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utlist.h>

#define EVICT_LOOK_MAX 64 /* connections of a phase, so that a flood costs little */
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

/* Whether the address of one has more connections than that of another. The counts change all the
 * time, so an address is not compared with itself. */
static bool has_more(const struct client_connection *one, const struct client_connection *other)
{
        return one->peer != other->peer &&
               peer_connections(one->peer) > peer_connections(other->peer);
}

static bool may_evict(const struct client_connection *victim,
                      const struct client_connection *newcomer, bool of_peer, int64_t slow_since_ms)
{
        if (victim == newcomer || !victim->seated || (of_peer && victim->peer != newcomer->peer))
                return false;
        return victim->entered_ms <= slow_since_ms || has_more(victim, newcomer) ||
               is_silent_operator(victim, newcomer);
}

/* Among the oldest of a phase: one of the address with the most connections. */
static struct client_connection *find_victim(const struct client_connection *newcomer, bool of_peer,
                                             size_t rank, int64_t now_ms)
{
        struct client_connection *list = newcomer->table->awaited[evictable[rank].phase];
        struct client_connection *one, *victim = NULL;
        int looked = 0;

        DL_FOREACH (list, one) {
                if (looked++ == EVICT_LOOK_MAX)
                        break;
                if (may_evict(one, newcomer, of_peer, now_ms - evictable[rank].slow_ms) &&
                    (!victim || peer_connections(one->peer) > peer_connections(victim->peer)))
                        victim = one;
        }
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

/* A request that is held, of an address with more connections than the newcomer's. */
static struct client_connection *find_held(const struct client_connection *newcomer)
{
        struct client_connection *victim = NULL;
        struct request *request;
        int looked = 0;

        DL_FOREACH2 (newcomer->table->server->held, request, held_next) {
                struct client_connection *one = request->connection;
                if (looked++ == EVICT_LOOK_MAX)
                        break;
                if (one->held && one->seated && has_more(one, victim ? victim : newcomer) &&
                    has_more(one, newcomer))
                        victim = one;
        }
        return victim;
}

/* Returns whether a connection has left its seat; it is closed soon. */
static bool make_room(const struct client_connection *newcomer, bool of_peer)
{
        int64_t now_ms = clock_monotonic_ms();
        struct client_connection *victim = NULL;

        for (size_t i = 0; !victim && i < sizeof evictable / sizeof *evictable; i++)
                victim = find_victim(newcomer, of_peer, i, now_ms);
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
                connection->claiming = true;
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
 * has not, or is of an address with more connections. Operators are near. */
static bool may_end_beyond(const struct client_connection *one,
                           const struct client_connection *newcomer)
{
        const struct server *server = one->table->server;
        int64_t grace_ms = BEYOND_GRACE_MS * (int64_t)atomic_load(&server->shared->beyond_max);

        if (has_input(one))
                return false;
        if (newcomer)
                return has_more(one, newcomer);
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
