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
#include "http/pause.h"
#include "http/peers.h"
#include "http/request_private.h"

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

/*
 * A connection makes room if it is slow, if its holder has more connections than the newcomer's,
 * or, for a claim, if every request on it was refused. Of the slow ones, those that keep work in
 * memory go first. Of the others, those whose clients lose least go first. Requests that are held
 * for their answer come between BODY_RANK and REPLY_RANK.
 */
enum { IDLE_RANK, UNREAD_RANK, HEADER_RANK, BODY_RANK, REPLY_RANK, RANKS };

enum victim_kind { VICTIM_REFUSED, VICTIM_SLOW, VICTIM_OF_MORE };

#define NO_RANK ((int)(VICTIM_OF_MORE + 1) * RANKS)

/* In the order of the ranks. */
static const struct {
        enum connection_phase phase;
        int64_t slow_ms; /* it is slow after so long in the phase */
        int slow_rank;   /* among the slow ones */
} evictable[] = {
        [IDLE_RANK] = {CONNECTION_IDLE, 10000, 4},    [UNREAD_RANK] = {CONNECTION_UNREAD, 5000, 3},
        [HEADER_RANK] = {CONNECTION_HEADER, 1000, 0}, [BODY_RANK] = {CONNECTION_BODY, 1000, 1},
        [REPLY_RANK] = {CONNECTION_REPLY, 1000, 2},
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

static int total_rank(enum victim_kind kind, int rank)
{
        return (int)kind * RANKS + rank;
}

/* The lowest one makes room first; NO_RANK: it does not make room. */
static int rank_victim(const struct client_connection *victim,
                       const struct client_connection *newcomer, int rank, int64_t now_ms)
{
        bool slow = victim->entered_ms <= now_ms - evictable[rank].slow_ms ||
                    is_silent_operator(victim, newcomer);
        bool refused = is_only_refused(victim);

        if (refused && (newcomer->claiming || slow || has_more(victim, newcomer)))
                return total_rank(VICTIM_REFUSED, rank);
        if (slow)
                return total_rank(VICTIM_SLOW, evictable[rank].slow_rank);
        return has_more(victim, newcomer) ? total_rank(VICTIM_OF_MORE, rank) : NO_RANK;
}

/* A search for a connection that makes room. */
struct search {
        const struct client_connection *newcomer;
        bool of_peer;   /* only among those of its address */
        size_t looked;  /* at so many connections */
        int rank;       /* of the best one so far; or NO_RANK */
        int64_t now_ms; /* monotonic */
        struct client_connection *victim;
};

static void consider(struct search *search, struct client_connection *one, int rank)
{
        if (one == search->newcomer || !one->seated ||
            (search->of_peer && one->peer != search->newcomer->peer))
                return;
        int found = rank_victim(one, search->newcomer, rank, search->now_ms);
        if (found < search->rank ||
            (found == search->rank && search->victim &&
             holder_connections(one) > holder_connections(search->victim))) {
                search->rank = found;
                search->victim = one;
        }
}

/* Looks at the oldest of each phase. Of equal ones, one of the holder with the most is found. */
static void find_victim(struct search *search)
{
        for (int rank = 0; rank < RANKS && search->rank > rank; rank++) {
                struct client_connection *one;
                int looked = 0;
                DL_FOREACH (search->newcomer->table->awaited[evictable[rank].phase], one) {
                        if (looked++ == look_max(search->newcomer))
                                break;
                        search->looked++;
                        consider(search, one, rank);
                }
        }
}

static const char *eviction_message(const struct client_connection *victim)
{
        return victim->phase == CONNECTION_BEYOND
                       ? "too many connections are open, and this one has sent no request; reuse "
                         "connections, and close idle ones"
                       : "this connection was closed to make room for another one: it was slow, or "
                         "its client has the most; reuse connections, and close idle ones";
}

void connection_evict(struct client_connection *victim)
{
        const struct connection_events *events = victim->table->events;
        const char *message = eviction_message(victim);

        connection_leave_room(victim);
        switch (victim->phase) {
        case CONNECTION_BEYOND:
        case CONNECTION_HEADER:
                events->header_refuse(victim->table->server, victim->mhd, victim, CONNECTION_SHUT,
                                      503, "too_many_connections", message);
                break;
        case CONNECTION_BODY:
                events->cut(victim->request, CONNECTION_SHUT, 503, "too_many_connections", message);
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
static struct client_connection *find_held(struct search *search)
{
        struct client_connection *victim = NULL;
        struct request *request;
        int looked = 0;

        DL_FOREACH2 (search->newcomer->table->server->held, request, held_next) {
                struct client_connection *one = request->connection;
                if (looked++ == look_max(search->newcomer))
                        break;
                search->looked++;
                if (one->held && one->seated && has_more(one, search->newcomer) &&
                    (!search->of_peer || one->peer == search->newcomer->peer) &&
                    (!victim || holder_connections(one) > holder_connections(victim)))
                        victim = one;
        }
        return victim;
}

static void answer_early(struct client_connection *victim)
{
        connection_leave_room(victim);
        victim->room = CONNECTION_OVER_LIMIT; /* its response is the last one */
        victim->table->events->client_gone(victim->held);
}

/* Returns whether a connection has left its seat; it is closed soon. */
static bool make_room(struct client_connection *newcomer, bool of_peer)
{
        struct search search = {
                .newcomer = newcomer,
                .of_peer = of_peer,
                .rank = NO_RANK,
                .now_ms = clock_monotonic_ms(),
        };
        struct client_connection *held = NULL;

        find_victim(&search);
        if (search.rank > total_rank(VICTIM_OF_MORE, BODY_RANK))
                held = find_held(&search);
        if (newcomer->claiming)
                pause_count_search(newcomer, search.looked);
        if (held)
                answer_early(held);
        else if (search.victim)
                connection_evict(search.victim);
        return held || search.victim;
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
