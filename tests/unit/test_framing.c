/*
 * The check of received bytes: what is passed on, where a message ends, and that the result does
 * not depend on the pieces in which it comes.
 */
#include "http/framing.h"
#include "http/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define GET   "GET /status?id=x HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST  "POST /solve HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345"
#define CODED "POST /solve HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
#define CHUNK CODED "5;x=y\r\n12345\r\n0\r\nA: b\r\n\r\n"

/* A text as large as what the tests pass, and more. */
static char copied[131072];

/* Passes a copy. The copy holds what is left afterwards. */
static size_t feed_copy(struct framing *framing, const char *bytes, size_t len)
{
        assert_true(framing->spaces + len <= sizeof copied);
        memcpy(copied + framing->spaces, bytes, len);
        return framing_feed(framing, copied, len);
}

/* Passes all of them at once, and byte by byte: both must end alike, and leave the same. */
static struct framing feed(const char *bytes, size_t len)
{
        static char left[sizeof copied];
        struct framing whole, pieces;
        size_t i = 0, left_len = 0;

        framing_init(&whole);
        framing_init(&pieces);
        while (i < len && !pieces.fault) {
                size_t count = feed_copy(&pieces, bytes + i++, 1);
                memcpy(left + left_len, copied, count);
                left_len += count;
        }
        size_t whole_len = feed_copy(&whole, bytes, len);
        if (!whole.fault) {
                assert_int_equal(whole_len, left_len);
                assert_memory_equal(copied, left, left_len);
        }
        assert_ptr_equal(whole.fault, pieces.fault);
        assert_int_equal(whole.ended, pieces.ended);
        assert_int_equal(whole.headers, pieces.headers);
        if (!whole.fault)
                assert_int_equal(whole.state, pieces.state);
        return whole;
}

static struct framing feed_text(const char *text)
{
        return feed(text, strlen(text));
}

