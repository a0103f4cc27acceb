/*
 * control: see control.h. libcurl does the work.
 */
#include "ctl/control.h"

#include "base/json.h"
#include "base/strbuf.h"
#include "ctl/field.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BODY_BYTES_MAX   (32 << 20) /* 1000 jobs are about 1 MiB */
#define TARGET_BYTES_MAX 4096
#define WATCHED_MAX      4
#define POLL_MS          1000
#define PROBLEM_BYTES    1024

struct control {
        const char *path;
        CURLM *multi;
        CURL *easy;
        struct curl_waitfd watched[WATCHED_MAX];
        unsigned watched_count;
        struct strbuf body;
        char problem[PROBLEM_BYTES];
};

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
        struct control *control = arg;

        return strbuf_append(&control->body, bytes, size * count) == 0 ? size * count : 0;
}

#define SET(option, value) (curl_easy_setopt(control->easy, option, value) == CURLE_OK)

/* No proxy of the environment has a part in this. */
static int prepare(struct control *control)
{
        bool good = SET(CURLOPT_UNIX_SOCKET_PATH, control->path) && SET(CURLOPT_PROXY, "") &&
                    SET(CURLOPT_PROTOCOLS_STR, "http") && SET(CURLOPT_NOSIGNAL, 1L) &&
                    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
                    SET(CURLOPT_WRITEFUNCTION, on_body) && SET(CURLOPT_WRITEDATA, control) &&
                    SET(CURLOPT_USERAGENT, "solvegatectl/" SOLVEGATE_VERSION);

        return good ? 0 : -ENOMEM;
}

int control_new(const char *path, struct control **ret_control)
{
        struct control *control = calloc(1, sizeof *control);

        if (!control)
                return -ENOMEM;
        control->path = path;
        strbuf_init(&control->body, BODY_BYTES_MAX);
        /* Nothing here is TLS, whose preparations would take longer than an answer. */
        if (curl_global_init(CURL_GLOBAL_NOTHING) == CURLE_OK) {
                control->multi = curl_multi_init();
                control->easy = curl_easy_init();
        }
        if (!control->multi || !control->easy || prepare(control) < 0) {
                control_free(control);
                return -ENOMEM;
        }
        *ret_control = control;
        return 0;
}

void control_free(struct control *control)
{
        if (!control)
                return;
        curl_easy_cleanup(control->easy);
        (void)curl_multi_cleanup(control->multi);
        curl_global_cleanup();
        strbuf_done(&control->body);
        free(control);
}

void control_watch(struct control *control, const int *watched, size_t count)
{
        control->watched_count = 0;
        for (size_t i = 0; i < count && i < WATCHED_MAX; i++)
                control->watched[control->watched_count++] =
                        (struct curl_waitfd){.fd = watched[i], .events = CURL_WAIT_POLLIN};
}

const char *control_problem(const struct control *control)
{
        return control->problem;
}

static bool was_interrupted(const struct control *control)
{
        for (unsigned i = 0; i < control->watched_count; i++)
                if (control->watched[i].revents)
                        return true;
        return false;
}

/* Runs the transfer to its end. Returns what libcurl says, or CURLE_ABORTED_BY_CALLBACK. */
static CURLcode transfer(struct control *control)
{
        CURLcode result = CURLE_FAILED_INIT;
        int running = 1, left;

        if (curl_multi_add_handle(control->multi, control->easy) != CURLM_OK)
                return CURLE_OUT_OF_MEMORY;
        while (curl_multi_perform(control->multi, &running) == CURLM_OK && running > 0) {
                if (curl_multi_poll(control->multi, control->watched, control->watched_count,
                                    POLL_MS, NULL) != CURLM_OK)
                        break;
                if (was_interrupted(control)) {
                        result = CURLE_ABORTED_BY_CALLBACK;
                        break;
                }
        }
        for (CURLMsg *message; (message = curl_multi_info_read(control->multi, &left));)
                if (message->msg == CURLMSG_DONE)
                        result = message->data.result;
        (void)curl_multi_remove_handle(control->multi, control->easy);
        return result;
}

