/*
 * metrics: GET /metrics: what there is and what there was, in Prometheus's text.
 *
 * docs/metrics.md says what each metric means. Labels have values of the configuration, of the
 * ledger, or of a fixed table; none comes from a request.
 */
#include "base/metrics.h"
#include "base/log.h"

#include "base/strbuf.h"
#include "gateway/balance.h"
#include "gateway/gateway.h"
#include "gateway/gateway_stats.h"
#include "http/handlers.h"
#include "http/listener.h"
#include "http/operator.h"
#include "http/reply.h"
#include "http/request_private.h"
#include "http/tally.h"
#include "http/tls.h"
#include "upstream/request_counts.h"

#define METRICS_BYTES_MAX (16 * 1024 * 1024)

static void write_number(struct strbuf *text, const struct metric *metric, int64_t number)
{
        metrics_begin(text, metric);
        metrics_sample(text, metric, NULL, number);
}

/* ---- the process ---- */

static void write_process(struct strbuf *text, const struct operator_view *view)
{
        static const struct metric build = {
                "solvegate_build_info", METRIC_GAUGE, "Always 1: which version runs.", {"version"}};
        static const struct metric started = {
                "solvegate_start_time_seconds",
                METRIC_GAUGE,
                "When the process began, in seconds since 1970.",
                {NULL},
        };
        static const struct metric connections = {
                "solvegate_connections",
                METRIC_GAUGE,
                "Connections of tools that are open; limits.connections bounds them.",
                {NULL},
        };
        static const struct metric handshakes = {
                "solvegate_tls_handshakes_failed_total",
                METRIC_COUNTER,
                "Connections of tools that ended before their TLS had begun.",
                {NULL},
        };
        static const struct metric lost = {
                "solvegate_log_lines_lost_total",
                METRIC_COUNTER,
                "Lines of the log that were lost: not taken at once, or not written.",
                {NULL},
        };
        static const struct metric pauses = {
                "solvegate_body_pauses_total",
                METRIC_COUNTER,
                "How often a connection was paused while its body came, since many came at once.",
                {NULL},
        };
        static const char *const version = SOLVEGATE_VERSION;

        metrics_begin(text, &build);
        metrics_sample(text, &build, &version, 1);
        metrics_begin(text, &started);
        metrics_sample_real(text, &started, NULL, (double)view->started_wall_ms / 1e3);
        write_number(text, &connections, atomic_load(&view->connections->connections));
        write_number(text, &handshakes, atomic_load(&view->connections->handshakes_failed));
        write_number(text, &pauses, atomic_load(&view->connections->pauses));
        write_number(text, &lost, log_lost());
}

/* Before the first reload they tell of the start, which has read the file, too. */
static void write_reload(struct strbuf *text, const struct operator_view *view)
{
        static const struct metric successful = {
                "solvegate_config_last_reload_successful",
                METRIC_GAUGE,
                "Whether the configuration was good when it was last read: 0 or 1.",
                {NULL},
        };
        static const struct metric timestamp = {
                "solvegate_config_last_reload_timestamp_seconds",
                METRIC_GAUGE,
                "When the configuration was last read, in seconds since 1970.",
                {NULL},
        };
        const struct operator_reload *reload = &view->reload;
        bool none = reload->at_wall_ms == 0;
        int64_t at_ms = none ? view->started_wall_ms : reload->at_wall_ms;

        write_number(text, &successful, none || reload->ok);
        metrics_begin(text, &timestamp);
        metrics_sample_real(text, &timestamp, NULL, (double)at_ms / 1e3);
}

static void write_certificates(struct strbuf *text, const struct operator_view *view)
{
        static const struct metric expiry = {
                "solvegate_certificate_expiry_timestamp_seconds",
                METRIC_GAUGE,
                "When the certificate that a listener shows expires, in seconds since 1970.",
                {"listener"},
        };

        metrics_begin(text, &expiry);
        for (size_t i = 0; i < view->listener_count; i++) {
                const char *name = view->listeners[i].name;
                const struct tls_identity *identity = view->identities[i];
                if (identity)
                        metrics_sample_real(text, &expiry, &name,
                                            (double)tls_identity_until_ms(identity) / 1e3);
        }
}

