/*
 * show_status: the page of `status`, and what `drain`, `resume` and `reload` have done. What
 * matters first: whether jobs are taken, what is wrong, what there is to do; then what runs, and
 * where.
 */
#include "base/strbuf.h"
#include "ctl/field.h"
#include "ctl/format.h"
#include "ctl/show.h"

#include <json-c/json.h>
#include <string.h>

#define COUNTS_BYTES_MAX 8192

static const char *state_words(const char *state)
{
        if (strcmp(state, "taking") == 0)
                return "takes jobs";
        if (strcmp(state, "drained") == 0)
                return "is drained: it takes no jobs until solvegatectl resume; what waits and is "
                       "under way goes on";
        if (strcmp(state, "stopping") == 0)
                return "is stopping: it takes no more jobs, and ends when those under way have "
                       "ended";
        return state;
}

void show_headline(const struct json_object *status, struct strbuf *out)
{
        const char *state = field_text_or(status, "state", "is in an unknown state");
        const char *message = field_text_or(status, "message", "");
        bool hampered = strcmp(state, "taking") == 0 && !field_is(status, "ready", true);

        /* It is what tools are told; of the other states an operator is told something else. */
        if (!hampered)
                message = "";
        show_line(out, NULL, "solvegate %s %s%s%s", field_text_or(status, "version", "?"),
                  hampered ? "is not ready" : state_words(state), message[0] != '\0' ? ": " : "",
                  message);
}

static void attend_to_configuration(const struct json_object *status, struct strbuf *out)
{
        const struct json_object *configuration = field_object(status, "configuration");
        const struct json_object *reload = field_object(configuration, "last_reload");
        const char *restart = field_text_or(configuration, "restart_needed", "");

        if (field_is(reload, "ok", false))
                show_line(out, "!",
                          "the reload of %s failed, the configuration before it is in force: %s",
                          field_text_or(reload, "at", "?"), field_text_or(reload, "message", "?"));
        if (restart[0] != '\0')
                show_line(out, "!", "a restart is needed for %s", restart);
}

static void attend_to_upstreams(const struct json_object *status, struct strbuf *out)
{
        for (size_t i = 0; i < field_list_count(status, "upstreams"); i++) {
                const struct json_object *upstream = field_list_item(status, "upstreams", i);
                const char *name = field_text_or(upstream, "name", "?");
                const char *state = field_text_or(upstream, "state", "");
                const struct json_object *failure = field_object(upstream, "balance_failure");
                if (strcmp(state, "failing") == 0)
                        show_line(out, "!", "upstream %s fails: only probes are sent to it", name);
                else if (strcmp(state, "refused") == 0 && !field_is(failure, "refused", true))
                        show_line(out, "!",
                                  "upstream %s refuses its account: see to its credential "
                                  "and its balance",
                                  name);
        }
        show_balance_failures(status, out); /* with the reason of an account that is refused */
}

void show_attention(const struct json_object *status, struct strbuf *out)
{
        const struct json_object *store = field_object(status, "store");
        const struct json_object *audit = field_object(status, "audit");
        double lost = field_amount(field_object(status, "log"), "lost");

        if (field_is(store, "well", false))
                show_line(out, "!", "the store cannot be used, so jobs are refused: %s: %s",
                          field_text_or(store, "directory", "?"),
                          field_text_or(store, "problem", "?"));
        if (field_is(audit, "well", false))
                show_line(out, "!", "the audit cannot be written: %s",
                          field_text_or(audit, "file", "?"));
        attend_to_upstreams(status, out);
        attend_to_configuration(status, out);
        show_warnings(status, "attention", "attention_total", "!", out);
        if (lost > 0)
                show_line(out, "!",
                          "%s %s lost: not taken at once, or not written "
                          "(disk full?)",
                          format_number(lost).text,
                          lost == 1 ? "line of the log was" : "lines of the log were");
}

/* "3 solved, 1 deadline", without what is 0. */
static void append_counts(const struct json_object *object, struct strbuf *out)
{
        if (!object)
                return;
        json_object_object_foreach(object, name, value)
        {
                double number = json_object_get_double(value);
                if (!json_object_is_type(value, json_type_int) || number == 0)
                        continue;
                (void)strbuf_printf(out, "%s%s %s", out->len > 0 ? ", " : "",
                                    format_number(number).text, name);
        }
}