/* ---- what went wrong, with how to mend it ---- */

/* Says it. Returns the result given. */
__attribute__((format(printf, 3, 4))) static enum control_result fail(struct control *control,
                                                                      enum control_result result,
                                                                      const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        (void)vsnprintf(control->problem, sizeof control->problem, format, arguments);
        va_end(arguments);
        return result;
}

/* connect(2) says the same of a file that is no socket as of a socket that nobody listens on. */
static enum control_result fail_unheard(struct control *control)
{
        struct stat status;

        if (stat(control->path, &status) == 0 && !S_ISSOCK(status.st_mode))
                return fail(control, CONTROL_ABSENT,
                            "%s: is no socket; name the daemon's admin.socket with --socket",
                            control->path);
        return fail(control, CONTROL_ABSENT,
                    "%s: nobody listens there; solvegate is not running: start it (if it runs as a "
                    "service: systemctl start solvegate)",
                    control->path);
}

/* To be in its group helps only where its mode lets the group in. */
static enum control_result fail_forbidden(struct control *control)
{
        struct stat status;

        if (stat(control->path, &status) == 0 && !(status.st_mode & S_IWGRP))
                return fail(control, CONTROL_ABSENT,
                            "%s: you may not use this socket; call solvegatectl as its owner or "
                            "with sudo: its mode lets in nobody else (admin.socket_mode \"0660\" "
                            "lets in the group admin.socket_group)",
                            control->path);
        return fail(control, CONTROL_ABSENT,
                    "%s: you may not use this socket; call solvegatectl as its owner or with sudo, "
                    "or become a member of its group (admin.socket_group)",
                    control->path);
}

static enum control_result fail_to_connect(struct control *control)
{
        long error = 0;

        (void)curl_easy_getinfo(control->easy, CURLINFO_OS_ERRNO, &error);
        switch (error) {
        case ENOENT:
        case ENOTDIR:
                return fail(control, CONTROL_ABSENT,
                            "%s: there is no such socket; is solvegate running (if it runs as a "
                            "service: systemctl status solvegate), and is this its admin.socket? "
                            "else name that one with --socket",
                            control->path);
        case ECONNREFUSED:
                return fail_unheard(control);
        case EACCES:
        case EPERM:
                return fail_forbidden(control);
        case 0: /* libcurl does not know EAGAIN of connect(2), for which unix(7) has a reason */
        case EAGAIN:
                return fail(control, CONTROL_ABSENT,
                            "%s: too many wait there for the daemon to accept them; it may hang: "
                            "see its log (as a service: journalctl -u solvegate)",
                            control->path);
        default:
                return fail(control, CONTROL_ABSENT,
                            "%s: %s; name the daemon's admin.socket with --socket", control->path,
                            strerror((int)error));
        }
}

static enum control_result fail_foreign(struct control *control)
{
        return fail(control, CONTROL_FAILED,
                    "%s: what answers there does not speak as solvegate does; name the daemon's "
                    "admin.socket with --socket",
                    control->path);
}

static enum control_result fail_transfer(struct control *control, CURLcode result, long timeout_ms)
{
        switch ((int)result) {
        case CURLE_ABORTED_BY_CALLBACK:
                return fail(control, CONTROL_INTERRUPTED, "interrupted");
        case CURLE_COULDNT_CONNECT:
                return fail_to_connect(control);
        case CURLE_OPERATION_TIMEDOUT:
                return fail(control, CONTROL_FAILED,
                            "%s: no answer within %ld s; the daemon may hang: see its log (as a "
                            "service: journalctl -u solvegate)",
                            control->path, timeout_ms / 1000);
        case CURLE_GOT_NOTHING:
        case CURLE_RECV_ERROR:
        case CURLE_SEND_ERROR:
        case CURLE_PARTIAL_FILE:
                return fail(control, CONTROL_FAILED,
                            "%s: the connection ended before the answer was whole; the daemon may "
                            "have stopped, or is overwhelmed: see its log (as a service: "
                            "journalctl -u solvegate)",
                            control->path);
        case CURLE_WRITE_ERROR:
                return fail(control, CONTROL_FAILED, "%s: the answer is too long", control->path);
        case CURLE_UNSUPPORTED_PROTOCOL:
        case CURLE_WEIRD_SERVER_REPLY:
                return fail_foreign(control);
        default:
                return fail(control, CONTROL_FAILED, "%s: %s", control->path,
                            curl_easy_strerror(result));
        }
}

