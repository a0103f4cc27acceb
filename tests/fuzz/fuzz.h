/*
 * fuzz: what the fuzz targets share.
 *
 * A target defines LLVMFuzzerTestOneInput() as libFuzzer expects it. scripts/fuzz links the targets
 * with libFuzzer (clang); every other build links them with replay.c, which reads the corpus once.
 *
 * A target must find more than crashes: it checks each result with CHECK(), against rules that the
 * code under test does not share.
 *
 * Not locked: one input at a time, one thread.
 */
#ifndef SOLVEGATE_TESTS_FUZZ_H
#define SOLVEGATE_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Aborts with the place and the expression, so that libFuzzer saves the input. */
#define CHECK(condition) ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

_Noreturn void fuzz_fail(const char *file, int line, const char *condition);

/*
 * Copies size bytes into a block of exactly that size (one byte if size is 0), so that
 * AddressSanitizer reports any read beyond them. The caller frees the block.
 */
char *fuzz_copy(const uint8_t *data, size_t size);

/* Copies up to the first NUL, as a C string. The caller frees it. */
char *fuzz_string(const uint8_t *data, size_t size);

/* Whether text has only whole UTF-8 characters. Written without base/utf8, which it checks. */
bool fuzz_is_utf8(const char *text, size_t len);

/* Whether text is one line that can be shown: valid UTF-8, not empty, no control characters. */
bool fuzz_is_line(const char *text, size_t len);

/*
 * The path of a file below a temporary directory of this process, which is removed at exit. The
 * directory is in memory where /dev/shm exists. The caller frees the path.
 */
char *fuzz_path(const char *name);

/* Writes a whole file, readable by its owner alone. */
void fuzz_write_file(const char *path, const void *bytes, size_t len);

/*
 * Whether text is one JSON value (RFC 8259, in valid UTF-8, at most max_depth containers deep), by
 * a recognizer that follows the RFC's grammar rule by rule and shares nothing with base/json.
 */
bool fuzz_is_json(const char *text, size_t len, unsigned max_depth);

#endif
