/*
 * show_change: what `drain`, `resume` and `reload` have done.
 */
#include "base/strbuf.h"
#include "ctl/field.h"
#include "ctl/plain.h"
#include "ctl/show.h"

#include <string.h>

void show_state(const struct json_object *answer, size_t width, struct strbuf *out)
{
        const char *state = field_text_or(answer, "state", "?");

        (void)width;
        if (strcmp(state, "drained") == 0) {
                (void)strbuf_puts(out, "no more jobs are taken; what waits and is under way goes "
                                       "on; solvegatectl resume takes jobs again\n");
        } else if (strcmp(state, "taking") == 0) {
                (void)strbuf_puts(out, "jobs are taken\n");
        } else {
                (void)plain_append(out, state);
                (void)strbuf_puts(out, "\n");
        }
}

void show_reload(const struct json_object *answer, size_t width, struct strbuf *out)
{
        const char *message = field_text_or(answer, "message", "");
        const char *restart = field_text_or(answer, "restart_needed", "");

        (void)width;
        (void)strbuf_puts(out, message[0] != '\0' ? "reloaded: " : "reloaded");
        (void)plain_append(out, message);
        (void)strbuf_puts(out, "\n");
        if (restart[0] != '\0') {
                (void)strbuf_puts(out, "a restart is needed for ");
                (void)plain_append(out, restart);
                (void)strbuf_puts(out, "\n");
        }
        show_warnings(answer, "warnings", "warnings_total", "warning", out);
}