/* The daemon's own words. */
static enum control_result fail_refused(struct control *control, const struct answer *answer)
{
        const char *message = field_text(answer->object, "message");
        const char *code = field_text(answer->object, "code");

        if (!message)
                return fail(control, CONTROL_REFUSED, "the daemon answered %ld", answer->code);
        return fail(control, CONTROL_REFUSED, code ? "%s (%s)" : "%s", message, code);
}

/* ---- questions and answers ---- */

void answer_done(struct answer *answer)
{
        free(answer->text);
        field_free(answer->object);
        *answer = (struct answer){0};
}

/* One JSON object and nothing else, with text and names that no reader takes otherwise. */
static bool is_object(const struct strbuf *body)
{
        struct json_reader reader;
        enum json_type type;

        json_reader_init(&reader, body->len > 0 ? body->data : "", body->len);
        return json_reader_peek(&reader, &type) == 0 && type == JSON_OBJECT &&
               json_reader_skip(&reader, NULL) == 0 && json_reader_end(&reader) == 0;
}

static enum control_result read_answer(struct control *control, struct answer *ret_answer)
{
        struct answer answer = {0};

        (void)curl_easy_getinfo(control->easy, CURLINFO_RESPONSE_CODE, &answer.code);
        if (!is_object(&control->body))
                return fail_foreign(control);
        answer.object = field_parse(control->body.data, control->body.len);
        answer.text = strbuf_take(&control->body, &answer.len);
        if (!answer.text || !answer.object) {
                answer_done(&answer);
                return fail(control, CONTROL_FAILED, "no memory");
        }
        *ret_answer = answer;
        if (answer.code >= 200 && answer.code < 300)
                return CONTROL_ANSWERED;
        return fail_refused(control, ret_answer);
}

static int set_question(struct control *control, const struct control_question *question)
{
        char url[TARGET_BYTES_MAX];
        bool posts = strcmp(question->method, "POST") == 0;

        /* The host is for the daemon's check of Host alone. */
        int n = snprintf(url, sizeof url, "http://localhost%s", question->target);
        if (n < 0 || (size_t)n >= sizeof url)
                return -EMSGSIZE;
        bool good = SET(CURLOPT_URL, url) && SET(CURLOPT_HTTPGET, 1L) &&
                    (!posts || (SET(CURLOPT_POST, 1L) && SET(CURLOPT_POSTFIELDSIZE, 0L) &&
                                SET(CURLOPT_POSTFIELDS, ""))) &&
                    SET(CURLOPT_CUSTOMREQUEST, question->method) &&
                    SET(CURLOPT_TIMEOUT_MS, question->timeout_ms);
        return good ? 0 : -ENOMEM;
}

enum control_result control_ask(struct control *control, const struct control_question *question,
                                struct answer *ret_answer)
{
        int r = set_question(control, question);

        if (r < 0)
                return fail(control, CONTROL_FAILED,
                            r == -EMSGSIZE ? "what was asked for is too long" : "no memory");
        strbuf_done(&control->body);
        strbuf_init(&control->body, BODY_BYTES_MAX);
        CURLcode result = transfer(control);
        if (result != CURLE_OK)
                return fail_transfer(control, result, question->timeout_ms);
        return read_answer(control, ret_answer);
}
