/*
 * admin: what operators ask for on the admin address: /healthz, /readyz and /metrics. Answered from
 * memory, on the main loop.
 *
 * docs/metrics.md says what each metric means.
 */
#include "base/metrics.h"
#include "base/strbuf.h"
#include "engine/charges.h"
#include "engine/gateway.h"
#include "engine/scheduler.h"
#include "http/reply.h"
#include "http/routes.h"
#include "http/server_private.h"
#include "http/tally.h"
#include "http/verdict.h"

#define STATUS_BYTES_MAX  64
#define METRICS_BYTES_MAX (16 * 1024 * 1024)

static enum MHD_Result reply_status(struct request *request, const char *status)
{
        struct strbuf json;

        strbuf_init(&json, STATUS_BYTES_MAX);
        (void)strbuf_printf(&json, "{\"status\":\"%s\"}", status);
        return reply_json(request, &json, -1);
}

enum MHD_Result health_handle(struct request *request)
{
        return reply_status(request, "ok");
}

enum MHD_Result ready_handle(struct request *request)
{
        char message[GATEWAY_MESSAGE_BYTES_MAX];
        enum gateway_verdict verdict = gateway_check(request->server->gateway, NULL, message);

        verdict_refuse(request, verdict, message);
        return verdict == GATEWAY_OK ? reply_status(request, "ready") : reply_refusal(request);
}

/* ---- metrics ---- */

static void write_number(struct strbuf *text, const struct metric *metric, int64_t number)
{
        metrics_begin(text, metric);
        metrics_sample(text, metric, NULL, number);
}

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

static void write_charges(struct strbuf *text, struct charges *charges)
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
        charges_each(charges, write_charged, &(struct page){text, &charged});
        metrics_begin(text, &unknown);
        charges_each(charges, write_unknown, &(struct page){text, &unknown});
}

static void write_queue(struct strbuf *text, const struct scheduler_figures *figures,
                        int64_t body_bytes)
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

        write_number(text, &jobs, (int64_t)figures->queued_jobs);
        write_number(text, &purchases, (int64_t)figures->queued_purchases);
        write_number(text, &bytes, body_bytes);
}

static void write_jobs(struct strbuf *text, const struct scheduler_figures *figures)
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
        static const char *const sources[SCHEDULER_SOURCES] = {
                [JOB_FROM_UPSTREAM] = "upstream",
                [JOB_FROM_COLLAPSED] = "collapsed",
                [JOB_FROM_CACHE] = "cache",
        };

        metrics_begin(text, &jobs);
        for (int error = 0; error < SCHEDULER_ENDS; error++) {
                const char *outcome =
                        error == JOB_ERROR_NONE ? "solved" : job_error_code((enum job_error)error);
                metrics_sample(text, &jobs, &outcome, figures->ended[error]);
        }
        metrics_begin(text, &results);
        for (int source = 0; source < SCHEDULER_SOURCES; source++)
                metrics_sample(text, &results, &sources[source], figures->solved[source]);
}

static void write_accounts(struct strbuf *text, struct scheduler *scheduler)
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
        for (size_t i = 0; scheduler_account(scheduler, i, &account); i++)
                metrics_sample(text, &in_flight, &account.name, account.in_flight);
        metrics_begin(text, &up);
        for (size_t i = 0; scheduler_account(scheduler, i, &account); i++)
                metrics_sample(text, &up, &account.name, !account.open);
}

enum MHD_Result metrics_handle(struct request *request)
{
        struct gateway *gateway = request->server->gateway;
        struct scheduler_figures figures;
        struct strbuf text;

        scheduler_figures(gateway_scheduler(gateway), &figures);
        strbuf_init(&text, METRICS_BYTES_MAX);
        write_charges(&text, gateway_charges(gateway));
        write_queue(&text, &figures, gateway_body_bytes(gateway));
        write_jobs(&text, &figures);
        write_accounts(&text, gateway_scheduler(gateway));
        tally_write(request->server->tally, &text);
        return reply_text(request, &text, METRICS_CONTENT_TYPE);
}
