/*
 * operate: the commands that ask a running daemon one question. They differ in the question, and in
 * how the answer is shown.
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

static const struct operation {
        const char *command;
        struct control_question question;
        void (*show)(const struct json_object *answer, size_t width, struct strbuf *out);
} operations[] = {
        {"status", {"GET", "/control/status", CONTROL_TIMEOUT_MS}, show_status},
        {"jobs", {"GET", "/control/jobs", CONTROL_TIMEOUT_MS}, show_jobs},
        {"job", {"GET", "/control/job", CONTROL_TIMEOUT_MS}, show_job},
        {"cancel", {"DELETE", "/control/job", CANCEL_TIMEOUT_MS}, show_cancelled},
        {"clients", {"GET", "/control/clients", CONTROL_TIMEOUT_MS}, show_clients},
        {"usage", {"GET", "/control/usage", CONTROL_TIMEOUT_MS}, show_usage},
        {"upstreams", {"GET", "/control/upstreams", CONTROL_TIMEOUT_MS}, show_upstreams},
        {"balance", {"GET", "/control/balance", BALANCE_TIMEOUT_MS}, show_balance},
        {"drain", {"POST", "/control/drain", CONTROL_TIMEOUT_MS}, show_state},
        {"resume", {"POST", "/control/resume", CONTROL_TIMEOUT_MS}, show_state},
        {"reload", {"POST", "/control/reload", CONTROL_RELOAD_MS}, show_reload},
};

static const struct operation *find_operation(const char *command)
{
        size_t i = 0;

        while (strcmp(operations[i].command, command) != 0)
                i++;
        return &operations[i];
}

int operate_fail(const struct control *control, enum control_result result)
{
        (void)complain("%s", control_problem(control));
        return result == CONTROL_ABSENT ? EXIT_ABSENT : EXIT_FAILURE;
}

static int print_answer(const struct answer *answer, const struct operation *operation, bool json)
{
        struct strbuf out;

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
        return print_out(&out);
}

static int ask(const struct arguments *arguments, const struct operation *operation,
               const char *target)
{
        struct control_question question = operation->question;
        struct answer answer = {0};
        struct control *control;
        int status = EXIT_SUCCESS;

        question.target = target;
        if (control_new(arguments->socket, &control) < 0)
                return complain("no memory");
        enum control_result result = control_ask(control, &question, &answer);
        /* A refusal is an object too. */
        if (result == CONTROL_ANSWERED || (result == CONTROL_REFUSED && arguments->json))
                status = print_answer(&answer, operation, arguments->json);
        if (result != CONTROL_ANSWERED)
                status = operate_fail(control, result);
        answer_done(&answer);
        control_free(control);
        return status;
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

int command_operate(const struct arguments *arguments)
{
        const struct operation *operation = find_operation(arguments->command);
        struct strbuf target;
        int status;

        strbuf_init(&target, TARGET_BYTES_MAX);
        (void)strbuf_puts(&target, operation->question.target);
        append_parameter(&target, "id", arguments->count > 0 ? arguments->items[0] : NULL);
        append_parameter(&target, "limit", arguments->limit);
        append_parameter(&target, "client", arguments->client);
        append_parameter(&target, "state", arguments->state);
        if (target.failed)
                status = complain(arguments->count > 0 ? "that is no id of a job: it is too long"
                                                       : "what is asked for is too long");
        else
                status = ask(arguments, operation, target.data);
        strbuf_done(&target);
        return status;
}
