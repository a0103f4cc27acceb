/*
 * target: see target.h.
 */
#include "http/target.h"

#include "base/hex.h"

#include <string.h>
#include <strings.h>

#define DEL 0x7f

void target_init(struct target *target)
{
        *target = (struct target){0};
}

/* The first byte of a sequence of UTF-8 (Unicode 15, table 3-7). C1 controls are U+0080 to U+009F.
 */
static enum target_problem begin_sequence(struct target *target, unsigned char byte)
{
        if (byte < 0xc2 || byte > 0xf4)
                return TARGET_NOT_UTF8;
        target->more = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
        target->low = byte == 0xe0 || byte == 0xc2 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
        target->high = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
        return TARGET_OK;
}

static enum target_problem feed_decoded(struct target *target, unsigned char byte)
{
        if (target->more > 0) {
                bool control = target->low == 0xa0 && target->more == 1 && byte < 0xa0;
                if (byte < target->low || byte > target->high)
                        return control && byte >= 0x80 ? TARGET_CONTROL : TARGET_NOT_UTF8;
                target->more--;
                target->low = 0x80;
                target->high = 0xbf;
                return TARGET_OK;
        }
        if (byte < ' ' || byte == DEL)
                return TARGET_CONTROL;
        return byte < 0x80 ? TARGET_OK : begin_sequence(target, byte);
}

static enum target_problem feed_digit(struct target *target, unsigned char byte)
{
        int value = hex_digit((char)byte);

        if (value < 0)
                return TARGET_ENCODING;
        if (--target->digits > 0) {
                target->digit_high = (unsigned char)(value << 4);
                return TARGET_OK;
        }
        return feed_decoded(target, (unsigned char)(target->digit_high | value));
}

static enum target_problem feed(struct target *target, unsigned char byte)
{
        if (target->digits > 0)
                return feed_digit(target, byte);
        if (byte == '%') {
                target->digits = 2;
                return TARGET_OK;
        }
        if (target->arguments == 0 ? byte == '?' : byte == '&')
                target->arguments++;
        return feed_decoded(target, byte);
}

/* How many bytes in front are ASCII and need no look. Most targets are nothing else. */
static size_t plain_run(const unsigned char *bytes, size_t len)
{
        size_t i = 0;

        while (i < len && bytes[i] > ' ' && bytes[i] < DEL && bytes[i] != '%' && bytes[i] != '?' &&
               bytes[i] != '&')
                i++;
        return i;
}

enum target_problem target_feed(struct target *target, const unsigned char *bytes, size_t len,
                                size_t *ret_taken)
{
        enum target_problem problem = TARGET_OK;
        size_t i = 0;

        while (i < len && bytes[i] != ' ' && problem == TARGET_OK) {
                size_t run = 0;
                if (target->start_len < TARGET_START_BYTES)
                        target->start[target->start_len++] = (char)bytes[i];
                else if (target->digits == 0 && target->more == 0)
                        run = plain_run(bytes + i, len - i);
                if (run == 0)
                        problem = feed(target, bytes[i++]);
                i += run;
        }
        *ret_taken = i;
        return problem;
}

enum target_problem target_end(const struct target *target)
{
        static const char http[] = "http://", https[] = "https://";
        bool absolute = (target->start_len > strlen(http) &&
                         strncasecmp(target->start, http, strlen(http)) == 0) ||
                        (target->start_len >= strlen(https) &&
                         strncasecmp(target->start, https, strlen(https)) == 0);

        if (target->digits > 0)
                return TARGET_ENCODING;
        if (target->more > 0)
                return TARGET_NOT_UTF8;
        return target->start[0] == '/' || absolute ? TARGET_OK : TARGET_FORM;
}

const char *target_authority(const char *target, const char *scheme, size_t *ret_len,
                             const char **ret_path)
{
        size_t len = strlen(scheme);

        if (strncasecmp(target, scheme, len) != 0 || strncmp(target + len, "://", 3) != 0)
                return NULL;
        const char *authority = target + len + 3;
        *ret_len = strcspn(authority, "/");
        *ret_path = authority[*ret_len] ? authority + *ret_len : "/";
        return authority;
}
