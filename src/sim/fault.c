/*
 * fault: see fault.h. The kinds, and what value each takes, stand in one table.
 */
#include "sim/fault.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_MAX      1000000000UL
#define DELAY_MAX_MS   3600000.0
#define RETRY_MAX      86400UL
#define BODY_CODE_MAX  1000000UL
#define HTTP_CODE_HTML 200

struct sim_faults {
        pthread_mutex_t mutex;
        size_t count;                           /* guarded by mutex */
        struct sim_fault items[SIM_FAULTS_MAX]; /* guarded by mutex */
};

/* Reads a value into a fault; false when it is none. */
typedef bool value_reader(const char *value, struct sim_fault *fault);

static bool read_number(const char *text, unsigned long max, unsigned long *ret_number)
{
        char *end;

        if (*text < '0' || *text > '9')
                return false;
        errno = 0;
        unsigned long number = strtoul(text, &end, 10);
        if (*end || errno || number > max)
                return false;
        *ret_number = number;
        return true;
}

/* A code that may carry a body: 304 may not (RFC 9110, section 15.4.5). */
static bool read_http_code(const char *value, struct sim_fault *fault)
{
        unsigned long code;

        if (!read_number(value, 599, &code) || code < 300 || code == 304)
                return false;
        fault->code = (int)code;
        return true;
}

/* CODE, CODE/SECONDS or CODE/date */
static bool read_status(const char *value, struct sim_fault *fault)
{
        char code[8];
        const char *slash = strchr(value, '/');
        unsigned long seconds;

        if (!slash)
                return read_http_code(value, fault);
        if ((size_t)(slash - value) >= sizeof code)
                return false;
        (void)snprintf(code, sizeof code, "%.*s", (int)(slash - value), value);
        if (!read_http_code(code, fault))
                return false;
        if (strcmp(slash + 1, "date") == 0) {
                fault->retry_after = SIM_RETRY_AFTER_DATE;
                return true;
        }
        if (!read_number(slash + 1, RETRY_MAX, &seconds))
                return false;
        fault->retry_after = SIM_RETRY_AFTER_SECONDS;
        fault->retry_after_seconds = (int)seconds;
        return true;
}

static bool read_body_code(const char *value, struct sim_fault *fault)
{
        unsigned long code;

        if (!read_number(value, BODY_CODE_MAX, &code))
                return false;
        fault->code = (int)code;
        return true;
}

static bool read_text(const char *value, struct sim_fault *fault)
{
        (void)snprintf(fault->text, sizeof fault->text, "%s", value);
        return *value != '\0';
}

static bool read_delay(const char *value, struct sim_fault *fault)
{
        char *end;
        double seconds = strtod(value, &end);

        if (end == value || *end || !(seconds >= 0 && seconds * 1000 <= DELAY_MAX_MS))
                return false;
        fault->delay_ms = (int64_t)(seconds * 1000 + 0.5);
        return true;
}

static bool read_surplus(const char *value, struct sim_fault *fault)
{
        return sim_surplus_find(value, &fault->surplus);
}

