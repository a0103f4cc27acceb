/*
 * task: what a tool posts, read strictly.
 *
 * A body is accepted as docs/api.md says: an object in strict JSON with base64 images, a target,
 * an allowed method, and no field twice. Names are matched as the upstream's own parser matches
 * them: without regard to case, U+017F (long s) and U+212A (Kelvin sign) folded too, since a
 * parser that folds them would read a second `site` that slipped past the site policy.
 *
 * The body itself is never changed or copied. Not locked.
 */
#ifndef SOLVEGATE_JOB_TASK_H
#define SOLVEGATE_JOB_TASK_H

#include <stddef.h>

#define TASK_TARGET_BYTES_MAX  4096 /* of the JSON text of target, quotes included */
#define TASK_SITE_BYTES_MAX    2048 /* decoded */
#define TASK_FIELDS_MAX        64   /* fields of the object */
#define TASK_NAME_BYTES_MAX    256  /* of the JSON text of a field's name, or a name in images */
#define TASK_MESSAGE_BYTES_MAX 256
#define TASK_SOFTID_BYTES_MAX  64 /* decoded; a longer one counts in the identity */
#define TASK_SOFTID_DIGITS_MAX 16

/*
 * Of everything but the images and their names: each scalar, array, object and member name is a
 * value; white space outside `images` counts. An image is cheap for its bytes, other values are
 * not: 8 MB of them take as long as 1 GB of images.
 */
#define TASK_OTHER_VALUES_MAX 10000
#define TASK_OTHER_BYTES_MAX  (256 * 1024)

#define TASK_IDENTITY_BYTES 32

/*
 * What a task is, whoever sends it and however it is written: SHA-256 over its fields in the order
 * of their folded names. Images count by their bytes, in order of appearance and with their names
 * (an array's are 0, 1, …); strings decoded; other values without white space, and in the order in
 * which they stand. `softid` does not count if it only names the tool: null, or up to
 * TASK_SOFTID_DIGITS_MAX digits, or a string of up to TASK_SOFTID_BYTES_MAX bytes without control
 * characters and lone surrogates. Any other value counts as any other field: the upstream may
 * refuse it, and the refusal must not end the jobs of other clients. Known limit: a refusal of a
 * value that does not count ends them.
 */
struct task_identity {
        unsigned char bytes[TASK_IDENTITY_BYTES];
};

struct task {
        struct task_identity identity;
        char *target_json; /* the JSON string as it came, quotes included; NUL-terminated */
        char *site;        /* decoded; NULL when the body has none */
        unsigned images;   /* how many */
};

/* Why a body was refused. */
enum task_verdict {
        TASK_OK,
        TASK_BAD_JSON,           /* no strict JSON */
        TASK_BAD_JOB,            /* JSON, but not a job */
        TASK_METHOD_NOT_ALLOWED, /* a job of another kind than hcaptcha_base64 images */
        TASK_NO_MEMORY,
};

/*
 * Reads a body. On TASK_OK fills *ret_task, which the caller frees with task_done(); otherwise
 * leaves it untouched and writes one sentence for the client, naming the field or the byte (the
 * first is 1), to message. The sentence quotes no image data. max_images is at least 1.
 *
 * A body beyond TASK_OTHER_VALUES_MAX or TASK_OTHER_BYTES_MAX is TASK_BAD_JOB at once: the rest is
 * not read. What is not an image, or is beyond max_images, counts against both in `images` as well.
 * Any other body is read to its end, so TASK_BAD_JSON outranks the rest. Among the faults
 * of a job a wrong shape (a field given twice) outranks another kind of job, since nobody can say
 * which of two values counts; and another kind outranks a faulty value, since a job with page
 * addresses in `images` is better told that its `data_type` is not relayed. The first of its rank
 * is reported.
 */
enum task_verdict task_parse(const char *body, size_t len, unsigned max_images,
                             struct task *ret_task, char message[static TASK_MESSAGE_BYTES_MAX]);

/* Frees what task_parse() filled in, and zeroes the struct. Takes a zeroed struct too. */
void task_done(struct task *task);

#endif
