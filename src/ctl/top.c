/*
 * top: what there is to see now, each second anew.
 *
 * In a terminal the page is redrawn until q or a signal; while the daemon does not answer, it says
 * so and asks on. With --json each second gives a line, until there is no answer. Elsewhere one
 * page is printed, once.
 */
#include "base/clock.h"
#include "base/strbuf.h"
#include "ctl/command.h"
#include "ctl/complain.h"
#include "ctl/field.h"
#include "ctl/format.h"
#include "ctl/operate.h"
#include "ctl/plain.h"
#include "ctl/screen.h"
#include "ctl/show.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EACH_MS         1000
#define TIMEOUT_MS      3000
#define FRAME_BYTES_MAX (128 << 20)

enum part {
        PART_STATUS,
        PART_CLIENTS,
        PART_JOBS,
        PARTS,
};

static const struct {
        const char *name, *target;
} parts[PARTS] = {
        [PART_STATUS] = {"status", "/control/status"},
        [PART_CLIENTS] = {"clients", "/control/clients"},
        [PART_JOBS] = {"jobs", "/control/jobs?limit=100"},
};

struct top {
        struct control *control;
        struct screen screen;
        bool json, draws;

        struct answer answers[PARTS]; /* the last whole set */
        bool answered;                /* there is one */
        enum control_result result;   /* of the last attempt */

        int64_t asked_ms; /* the last attempt, monotonic */

        int64_t at_ms, ended; /* when the last set was asked for, and how many jobs had ended */
        double each_second;   /* how many ended between the last two; below 0: not known */
};

static void forget_answers(struct answer *answers)
{
        for (size_t i = 0; i < PARTS; i++)
                answer_done(&answers[i]);
}

/* How fast jobs end, by the two last answers of one process. */
static void note_speed(struct top *top, const struct json_object *status)
{
        int64_t ended = show_sum(field_object(status, "jobs")), now_ms = top->asked_ms;
        bool same = top->answered && field_amount(top->answers[PART_STATUS].object, "pid") ==
                                             field_amount(status, "pid");

        top->each_second = -1;
        if (same && ended >= top->ended && now_ms > top->at_ms)
                top->each_second =
                        (double)(ended - top->ended) * 1000 / (double)(now_ms - top->at_ms);
        top->at_ms = now_ms;
        top->ended = ended;
}

/* Asks for all parts; the set before stays when one is missing. */
static void ask_all(struct top *top)
{
        struct answer answers[PARTS] = {0};

        top->asked_ms = clock_monotonic_ms();
        for (size_t i = 0; i < PARTS; i++) {
                const struct control_question question = {"GET", parts[i].target, TIMEOUT_MS};
                top->result = control_ask(top->control, &question, &answers[i]);
                if (top->result != CONTROL_ANSWERED) {
                        forget_answers(answers);
                        return;
                }
        }
        note_speed(top, answers[PART_STATUS].object);
        forget_answers(top->answers);
        memcpy(top->answers, answers, sizeof answers);
        top->answered = true;
}

static void append_page(const struct top *top, size_t width, struct strbuf *out)
{
        const struct json_object *status = top->answers[PART_STATUS].object;

        show_headline(status, out);
        show_attention(status, out);
        show_work(status, out);
        if (top->each_second >= 0)
                show_line(out, "speed", "%s jobs end each second",
                          format_number(top->each_second).text);
        show_line(out, "running", "%s", format_duration(field_amount(status, "uptime")).text);
        (void)strbuf_puts(out, "\n");
        show_accounts(status, width, out);
        (void)strbuf_puts(out, "\n");
        show_clients(top->answers[PART_CLIENTS].object, width, out);
        (void)strbuf_puts(out, "\n");
        show_jobs(top->answers[PART_JOBS].object, width, out);
}

static void append_json(const struct top *top, struct strbuf *out)
{
        for (size_t i = 0; i < PARTS; i++) {
                (void)strbuf_printf(out, "%s\"%s\":", i == 0 ? "{" : ",", parts[i].name);
                (void)plain_append_json(out, top->answers[i].text, top->answers[i].len);
        }
        (void)strbuf_puts(out, "}\n");
}

static int print(const struct top *top)
{
        struct strbuf out;
        size_t width;

        screen_size(&width, NULL);
        strbuf_init(&out, FRAME_BYTES_MAX);
        if (top->json)
                append_json(top, &out);
        else
                append_page(top, width, &out);
        return print_out(&out);
}

static int draw(const struct top *top)
{
        struct strbuf out;
        size_t width;

        screen_size(&width, NULL);
        strbuf_init(&out, FRAME_BYTES_MAX);
        if (top->result != CONTROL_ANSWERED && top->result != CONTROL_INTERRUPTED) {
                (void)strbuf_puts(&out, "! ");
                (void)plain_append(&out, control_problem(top->control));
                (void)strbuf_puts(&out, "\n");
        }
        if (top->answered)
                append_page(top, width, &out);
        int r = out.failed ? -ENOMEM : out.len > 0 ? screen_draw(&top->screen, &out) : 0;
        strbuf_done(&out);
        return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Waits until it is time again; meanwhile a new size is drawn at once. */
static int wait_until(struct top *top, int64_t next_ms)
{
        int status = EXIT_SUCCESS;

        while (!top->screen.ended && status == EXIT_SUCCESS) {
                int64_t left_ms = next_ms - clock_monotonic_ms();
                if (left_ms <= 0)
                        break;
                screen_look(&top->screen, (int)left_ms);
                if (top->draws && !top->screen.ended)
                        status = draw(top);
        }
        return status;
}

/* Goes on until it is told to end, or cannot. Returns the exit status. */
static int go_on(struct top *top)
{
        int status = EXIT_SUCCESS;

        while (!top->screen.ended && status == EXIT_SUCCESS) {
                int64_t next_ms = top->asked_ms + EACH_MS;
                if (top->result == CONTROL_INTERRUPTED)
                        screen_look(&top->screen, 0);
                else if (top->draws)
                        status = draw(top);
                else if (top->result == CONTROL_ANSWERED)
                        status = print(top);
                else
                        return operate_fail(top->control, top->result);
                if (status == EXIT_SUCCESS && top->result != CONTROL_INTERRUPTED)
                        status = wait_until(top, next_ms);
                if (status == EXIT_SUCCESS && !top->screen.ended)
                        ask_all(top);
        }
        return status;
}

static int run(struct top *top)
{
        int watched[SCREEN_WATCHED];

        int r = screen_init(&top->screen, top->draws);
        if (r < 0)
                return complain("no signals can be taken: %s", strerror(-r));
        control_watch(top->control, watched, screen_watched(&top->screen, watched));
        int status = go_on(top);
        screen_done(&top->screen);
        return status;
}

/* The first question goes before the terminal is taken: who is not there is told as ever. */
int command_top(const struct arguments *arguments)
{
        struct top top = {.json = arguments->json,
                          .draws = !arguments->json && screen_is_there(),
                          .each_second = -1};
        int status;

        if (control_new(arguments->socket, &top.control) < 0)
                return complain("no memory");
        ask_all(&top);
        if (top.result != CONTROL_ANSWERED)
                status = operate_fail(top.control, top.result);
        else if (top.draws || top.json)
                status = run(&top);
        else
                status = print(&top);
        forget_answers(top.answers);
        control_free(top.control);
        return status;
}