static void well_formed_messages_are_passed_on_and_counted(void **state)
{
        static const struct {
                const char *text;
                uint64_t ended;
                bool in_message;
        } cases[] = {
                {"", 0, false},
                {"\r\n\r\n", 0, false},
                {"G", 0, true},
                {GET, 1, false},
                {"\r\n" GET, 1, false},
                {GET GET GET, 3, false},
                {POST, 1, false},
                {POST "\r\n" GET, 2, false},
                {CHUNK, 1, false},
                {CHUNK POST GET, 3, false},
                {CODED "5\r\n123", 0, true},
                {GET "GET /x HTTP/1.1\r\n", 1, true},
                {"GET / HTTP/1.0\r\n\r\n", 1, false},
                {"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 1, false},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct framing framing = feed_text(cases[i].text);
                assert_null(framing.fault);
                assert_int_equal(framing.ended, cases[i].ended);
                assert_int_equal(framing_in_message(&framing), cases[i].in_message);
        }
}

/* Each is malformed by its last byte. */
static void a_malformed_message_is_a_fault_at_its_first_wrong_byte(void **state)
{
        static const struct {
                const char *text;
                unsigned status;
        } cases[] = {
                {"\n", 400},
                {" ", 400},
                {"\x01", 400},
                {"\r\r", 400},
                {"GET\t", 400},
                {"GET /\x7f", 400},
                {"GET /\xff", 400},
                {"GET /%0", 0},
                {"GET /%00", 400},
                {"GET /%g", 400},
                {"GET * HTTP/1.1\r", 400},
                {"PRI * HTTP/2.0\r", 505},
                {"GET *a ", 400},
                {"GET /\r", 400},
                {"GET a:1 ", 400},
                {"GET / HTTP/1.1\n", 400},
                {"GET / HTTP/1.1 ", 400},
                {"GET / HTTP/2.0\r", 505},
                {"GET / HTTX", 400},
                {"GET / \n", 400},
                {"GET / HTTP/\n", 400},
                {"GET / HTTP/1.1x", 400},
                {"GET / HTTP/1\r", 400},
                {"GET / HTTP/1.1\r\n ", 400},
                {"GET / HTTP/1.1\r\n:", 400},
                {"GET / HTTP/1.1\r\nA ", 400},
                {"GET / HTTP/1.1\r\nA\r", 400},
                {"GET / HTTP/1.1\r\nA: b\n", 400},
                {"GET / HTTP/1.1\r\nA: b\x01", 400},
                {"GET / HTTP/1.1\r\nA: b\r\n\t", 400},
                {"GET / HTTP/1.1\r\n\r\n", 400}, /* no Host */
                {"GET / HTTP/1.1\r\nHost: a\r\nHOST:", 400},
                {"GET / HTTP/1.1\r\napikey: a\r\nApikey:", 400},
                {"GET / HTTP/1.1\r\nContent-Length: 1 \r", 400},
                {"GET / HTTP/1.1\r\nContent-Length: 9999999999999999999\r", 413},
                {"GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r", 400},
                {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n"
                 "\r\n",
                 400},
                {"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
                {CODED "\r", 400},
                {CODED "g", 400},
                {CODED "5 ", 400},
                {CODED "5\n", 400},
                {CODED "1\r\n1x", 400},
                {CODED "0\r\n:", 400},
                {CODED "0\r\nContent-Length:", 400},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct framing framing = feed_text(cases[i].text);
                const char *text = cases[i].text;
                struct framing before = feed(text, strlen(text) - 1);
                assert_null(before.fault);
                assert_int_equal(framing.fault ? framing.fault->status : 0, cases[i].status);
        }
}

static void a_nul_is_a_fault_wherever_it_is(void **state)
{
        static const char text[] = "GET /status HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n";

        (void)state;
        for (size_t i = 0; i < sizeof text - 1; i++) {
                char copy[sizeof text];
                memcpy(copy, text, sizeof text);
                copy[i] = '\0';
                struct framing framing = feed(copy, sizeof text - 1);
                assert_non_null(framing.fault);
                assert_int_equal(framing.ended, 0);
        }
}

/* For libmicrohttpd, LF alone is the end of a line, too; so none may get there. */
static void an_lf_without_a_cr_is_a_fault_at_once_outside_of_bodies(void **state)
{
        static const char text[] =
                "\r\nGET /a?b%20c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked"
                "\r\n\r\n1;x\r\n1\r\n0\r\nA: b\r\n\r\n";
        const char *data = strstr(text, "1;x\r\n") + strlen("1;x\r\n");

        (void)state;
        for (size_t i = 0; i < sizeof text - 1; i++) {
                struct framing framing;
                framing_init(&framing);
                (void)feed_copy(&framing, text, i);
                assert_null(framing.fault);
                if (text + i == data || (i > 0 && text[i - 1] == '\r'))
                        continue;
                (void)feed_copy(&framing, "\n", 1);
                assert_non_null(framing.fault);
        }
}

/* libmicrohttpd gets what is complete before the fault, and nothing of the malformed message. */
static void only_messages_before_the_fault_are_passed_on(void **state)
{
        static const char text[] = GET POST "GET / HTTP/1.1\r\n: x\r\n\r\n" GET;
        struct framing framing;

        (void)state;
        framing_init(&framing);
        assert_int_equal(feed_copy(&framing, text, sizeof text - 1),
                         sizeof GET - 1 + sizeof POST - 1);
        assert_non_null(framing.fault);
        assert_int_equal(framing.ended, 2);
}

static void what_came_before_the_fault_in_an_earlier_piece_is_not_passed_on_again(void **state)
{
        static const char begin[] = GET "GET / HTTP/1.1\r\n", rest[] = ": x\r\n\r\n" GET;
        struct framing framing;

        (void)state;
        framing_init(&framing);
        assert_int_equal(feed_copy(&framing, begin, sizeof begin - 1), sizeof begin - 1);
        assert_int_equal(feed_copy(&framing, rest, sizeof rest - 1), 0);
        assert_int_equal(framing.ended, 1);
}

static void the_extensions_of_chunks_are_taken_out(void **state)
{
        static const char text[] =
                CODED "5;x=y\r\n12;45\r\n1;\r\na\r\n0;a;b=\"c\"\r\nA: b\r\n\r\n" GET;
        static const char left[] = CODED "5\r\n12;45\r\n1\r\na\r\n0\r\nA: b\r\n\r\n" GET;
        struct framing framing;

        (void)state;
        framing_init(&framing);
        assert_int_equal(feed_copy(&framing, text, sizeof text - 1), sizeof left - 1);
        assert_memory_equal(copied, left, sizeof left - 1);
        assert_null(framing.fault);
        (void)feed(text, sizeof text - 1);
}

static void blank_lines_before_a_request_line_are_taken_out(void **state)
{
        struct framing framing;

        (void)state;
        framing_init(&framing);
        assert_int_equal(
                feed_copy(&framing, "\r\n\r\n" GET "\r\n" GET "\r", 7 + 2 * sizeof GET - 2),
                2 * (sizeof GET - 1));
        assert_memory_equal(copied, GET GET, 2 * (sizeof GET - 1));
        assert_int_equal(framing.state, FRAMING_START_LF);
}

static void white_space_at_the_end_of_a_value_is_taken_out(void **state)
{
        static const char text[] = "GET / HTTP/1.1\r\nHost: a \t\r\nA: b\tc   d\t \r\nB:  \r\n\r\n";
        static const char left[] = "GET / HTTP/1.1\r\nHost: a\r\nA: b c   d\r\nB:  \r\n\r\n";
        struct framing framing;

        (void)state;
        framing_init(&framing);
        assert_int_equal(feed_copy(&framing, text, sizeof text - 1), sizeof left - 1);
        assert_memory_equal(copied, left, sizeof left - 1);
        assert_int_equal(framing.ended, 1);
        (void)feed(text, sizeof text - 1);
}

static void white_space_is_passed_on_where_there_is_no_room_to_wait_for_more(void **state)
{
        static const char begin[] = "GET / HTTP/1.1\r\nA: b   ";
        struct framing framing;

        (void)state;
        framing_init(&framing);
        assert_int_equal(feed_copy(&framing, begin, sizeof begin - 1), sizeof begin - 1 - 3);
        assert_int_equal(framing.spaces, 3);
        framing_release(&framing, copied, 2);
        assert_memory_equal(copied, "  ", 2);
        assert_int_equal(feed_copy(&framing, "c", 1), 2);
        assert_memory_equal(copied, " c", 2);
}

/* ---- sizes ---- */

static unsigned status_of(const char *begin, const char *repeated, size_t count, const char *end)
{
        static char text[65536];
        size_t len = strlen(begin);

        memcpy(text, begin, len);
        for (size_t i = 0; i < count; i++, len += strlen(repeated))
                memcpy(text + len, repeated, strlen(repeated));
        memcpy(text + len, end, strlen(end));
        struct framing framing = feed(text, len + strlen(end));
        return framing.fault ? framing.fault->status : 0;
}

static void a_header_has_limits(void **state)
{
        static const char field[] = "GET / HTTP/1.1\r\nHost: a\r\nA: ", end[] = "\r\n\r\n";
        const size_t room = FRAMING_HEADER_BYTES_MAX - (sizeof field - 1) - strlen("\r\n\r");

        (void)state;
        assert_int_equal(status_of(field, "x", room, end), 0);
        assert_int_equal(status_of(field, "x", room + 1, end), 431);
        assert_int_equal(status_of("GET /", "x", FRAMING_HEADER_BYTES_MAX, ""), 414);
        assert_int_equal(status_of("GET /?", "a&", 63, " HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
        assert_int_equal(status_of("GET /?", "a&", 64, " HTTP/1.1\r\nHost: a\r\n\r\n"), 414);
        assert_int_equal(status_of("GET / HTTP/1.1\r\nHost: a\r\n", "A:\r\n", 99, "\r\n"), 0);
        assert_int_equal(status_of("GET / HTTP/1.1\r\nHost: a\r\n", "A:\r\n", 100, "\r\n"), 431);
        assert_int_equal(status_of("GET / HTTP/1.1\r\nHost: a\r\nCookie: ", "a;", 150, end), 0);
        assert_int_equal(status_of("GET / HTTP/1.1\r\nHost: a\r\nCookie: ", "a;", 200, end), 431);
        assert_int_equal(status_of("", "\r\n", FRAMING_HEADER_BYTES_MAX / 2, ""), 0);
        assert_int_equal(status_of("", "\r\n", FRAMING_HEADER_BYTES_MAX, ""), 414);
        assert_int_equal(status_of("GET /", "x", 4000, "?a HTTP/1.0\r\n\r\n"), 0);
        assert_int_equal(status_of("GET /", "x", 6700, "?a HTTP/1.0\r\n\r\n"), 414);
        assert_int_equal(status_of("GET /", "x", 6700, "?a HTTP/1.0\r\nA:\r\n\r\n"), 0);
        assert_int_equal(status_of("GET /", "x", 6700, " HTTP/1.0\r\n\r\n"), 0);
        assert_int_equal(status_of(CODED "0\r\n", "A:\r\n", 16, "\r\n"), 0);
        assert_int_equal(status_of(CODED "0\r\n", "A:\r\n", 17, "\r\n"), 400);
        assert_int_equal(status_of(CODED "1;", "x", FRAMING_EXTENSION_MAX + 1, ""), 400);
}

/* ---- targets ---- */

static void an_absolute_target_is_split(void **state)
{
        static const struct {
                const char *target, *authority, *path;
        } cases[] = {
                {"http://a:1/b/c", "a:1", "/b/c"},
                {"HTTP://a/", "a", "/"},
                {"http://a", "a", "/"},
                {"http:///b", "", "/b"},
                {"https://a/", NULL, NULL},
                {"/http://a", NULL, NULL},
                {"http:/a", NULL, NULL},
                {"h", NULL, NULL},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                const char *path = NULL;
                size_t len = 0;
                const char *authority = target_authority(cases[i].target, "http", &len, &path);
                assert_int_equal(authority != NULL, cases[i].authority != NULL);
                if (!authority)
                        continue;
                assert_int_equal(len, strlen(cases[i].authority));
                assert_memory_equal(authority, cases[i].authority, len);
                assert_string_equal(path, cases[i].path);
        }
}

/* Every pair of bytes: a target of both is valid exactly where they are one of UTF-8's, or ASCII
 * without controls. */
static void a_target_is_utf8_without_controls(void **state)
{
        (void)state;
        for (unsigned a = 0x21; a < 0x100; a++) {
                for (unsigned b = 0x21; b < 0x100; b++) {
                        const unsigned char text[] = {'/', (unsigned char)a, (unsigned char)b};
                        struct target target;
                        size_t taken;
                        target_init(&target);
                        enum target_problem problem =
                                target_feed(&target, text, sizeof text, &taken);
                        if (problem == TARGET_OK)
                                problem = target_end(&target);
                        bool ascii = a < 0x7f && b < 0x7f && a != '%' && b != '%';
                        bool utf8 = a >= 0xc2 && a <= 0xdf && b >= (a == 0xc2 ? 0xa0U : 0x80U) &&
                                    b <= 0xbf;
                        assert_int_equal(problem == TARGET_OK, ascii || utf8);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(well_formed_messages_are_passed_on_and_counted),
                cmocka_unit_test(a_malformed_message_is_a_fault_at_its_first_wrong_byte),
                cmocka_unit_test(a_nul_is_a_fault_wherever_it_is),
                cmocka_unit_test(an_lf_without_a_cr_is_a_fault_at_once_outside_of_bodies),
                cmocka_unit_test(only_messages_before_the_fault_are_passed_on),
                cmocka_unit_test(
                        what_came_before_the_fault_in_an_earlier_piece_is_not_passed_on_again),
                cmocka_unit_test(the_extensions_of_chunks_are_taken_out),
                cmocka_unit_test(blank_lines_before_a_request_line_are_taken_out),
                cmocka_unit_test(white_space_at_the_end_of_a_value_is_taken_out),
                cmocka_unit_test(white_space_is_passed_on_where_there_is_no_room_to_wait_for_more),
                cmocka_unit_test(a_header_has_limits),
                cmocka_unit_test(an_absolute_target_is_split),
                cmocka_unit_test(a_target_is_utf8_without_controls),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
