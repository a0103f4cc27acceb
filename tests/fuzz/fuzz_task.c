/*
 * Fuzz target: job/task and job/task_identity, what a tool posts.
 *
 * Rules: TASK_BAD_JSON is reported for exactly the bodies that are not strict JSON; a refusal has a
 * message of one line and leaves the task untouched; an accepted task has 1 to MAX_IMAGES images, a
 * target that is in the body, and a site without NUL. Verdict and identity do not depend on how the
 * same task is written: with white space, with fields in another order, with escaped letters, or
 * with a plain `softid`.
 */
#include "base/json.h"
#include "base/strbuf.h"
#include "fuzz.h"
#include "job/task.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_IMAGES        4
#define REWRITE_FACTOR    8
#define FIELDS_MAX        TASK_FIELDS_MAX
#define CHECKED_BYTES_MAX (TASK_OTHER_VALUES_MAX - 1) /* fewer bytes than that are fewer values */
#define ESCAPE_BYTES_MAX  240 /* larger bodies may hold names at their limit, which escapes pass */

_Static_assert(CHECKED_BYTES_MAX *REWRITE_FACTOR < TASK_OTHER_BYTES_MAX, "nor is it too much text");

struct parsed {
        enum task_verdict verdict;
        struct task task;
        char message[TASK_MESSAGE_BYTES_MAX];
};

static struct parsed parse(const char *text, size_t len)
{
        struct parsed parsed = {.message = ""};
        static const struct task zero;
        char *exact = fuzz_copy((const uint8_t *)text, len);

        parsed.verdict = task_parse(exact, len, MAX_IMAGES, &parsed.task, parsed.message);
        free(exact);
        CHECK(parsed.verdict != TASK_NO_MEMORY);
        if (parsed.verdict != TASK_OK)
                CHECK(memcmp(&parsed.task, &zero, sizeof zero) == 0);
        return parsed;
}

static void check_message(const struct parsed *parsed)
{
        CHECK(memchr(parsed->message, '\0', sizeof parsed->message));
        CHECK(fuzz_is_line(parsed->message, strlen(parsed->message)));
}

static void check_task(const struct task *task, const char *body, size_t len)
{
        size_t target_len = strlen(task->target_json);

        CHECK(task->images >= 1 && task->images <= MAX_IMAGES);
        CHECK(target_len > 2 && target_len <= TASK_TARGET_BYTES_MAX);
        CHECK(fuzz_is_json(task->target_json, target_len, 0) && task->target_json[0] == '"');
        CHECK(memmem(body, len, task->target_json, target_len));
        if (task->site) {
                CHECK(strlen(task->site) <= TASK_SITE_BYTES_MAX);
                CHECK(fuzz_is_utf8(task->site, strlen(task->site)));
        }
}

/* The same task in other words has the same verdict and, if accepted, the same identity. */
static void check_same(const struct parsed *parsed, const struct strbuf *other)
{
        CHECK(!other->failed);
        struct parsed again = parse(other->data, other->len);

        CHECK(again.verdict == parsed->verdict);
        if (parsed->verdict == TASK_OK) {
                CHECK(memcmp(&again.task.identity, &parsed->task.identity,
                             sizeof again.task.identity) == 0);
                CHECK(again.task.images == parsed->task.images);
                CHECK(!again.task.site == !parsed->task.site);
                CHECK(!again.task.site || strcmp(again.task.site, parsed->task.site) == 0);
        }
        task_done(&again.task);
}

static bool is_letter(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Copies strict JSON with white space around its signs, or with the first letter of each string
 * escaped. */
static void rewrite(const char *text, size_t len, bool escape, struct strbuf *ret)
{
        static const char *const spaces[] = {" ", "\n", "\t", "\r", "  "};
        bool inside = false;

        for (size_t i = 0; i < len; i++) {
                bool sign = !inside && strchr("{}[],:", text[i]);
                if (!escape && sign)
                        (void)strbuf_puts(ret, spaces[i % 5]);
                if (escape && inside && i > 0 && text[i - 1] == '"' && is_letter(text[i]))
                        (void)strbuf_printf(ret, "\\u%04x", (unsigned)text[i]);
                else
                        (void)strbuf_append(ret, &text[i], 1);
                if (!escape && sign)
                        (void)strbuf_puts(ret, spaces[(i + 2) % 5]);
                if (inside && text[i] == '\\')
                        (void)strbuf_append(ret, &text[++i], 1);
                else if (text[i] == '"')
                        inside = !inside;
        }
}

struct member {
        struct json_span name; /* without quotes */
        struct json_span value;
};

/* Reads the fields of a body that was accepted. */
static size_t read_members(const char *text, size_t len, struct member ret[static FIELDS_MAX])
{
        struct json_reader reader;
        size_t count = 0;

        json_reader_init(&reader, text, len);
        CHECK(json_reader_enter_object(&reader) == 0);
        while (json_reader_next_member(&reader, &ret[count].name) > 0) {
                CHECK(json_reader_skip(&reader, &ret[count].value) == 0);
                count++;
                CHECK(count <= FIELDS_MAX);
                if (count == FIELDS_MAX)
                        break;
        }
        return count;
}

/* Whether there may be a field softid, in whatever case. */
static bool may_have_softid(const char *text, size_t len)
{
        for (size_t i = 0; i + 3 <= len; i++) {
                if (strncasecmp(text + i, "oft", 3) == 0)
                        return true;
        }
        return memchr(text, '\\', len) || memmem(text, len, "\xc5\xbf", 2);
}

/* Writes the fields in the opposite order, and one more if it does not count. */
static void reverse(const char *text, size_t len, struct strbuf *ret)
{
        struct member members[FIELDS_MAX];
        size_t count = read_members(text, len, members);

        (void)strbuf_puts(ret, "{");
        for (size_t i = count; i-- > 0;) {
                (void)strbuf_append(ret, members[i].name.ptr - 1, members[i].name.len + 2);
                (void)strbuf_puts(ret, ":");
                (void)strbuf_append(ret, members[i].value.ptr, members[i].value.len);
                (void)strbuf_puts(ret, i > 0 ? "," : "");
        }
        if (count < FIELDS_MAX && !may_have_softid(text, len))
                (void)strbuf_puts(ret, count > 0 ? ",\"softid\":\"x\"" : "\"softid\":\"x\"");
        (void)strbuf_puts(ret, "}");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *text = (const char *)data;
        struct parsed parsed = parse(text, size);
        struct strbuf other;

        if (parsed.verdict == TASK_OK)
                check_task(&parsed.task, text, size);
        else
                check_message(&parsed);
        if (size > CHECKED_BYTES_MAX) {
                task_done(&parsed.task);
                return 0;
        }
        CHECK((parsed.verdict == TASK_BAD_JSON) == !fuzz_is_json(text, size, JSON_DEPTH_MAX));
        if (parsed.verdict == TASK_BAD_JSON)
                return 0;

        strbuf_init(&other, size * REWRITE_FACTOR + 64);
        rewrite(text, size, false, &other);
        check_same(&parsed, &other);
        if (size <= ESCAPE_BYTES_MAX && !memchr(text, '\\', size)) {
                other.len = 0;
                rewrite(text, size, true, &other);
                check_same(&parsed, &other);
        }
        if (parsed.verdict == TASK_OK) {
                other.len = 0;
                reverse(text, size, &other);
                check_same(&parsed, &other);
        }
        strbuf_done(&other);
        task_done(&parsed.task);
        return 0;
}
