/*
 * operate: the commands that ask a running daemon one question. They differ in the question, and in
 * how the answer is shown; all else is operate() for all of them.
 */
#include "ctl/operate.h"
#include "base/strbuf.h"
#include "ctl/command.h"
#include "ctl/complain.h"
#include "ctl/plain.h"
#include "ctl/screen.h"
#include "ctl/show.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT_BYTES_MAX   (128 << 20)
#define TARGET_BYTES_MAX   4000
#define BALANCE_TIMEOUT_MS 30000 /* the upstreams are asked */
#define CANCEL_TIMEOUT_MS  40000 /* the daemon waits for its disk, half a minute at most */

/* A question, and how its answer becomes text. */
struct operation {
        struct control_question question;
        void (*show)(const struct json_object *answer, size_t width, struct strbuf *out);
};

int operate_fail(const struct control *control, enum control_result result)
{
        (void)complain("%s", control_problem(control));
        return result == CONTROL_ABSENT ? EXIT_ABSENT : EXIT_FAILURE;
}

static int print_answer(const struct answer *answer, const struct operation *operation, bool json)
{
        struct strbuf out;
        int status;

        strbuf_init(&out, OUTPUT_BYTES_MAX);
        if (json) {
                (void)plain_append_json(&out, answer->text, answer->len);
                while (out.len > 0 && out.data[out.len - 1] == ' ')
                        out.len--;
                (void)strbuf_puts(&out, "\n");
        } else {
                size_t width;
                screen_size(&width, NULL);
                operation->show(answer->object, width, &out);
        }
        status = out.failed ? complain("no memory") : write_out(out.data, out.len);
        strbuf_done(&out);
        return status;
}

static int ask(const struct arguments *arguments, struct control *control,
               const struct operation *operation)
{
        struct answer answer = {0};
        enum control_result result = control_ask(control, &operation->question, &answer);
        int status = EXIT_SUCCESS;

        /* A refusal is an object too. */
        if (result == CONTROL_ANSWERED || (result == CONTROL_REFUSED && arguments->json))
                status = print_answer(&answer, operation, arguments->json);
        if (result != CONTROL_ANSWERED)
                status = operate_fail(control, result);
        answer_done(&answer);
        return status;
}

static int operate(const struct arguments *arguments, const struct operation *operation)
{
        struct control *control;

        if (control_new(arguments->socket, &control) < 0)
                return complain("no memory");
        int status = ask(arguments, control, operation);
        control_free(control);
        return status;
}

static int get(const struct arguments *arguments, const char *target,
               void (*show)(const struct json_object *, size_t, struct strbuf *))
{
        return operate(arguments, &(struct operation){{"GET", target, CONTROL_TIMEOUT_MS}, show});
}

static int post(const struct arguments *arguments, const char *target, long timeout_ms,
                void (*show)(const struct json_object *, size_t, struct strbuf *))
{
        return operate(arguments, &(struct operation){{"POST", target, timeout_ms}, show});
}

/* Appends "NAME=VALUE" to a target, the value percent-encoded (RFC 3986, section 2.1). */
static void append_parameter(struct strbuf *target, const char *name, const char *value)
{
        if (!value)
                return;
        (void)strbuf_printf(target, "%c%s=", strchr(target->data, '?') ? '&' : '?', name);
        for (; *value != '\0'; value++) {
                if (isascii(*value) && (isalnum(*value) || strchr("-._~", *value)))
                        (void)strbuf_append(target, value, 1);
                else
                        (void)strbuf_printf(target, "%%%02X", (unsigned char)*value);
        }
}

/* Asks about the job whose id is the only argument. */
static int ask_about_job(const struct arguments *arguments, const char *method, long timeout_ms,
                         void (*show)(const struct json_object *, size_t, struct strbuf *))
{
        struct strbuf target;
        int status;

        strbuf_init(&target, TARGET_BYTES_MAX);
        (void)strbuf_puts(&target, "/control/job");
        append_parameter(&target, "id", arguments->items[0]);
        const struct operation operation = {{method, target.data, timeout_ms}, show};
        status = target.failed ? complain("that is no id of a job: it is too long")
                               : operate(arguments, &operation);
        strbuf_done(&target);
        return status;
}

int command_status(const struct arguments *arguments)
{
        return get(arguments, "/control/status", show_status);
}

int command_jobs(const struct arguments *arguments)
{
        struct strbuf target;
        int status;

        strbuf_init(&target, TARGET_BYTES_MAX);
        (void)strbuf_puts(&target, "/control/jobs");
        append_parameter(&target, "limit", arguments->limit);
        append_parameter(&target, "client", arguments->client);
        append_parameter(&target, "state", arguments->state);
        status = target.failed ? complain("what is asked for is too long")
                               : get(arguments, target.data, show_jobs);
        strbuf_done(&target);
        return status;
}

int command_job(const struct arguments *arguments)
{
        return ask_about_job(arguments, "GET", CONTROL_TIMEOUT_MS, show_job);
}

int command_cancel(const struct arguments *arguments)
{
        return ask_about_job(arguments, "DELETE", CANCEL_TIMEOUT_MS, show_cancelled);
}

int command_clients(const struct arguments *arguments)
{
        return get(arguments, "/control/clients", show_clients);
}

int command_usage(const struct arguments *arguments)
{
        return get(arguments, "/control/usage", show_usage);
}

int command_upstreams(const struct arguments *arguments)
{
        return get(arguments, "/control/upstreams", show_upstreams);
}

int command_balance(const struct arguments *arguments)
{
        const struct operation operation = {{"GET", "/control/balance", BALANCE_TIMEOUT_MS},
                                            show_balance};

        return operate(arguments, &operation);
}

int command_drain(const struct arguments *arguments)
{
        return post(arguments, "/control/drain", CONTROL_TIMEOUT_MS, show_state);
}

int command_resume(const struct arguments *arguments)
{
        return post(arguments, "/control/resume", CONTROL_TIMEOUT_MS, show_state);
}

int command_reload(const struct arguments *arguments)
{
        return post(arguments, "/control/reload", CONTROL_RELOAD_MS, show_reload);
}