static const struct kind_row {
        const char *name;
        enum sim_fault_kind kind;
        value_reader *read; /* NULL: the kind takes no value */
        bool optional;      /* the value may be left out */
        const char *form;   /* of the value, for people */
} kinds[] = {
        {"status", SIM_FAULT_STATUS, read_status, false,
         "300..599 without 304, then /SECONDS or /date"},
        {"code", SIM_FAULT_CODE, read_body_code, false, "a number"},
        {"error", SIM_FAULT_ERROR, read_text, false, "a message"},
        {"echo", SIM_FAULT_ECHO, NULL, false, NULL},
        {"reset-early", SIM_FAULT_RESET_EARLY, NULL, false, NULL},
        {"early", SIM_FAULT_EARLY, read_http_code, false, "300..599 without 304"},
        {"skip", SIM_FAULT_SKIP, NULL, false, NULL},
        {"noid", SIM_FAULT_NOID, NULL, false, NULL},
        {"duplicate", SIM_FAULT_DUPLICATE, NULL, false, NULL},
        {"reset", SIM_FAULT_RESET, NULL, false, NULL},
        {"close", SIM_FAULT_CLOSE, NULL, false, NULL},
        {"truncate", SIM_FAULT_TRUNCATE, NULL, false, NULL},
        {"garbage", SIM_FAULT_GARBAGE, NULL, false, NULL},
        {"html", SIM_FAULT_HTML, read_http_code, true, "300..599 without 304"},
        {"empty", SIM_FAULT_EMPTY, NULL, false, NULL},
        {"notobject", SIM_FAULT_NOTOBJECT, NULL, false, NULL},
        {"numeric", SIM_FAULT_NUMERIC, NULL, false, NULL},
        {"huge", SIM_FAULT_HUGE, NULL, false, NULL},
        {"deep", SIM_FAULT_DEEP, NULL, false, NULL},
        {"drip", SIM_FAULT_DRIP, NULL, false, NULL},
        {"hang", SIM_FAULT_HANG, NULL, false, NULL},
        {"slow", SIM_FAULT_SLOW, read_delay, false, "seconds, 0 to 3600"},
        {"reset-after", SIM_FAULT_RESET_AFTER, NULL, false, NULL},
        {"stray", SIM_FAULT_STRAY, read_surplus, true, SIM_SURPLUS_FORMS},
        {"double", SIM_FAULT_DOUBLE, read_surplus, true, SIM_SURPLUS_FORMS},
        {"split", SIM_FAULT_SPLIT, read_surplus, true, SIM_SURPLUS_FORMS},
};

static int read_kind(const char *name, const char *value, struct sim_fault *fault,
                     char problem[static SIM_FAULT_PROBLEM_BYTES_MAX])
{
        const struct kind_row *row = NULL;

        for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !row; i++)
                if (strcmp(kinds[i].name, name) == 0)
                        row = &kinds[i];
        if (!row) {
                (void)snprintf(problem, SIM_FAULT_PROBLEM_BYTES_MAX, "no fault is called '%.40s'",
                               name);
                return -EINVAL;
        }
        fault->kind = row->kind;
        if (!row->read && value) {
                (void)snprintf(problem, SIM_FAULT_PROBLEM_BYTES_MAX, "'%s' takes no value",
                               row->name);
                return -EINVAL;
        }
        if (!row->read || (row->optional && !value))
                return 0;
        if (value && row->read(value, fault))
                return 0;
        (void)snprintf(problem, SIM_FAULT_PROBLEM_BYTES_MAX, "'%s' takes =VALUE: %s", row->name,
                       row->form);
        return -EINVAL;
}

const char *sim_endpoint_name(enum sim_endpoint endpoint)
{
        static const char *const names[SIM_ENDPOINTS] = {"solve", "status", "balance"};

        return names[endpoint];
}

static bool read_endpoint(const char *name, struct sim_fault *fault)
{
        for (int i = 0; i < SIM_ENDPOINTS; i++) {
                if (strcmp(sim_endpoint_name((enum sim_endpoint)i), name) == 0) {
                        fault->endpoint = (enum sim_endpoint)i;
                        return true;
                }
        }
        return false;
}

/* Cuts "*COUNT" off. A star with anything else behind it belongs to the value. */
static bool cut_count(char *spec, struct sim_fault *fault)
{
        char *star = strrchr(spec, '*');

        fault->forever = true;
        if (!star || star[1 + strspn(star + 1, "0123456789")] != '\0')
                return true;
        if (!read_number(star + 1, COUNT_MAX, &fault->left) || fault->left == 0)
                return false;
        fault->forever = false;
        *star = '\0';
        return true;
}

int sim_fault_parse(const char *spec, size_t len, struct sim_fault *ret_fault,
                    char problem[static SIM_FAULT_PROBLEM_BYTES_MAX])
{
        struct sim_fault fault = {.code = HTTP_CODE_HTML};
        char copy[SIM_FAULT_TEXT_BYTES_MAX];

        if (len >= sizeof copy || memchr(spec, '\0', len)) {
                (void)snprintf(problem, SIM_FAULT_PROBLEM_BYTES_MAX,
                               "a fault is a line of at most %zu bytes", sizeof copy - 1);
                return -EINVAL;
        }
        memcpy(copy, spec, len);
        copy[len] = '\0';
        if (!cut_count(copy, &fault)) {
                (void)snprintf(problem, SIM_FAULT_PROBLEM_BYTES_MAX, "*COUNT is 1 to %lu",
                               COUNT_MAX);
                return -EINVAL;
        }
        char *kind = strchr(copy, ':');
        if (kind)
                *kind++ = '\0';
        if (!kind || !read_endpoint(copy, &fault)) {
                (void)snprintf(problem, SIM_FAULT_PROBLEM_BYTES_MAX,
                               "a fault starts with 'solve:', 'status:' or 'balance:'");
                return -EINVAL;
        }
        char *value = strchr(kind, '=');
        if (value)
                *value++ = '\0';
        int r = read_kind(kind, value, &fault, problem);
        if (r == 0)
                *ret_fault = fault;
        return r;
}