static void write_disk(struct strbuf *text, const struct gateway *gateway)
{
        static const struct metric store = {
                "solvegate_store_well",
                METRIC_GAUGE,
                "Whether the state directory can be written; 0: no job is taken or sent.",
                {NULL},
        };
        static const struct metric audit = {
                "solvegate_audit_well",
                METRIC_GAUGE,
                "Whether the audit can be written; 0: no job is taken or sent.",
                {NULL},
        };

        write_number(text, &store, gateway_store_healthy(gateway));
        write_number(text, &audit, gateway_audit_healthy(gateway));
}

/* ---- charges ---- */

/* What a charge's row is written with. */
struct page {
        struct strbuf *text;
        const struct metric *metric;
};

static void write_charged(void *arg, const struct charges_row *row)
{
        const struct page *page = arg;
        const char *const labels[] = {row->client, row->upstream};

        metrics_sample(page->text, page->metric, labels, row->charged);
}

static void write_unknown(void *arg, const struct charges_row *row)
{
        const struct page *page = arg;
        const char *const labels[] = {row->client, row->upstream};

        metrics_sample(page->text, page->metric, labels, row->unknown);
}

static void write_charges(struct strbuf *text, struct gateway *gateway)
{
        static const struct metric charged = {
                "solvegate_charges_total",
                METRIC_COUNTER,
                "Jobs that an upstream took and charged, by the ledger, over restarts.",
                {"client", "upstream"},
        };
        static const struct metric unknown = {
                "solvegate_charges_unknown_total",
                METRIC_COUNTER,
                "Jobs that an upstream may have charged, by the ledger, over restarts.",
                {"client", "upstream"},
        };

        metrics_begin(text, &charged);
        gateway_each_charge(gateway, write_charged, &(struct page){text, &charged});
        metrics_begin(text, &unknown);
        gateway_each_charge(gateway, write_unknown, &(struct page){text, &unknown});
}

/* ---- jobs ---- */

static void write_queue(struct strbuf *text, const struct gateway_stats *figures)
{
        static const struct metric jobs = {
                "solvegate_queue_jobs", METRIC_GAUGE, "Jobs that wait to be sent.", {NULL}};
        static const struct metric purchases = {
                "solvegate_queue_purchases",
                METRIC_GAUGE,
                "The same with identical jobs counted once: what limits.queue_jobs bounds.",
                {NULL},
        };
        static const struct metric bytes = {
                "solvegate_queue_bytes",
                METRIC_GAUGE,
                "Memory of all request bodies, while received, queued or sent.",
                {NULL},
        };
        static const struct metric parsed = {
                "solvegate_bodies_parsed_off_loop_total",
                METRIC_COUNTER,
                "Request bodies that threads have parsed, since they are large or came with many.",
                {NULL},
        };

        write_number(text, &jobs, (int64_t)figures->jobs.queued_jobs);
        write_number(text, &purchases, (int64_t)figures->jobs.queued_purchases);
        write_number(text, &bytes, figures->body_bytes);
        write_number(text, &parsed, figures->bodies_parsed);
}