static void show_counts(const char *label, const struct json_object *object, struct strbuf *out)
{
        struct strbuf text;

        strbuf_init(&text, COUNTS_BYTES_MAX);
        append_counts(object, &text);
        show_line(out, label, "%s", text.len > 0 ? text.data : "none");
        strbuf_done(&text);
}

void show_work(const struct json_object *status, struct strbuf *out)
{
        const struct json_object *queue = field_object(status, "queue");
        const struct json_object *connections = field_object(status, "connections");
        double jobs = field_amount(queue, "jobs");

        show_line(out, "queue", "%s %s; %s of %s to buy; bodies %s of %s", format_number(jobs).text,
                  jobs == 1 ? "job" : "jobs", format_number(field_amount(queue, "purchases")).text,
                  format_number(field_amount(queue, "max")).text,
                  format_bytes(field_amount(queue, "bytes")).text,
                  format_bytes(field_amount(queue, "max_bytes")).text);
        show_line(out, "in flight", "%s", format_number(field_amount(status, "in_flight")).text);
        show_line(out, "connections", "%s of %s",
                  format_number(field_amount(connections, "open")).text,
                  format_number(field_amount(connections, "max")).text);
        show_counts("ended", field_object(status, "jobs"), out);
        show_counts("solved by", field_object(status, "results"), out);
}

static void show_process(const struct json_object *status, struct strbuf *out)
{
        const struct json_object *configuration = field_object(status, "configuration");
        const struct json_object *reload = field_object(configuration, "last_reload");
        const struct json_object *store = field_object(status, "store");

        show_line(out, "running", "%s, since %s, process %s",
                  format_duration(field_amount(status, "uptime")).text,
                  field_text_or(status, "started", "?"),
                  format_number(field_amount(status, "pid")).text);
        for (size_t i = 0; i < field_list_count(status, "listeners"); i++) {
                struct json_object *url = field_list_item(status, "listeners", i);
                if (json_object_is_type(url, json_type_string))
                        show_line(out, i == 0 ? "listening" : "", "%s",
                                  json_object_get_string(url));
        }
        show_line(out, "configured", "%s, of %s", field_text_or(configuration, "file", "?"),
                  field_text_or(configuration, "loaded", "?"));
        if (field_is(reload, "ok", true))
                show_line(out, "reloaded", "%s: %s", field_text_or(reload, "at", "?"),
                          field_text_or(reload, "message", "?"));
        show_line(out, "store", "%s, durability %s", field_text_or(store, "directory", "none"),
                  field_text_or(store, "durability", "?"));
        show_line(out, "audit", "%s", field_text_or(field_object(status, "audit"), "file", "none"));
}

void show_status(const struct json_object *answer, size_t width, struct strbuf *out)
{
        show_headline(answer, out);
        show_attention(answer, out);
        (void)strbuf_puts(out, "\n");
        show_work(answer, out);
        (void)strbuf_puts(out, "\n");
        show_process(answer, out);
        (void)strbuf_puts(out, "\n");
        show_accounts(answer, width, out);
}

void show_state(const struct json_object *answer, size_t width, struct strbuf *out)
{
        const char *state = field_text_or(answer, "state", "?");

        (void)width;
        if (strcmp(state, "drained") == 0)
                state = "no more jobs are taken; what waits and is under way goes on; "
                        "solvegatectl resume takes jobs again";
        else if (strcmp(state, "taking") == 0)
                state = "jobs are taken";
        show_line(out, NULL, "%s", state);
}

void show_reload(const struct json_object *answer, size_t width, struct strbuf *out)
{
        const char *message = field_text_or(answer, "message", "");
        const char *restart = field_text_or(answer, "restart_needed", "");

        (void)width;
        show_line(out, NULL, "reloaded%s%s", message[0] != '\0' ? ": " : "", message);
        if (restart[0] != '\0')
                show_line(out, NULL, "a restart is needed for %s", restart);
        show_warnings(answer, "warnings", "warnings_total", "warning", out);
}