int sim_faults_new(struct sim_faults **ret_faults)
{
        struct sim_faults *faults = calloc(1, sizeof *faults);

        if (!faults)
                return -ENOMEM;
        (void)pthread_mutex_init(&faults->mutex, NULL);
        *ret_faults = faults;
        return 0;
}

void sim_faults_free(struct sim_faults *faults)
{
        if (!faults)
                return;
        (void)pthread_mutex_destroy(&faults->mutex);
        free(faults);
}

/* Reads lines into items, which holds SIM_FAULTS_MAX. Returns how many, or -EINVAL. */
static int parse_lines(const char *text, size_t len, struct sim_fault *items,
                       char problem[static SIM_FAULT_PROBLEM_BYTES_MAX])
{
        const char *next = text, *end = text + len;
        int count = 0;

        while (next < end) {
                const char *newline = memchr(next, '\n', (size_t)(end - next));
                const char *stop = newline ? newline : end;
                size_t line_len = (size_t)(stop - next);
                if (line_len > 0 && next[line_len - 1] == '\r')
                        line_len--;
                if (line_len > 0 && count == SIM_FAULTS_MAX) {
                        (void)snprintf(problem, SIM_FAULT_PROBLEM_BYTES_MAX,
                                       "there may be %d faults", SIM_FAULTS_MAX);
                        return -EINVAL;
                }
                if (line_len > 0) {
                        int r = sim_fault_parse(next, line_len, &items[count], problem);
                        if (r < 0)
                                return r;
                        count++;
                }
                next = newline ? newline + 1 : end;
        }
        return count;
}

int sim_faults_add(struct sim_faults *faults, const char *text, size_t len,
                   char problem[static SIM_FAULT_PROBLEM_BYTES_MAX])
{
        struct sim_fault *items = calloc(SIM_FAULTS_MAX, sizeof *items);
        int r = 0;

        if (!items)
                return -ENOMEM;
        int count = parse_lines(text, len, items, problem);
        if (count < 0) {
                free(items);
                return count;
        }
        (void)pthread_mutex_lock(&faults->mutex);
        if ((size_t)count > SIM_FAULTS_MAX - faults->count) {
                (void)snprintf(problem, SIM_FAULT_PROBLEM_BYTES_MAX, "there may be %d faults",
                               SIM_FAULTS_MAX);
                r = -EINVAL;
        } else {
                memcpy(faults->items + faults->count, items, (size_t)count * sizeof *items);
                faults->count += (size_t)count;
        }
        (void)pthread_mutex_unlock(&faults->mutex);
        free(items);
        return r;
}

void sim_faults_clear(struct sim_faults *faults)
{
        (void)pthread_mutex_lock(&faults->mutex);
        faults->count = 0;
        (void)pthread_mutex_unlock(&faults->mutex);
}

/* A fault that is used up makes room for others. */
static void drop_locked(struct sim_faults *faults, size_t index)
{
        faults->count--;
        memmove(faults->items + index, faults->items + index + 1,
                (faults->count - index) * sizeof *faults->items);
}

void sim_faults_take(struct sim_faults *faults, enum sim_endpoint endpoint,
                     struct sim_fault *ret_fault)
{
        *ret_fault = (struct sim_fault){.kind = SIM_FAULT_NONE};
        (void)pthread_mutex_lock(&faults->mutex);
        for (size_t i = 0; i < faults->count; i++) {
                struct sim_fault *fault = &faults->items[i];
                if (fault->endpoint != endpoint)
                        continue;
                *ret_fault = *fault;
                if (!fault->forever && --fault->left == 0)
                        drop_locked(faults, i);
                break;
        }
        (void)pthread_mutex_unlock(&faults->mutex);
}