static void write_jobs(struct strbuf *text, const struct gateway_stats *figures)
{
        static const struct metric jobs = {
                "solvegate_jobs_total",
                METRIC_COUNTER,
                "Jobs that ended, by how: solved, or the code of the error.",
                {"outcome"},
        };
        static const struct metric results = {
                "solvegate_results_total",
                METRIC_COUNTER,
                "Jobs that were solved, by where the result came from.",
                {"source"},
        };
        static const struct metric solve = {
                "solvegate_solve_seconds",
                METRIC_HISTOGRAM,
                "From taking a job to its solution, of jobs not answered from the cache.",
                {NULL},
        };

        metrics_begin(text, &jobs);
        for (int error = 0; error < SCHEDULER_ENDS; error++) {
                const char *outcome =
                        error == JOB_ERROR_NONE ? "solved" : job_error_code((enum job_error)error);
                metrics_sample(text, &jobs, &outcome, figures->jobs.ended[error]);
        }
        metrics_begin(text, &results);
        for (int source = 0; source < SCHEDULER_SOURCES; source++) {
                const char *name = job_source_name((enum job_source)source);
                metrics_sample(text, &results, &name, figures->jobs.solved[source]);
        }
        metrics_histogram(text, &solve, figures->solve_buckets, &figures->jobs.solve_s);
}

/* ---- the upstreams ---- */

static void write_accounts(struct strbuf *text, struct gateway *gateway)
{
        static const struct metric in_flight = {
                "solvegate_in_flight",
                METRIC_GAUGE,
                "Jobs sent to the upstream and not final; upstreams.max_in_flight bounds them.",
                {"upstream"},
        };
        static const struct metric up = {
                "solvegate_upstream_up",
                METRIC_GAUGE,
                "Whether the upstream gets jobs: 0 while it fails or refuses the account.",
                {"upstream"},
        };
        struct scheduler_account account;

        metrics_begin(text, &in_flight);
        for (size_t i = 0; gateway_upstream(gateway, i, &account); i++)
                metrics_sample(text, &in_flight, &account.name, account.in_flight);
        metrics_begin(text, &up);
        for (size_t i = 0; gateway_upstream(gateway, i, &account); i++)
                metrics_sample(text, &up, &account.name, !account.open);
}

static void write_requests(struct strbuf *text, struct gateway *gateway)
{
        static const struct metric requests = {
                "solvegate_upstream_requests_total",
                METRIC_COUNTER,
                "Requests to the upstream, by what was asked and how it ended.",
                {"upstream", "endpoint", "result"},
        };
        struct scheduler_account account;

        metrics_begin(text, &requests);
        for (size_t i = 0; gateway_upstream(gateway, i, &account); i++) {
                for (int endpoint = 0; endpoint < REQUEST_ENDPOINTS; endpoint++) {
                        for (int result = 0; result < REQUEST_RESULTS; result++) {
                                const char *const labels[] = {
                                        account.name,
                                        request_endpoint_name(endpoint),
                                        request_result_name(result),
                                };
                                metrics_sample(text, &requests, labels,
                                               account.requests.counts[endpoint][result]);
                        }
                }
        }
}

static void write_balances(struct strbuf *text, struct balances *balances)
{
        static const struct metric balance = {
                "solvegate_upstream_balance",
                METRIC_GAUGE,
                "What the upstream last said is left: solves, or money; absent while unknown.",
                {"upstream"},
        };
        struct balance_figures figures;

        metrics_begin(text, &balance);
        for (size_t i = 0; balances_figures(balances, i, &figures, NULL); i++) {
                if (figures.tells_left)
                        metrics_sample_real(text, &balance, &figures.upstream, figures.left);
        }
}

enum MHD_Result metrics_handle(struct request *request)
{
        const struct operator_hooks *hooks = request->server->hooks;
        struct gateway *gateway = request->server->gateway;
        struct gateway_stats figures;
        struct operator_view view;
        struct strbuf text;

        hooks->view(hooks->arg, &view);
        gateway_stats(gateway, &figures);
        strbuf_init(&text, METRICS_BYTES_MAX);
        write_process(&text, &view);
        write_reload(&text, &view);
        write_certificates(&text, &view);
        write_disk(&text, gateway);
        write_charges(&text, gateway);
        write_queue(&text, &figures);
        write_jobs(&text, &figures);
        write_accounts(&text, gateway);
        write_requests(&text, gateway);
        write_balances(&text, gateway_balances(gateway));
        tally_write(request->server->tally, &text);
        return reply_text(request, &text, METRICS_CONTENT_TYPE);
}
