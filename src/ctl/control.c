/*
 * control: see control.h. libcurl does the work.
 */
#include "ctl/control.h"

#include "base/json.h"
#include "base/strbuf.h"
#include "ctl/control_problem.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_BYTES_MAX   (32 << 20) /* 1000 jobs are about 1 MiB */
#define TARGET_BYTES_MAX 4096
#define WATCHED_MAX      4
#define POLL_MS          1000

struct control {
        const char *path;
        CURLM *multi;
        CURL *easy;
        struct curl_waitfd watched[WATCHED_MAX];
        unsigned watched_count;
        struct strbuf body;
        char problem[CONTROL_PROBLEM_BYTES_MAX];
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
        long code = 0;
        size_t len;
        struct answer answer;

        (void)curl_easy_getinfo(control->easy, CURLINFO_RESPONSE_CODE, &code);
        if (!is_object(&control->body)) {
                control_problem_foreign(control->problem, control->path);
                return CONTROL_FAILED;
        }
        char *text = strbuf_take(&control->body, &len);
        if (!text || answer_init(&answer, code, text, len) < 0) {
                control_problem_memory(control->problem);
                return CONTROL_FAILED;
        }
        *ret_answer = answer;
        if (code >= 200 && code < 300)
                return CONTROL_ANSWERED;
        control_problem_refused(control->problem, &answer);
        return CONTROL_REFUSED;
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

        if (r < 0) {
                (void)snprintf(control->problem, sizeof control->problem, "%s",
                               r == -EMSGSIZE ? "what was asked for is too long" : "no memory");
                return CONTROL_FAILED;
        }
        strbuf_done(&control->body);
        strbuf_init(&control->body, BODY_BYTES_MAX);
        CURLcode result = transfer(control);
        if (result == CURLE_OK)
                return read_answer(control, ret_answer);
        if (result == CURLE_ABORTED_BY_CALLBACK) {
                (void)snprintf(control->problem, sizeof control->problem, "interrupted");
                return CONTROL_INTERRUPTED;
        }
        if (result == CURLE_COULDNT_CONNECT) {
                long error = 0;
                (void)curl_easy_getinfo(control->easy, CURLINFO_OS_ERRNO, &error);
                control_problem_absent(control->problem, control->path, (int)error);
                return CONTROL_ABSENT;
        }
        control_problem_transfer(control->problem, control->path, result, question->timeout_ms);
        return CONTROL_FAILED;
}
