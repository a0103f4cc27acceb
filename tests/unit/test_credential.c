/*
 * test_credential: where the file is looked for, which files are refused, that no message quotes
 * one, how the values lie in memory, and what is struck out of text from outside.
 */
#include "base/strbuf.h"
#include "config/credential.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define UID    "user-4711"
#define APIKEY "canary-9f8e7d6c"
#define GOOD   "uid = \"" UID "\"; apikey = \"" APIKEY "\";\n"

/* A configuration's directory for one test, and what the last load said. */
struct fixture {
        char directory[64];
        char config_file[128];
        char file[192]; /* the credential "key" */
        struct credential *credential;
        struct strbuf problem;
};

static int setup(void **state)
{
        struct fixture *fixture = calloc(1, sizeof *fixture);
        char credentials[128];

        assert_non_null(fixture);
        assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
        strcpy(fixture->directory, "/tmp/test_credential.XXXXXX");
        assert_non_null(mkdtemp(fixture->directory));
        (void)snprintf(fixture->config_file, sizeof fixture->config_file, "%s/solvegate.conf",
                       fixture->directory);
        (void)snprintf(credentials, sizeof credentials, "%s/credentials", fixture->directory);
        assert_int_equal(mkdir(credentials, 0700), 0);
        (void)snprintf(fixture->file, sizeof fixture->file, "%s/key", credentials);
        strbuf_init(&fixture->problem, 8192);
        *state = fixture;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *fixture = *state;
        char command[128];

        credential_free(fixture->credential);
        strbuf_done(&fixture->problem);
        (void)snprintf(command, sizeof command, "rm -rf '%s'", fixture->directory);
        int r = system(command);
        free(fixture);
        return r;
}

static void write_bytes(const char *path, const char *text, size_t len, mode_t mode)
{
        FILE *file = fopen(path, "w");

        assert_non_null(file);
        assert_int_equal(fwrite(text, 1, len, file), len);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(chmod(path, mode), 0);
}

static int load_named(struct fixture *fixture, const char *name)
{
        credential_free(fixture->credential);
        fixture->credential = NULL;
        strbuf_done(&fixture->problem);
        return credential_load(name, fixture->config_file, &fixture->credential, &fixture->problem);
}

static int load(struct fixture *fixture, const char *text, mode_t mode)
{
        write_bytes(fixture->file, text, strlen(text), mode);
        return load_named(fixture, "key");
}

static void assert_loaded(const struct fixture *fixture, int r)
{
        if (r < 0)
                fail_msg("refused: %s", fixture->problem.data);
        assert_string_equal(credential_uid(fixture->credential), UID);
        assert_string_equal(credential_apikey(fixture->credential), APIKEY);
        assert_int_equal(fixture->problem.len, 0);
}

/* One line that names the file, says what and how to mend it, and quotes nothing. */
static void assert_refused(const struct fixture *fixture, int r, const char *what)
{
        assert_true(r < 0);
        assert_null(fixture->credential);
        const char *problem = fixture->problem.data;
        assert_non_null(problem);
        assert_ptr_equal(strstr(problem, fixture->file), problem);
        if (!strstr(problem, what) || !strstr(problem, "; "))
                fail_msg("wanted \"%s\" in: %s", what, problem);
        assert_null(strchr(problem, '\n'));
        assert_null(strstr(problem, "canary"));
}

static void a_file_beside_the_configuration_is_read(void **state)
{
        struct fixture *fixture = *state;

        assert_loaded(fixture, load(fixture, GOOD, 0600));
        assert_loaded(fixture, load(fixture, GOOD, 0400));
}

static void the_directory_that_systemd_names_comes_first(void **state)
{
        struct fixture *fixture = *state;
        char path[192];

        assert_true(load(fixture, "apikey = \"other\";", 0600) == 0);
        (void)snprintf(path, sizeof path, "%s/key", fixture->directory);
        write_bytes(path, GOOD, strlen(GOOD), 0440);
        assert_int_equal(setenv("CREDENTIALS_DIRECTORY", fixture->directory, 1), 0);
        assert_loaded(fixture, load_named(fixture, "key"));
        assert_int_equal(chmod(path, 0444), 0);
        assert_true(load_named(fixture, "key") == -EACCES);
        assert_int_equal(setenv("CREDENTIALS_DIRECTORY", "", 1), 0);
        assert_int_equal(load_named(fixture, "key"), 0);
        assert_string_equal(credential_apikey(fixture->credential), "other");
        assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}

static void a_directory_that_systemd_passes_gives_its_files_a_prefix(void **state)
{
        struct fixture *fixture = *state;
        char path[160];

        assert_int_equal(setenv("CREDENTIALS_DIRECTORY", fixture->directory, 1), 0);
        assert_int_equal(load_named(fixture, "key"), -ENOENT);
        assert_non_null(strstr(fixture->problem.data, "/key: systemd has passed no"));
        (void)snprintf(path, sizeof path, "%s/credentials_key", fixture->directory);
        write_bytes(path, GOOD, strlen(GOOD), 0440);
        assert_loaded(fixture, load_named(fixture, "key"));
        (void)snprintf(path, sizeof path, "%s/key", fixture->directory);
        write_bytes(path, "apikey = \"first\";", strlen("apikey = \"first\";"), 0440);
        assert_int_equal(load_named(fixture, "key"), 0);
        assert_string_equal(credential_apikey(fixture->credential), "first");
        assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}

static void the_uid_may_be_left_out_and_the_apikey_may_not(void **state)
{
        struct fixture *fixture = *state;

        assert_int_equal(load(fixture, "apikey = \"" APIKEY "\";", 0600), 0);
        assert_string_equal(credential_uid(fixture->credential), "");
        assert_refused(fixture, load(fixture, "uid = \"canary\";", 0600), "no apikey");
        assert_refused(fixture, load(fixture, "", 0600), "no apikey");
}

static void two_are_equal_in_both_values_or_not_at_all(void **state)
{
        static const char *const others[] = {
                "uid = \"" UID "\"; apikey = \"" APIKEY "x\";",
                "uid = \"u\"; apikey = \"" APIKEY "\";",
                "apikey = \"" APIKEY "\";",
        };
        struct fixture *fixture = *state;

        assert_loaded(fixture, load(fixture, GOOD, 0600));
        struct credential *first = fixture->credential;
        fixture->credential = NULL;
        assert_loaded(fixture, load(fixture, GOOD, 0600));
        assert_true(credential_equal(first, fixture->credential));
        for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
                assert_int_equal(load(fixture, others[i], 0600), 0);
                assert_false(credential_equal(first, fixture->credential));
        }
        assert_false(credential_equal(first, NULL));
        assert_true(credential_equal(NULL, NULL));
        credential_free(first);
}

static void a_file_that_others_can_read_or_write_is_refused_with_the_command_that_mends_it(
        void **state)
{
        static const mode_t open_modes[] = {0644, 0640, 0604, 0620, 0602, 0666};
        struct fixture *fixture = *state;
        char wanted[256];

        for (size_t i = 0; i < sizeof open_modes / sizeof open_modes[0]; i++) {
                (void)snprintf(wanted, sizeof wanted, "(mode %04o); run: chmod 600 %s",
                               (unsigned)open_modes[i], fixture->file);
                assert_refused(fixture, load(fixture, GOOD, open_modes[i]), wanted);
        }
}

static void what_is_no_small_regular_file_is_refused_at_once(void **state)
{
        struct fixture *fixture = *state;
        char large[4098];

        assert_refused(fixture, load_named(fixture, "key"), "does not exist");
        assert_int_equal(mkdir(fixture->file, 0700), 0);
        assert_refused(fixture, load_named(fixture, "key"), "is a directory");
        assert_int_equal(rmdir(fixture->file), 0);
        assert_int_equal(mkfifo(fixture->file, 0600), 0);
        assert_refused(fixture, load_named(fixture, "key"), "no regular file");
        assert_int_equal(unlink(fixture->file), 0);
        memset(large, ' ', sizeof large);
        memcpy(large, GOOD, strlen(GOOD));
        write_bytes(fixture->file, large, 4096, 0600);
        assert_loaded(fixture, load_named(fixture, "key"));
        write_bytes(fixture->file, large, 4097, 0600);
        assert_refused(fixture, load_named(fixture, "key"), "larger than 4 KiB");
}

static void a_symbolic_link_is_followed(void **state)
{
        struct fixture *fixture = *state;
        char target[128];

        (void)snprintf(target, sizeof target, "%s/secret", fixture->directory);
        write_bytes(target, GOOD, strlen(GOOD), 0600);
        assert_int_equal(symlink("../secret", fixture->file), 0);
        assert_loaded(fixture, load_named(fixture, "key"));
}

static void a_name_never_leads_out_of_the_directory(void **state)
{
        static const char *const names[] = {"",      ".",           "..",  "../key",
                                            "a/key", "/etc/passwd", ".key"};
        struct fixture *fixture = *state;

        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
                assert_int_equal(load_named(fixture, names[i]), -EINVAL);
                assert_null(fixture->credential);
                assert_non_null(strstr(fixture->problem.data, "no file name; "));
        }
}

static void a_mistake_in_the_file_is_told_by_line_and_never_quoted(void **state)
{
        static const struct {
                const char *text, *what;
        } bad[] = {
                {"\napikey = canary;", ":2: is not understood"},
                {"apikey = \"canary", "is not understood"},
                {"apikey = \"canary\";\napikey = \"canary\";", ":2: is not understood"},
                {"apikey = \"canary\";\ncanary = 1;", ":2: an unknown key"},
                {"\n\napikey = 12;", ":3: apikey is no text"},
                {"uid = { canary = 1; }; apikey = \"canary\";", ":1: uid is no text"},
                {"apikey = \"\";", "apikey is empty"},
                {"apikey = \"canary canary\";", "visible ASCII"},
                {"apikey = \"canary\\ncanary\";", "visible ASCII"},
                {"apikey = \"canary\\\"\";", "visible ASCII"},
                {"apikey = \"canary\\\\\";", "visible ASCII"},
                {"apikey = \"canary\xc3\xbc\";", "visible ASCII"},
                {"uid = \"canary\\x7f\"; apikey = \"canary\";", "uid holds"},
                {"apikey = \"canary\\x00canary\";", ":1: is not understood"},
                {"apikey = \"can\"\n\"ary\";", ":2: is not understood"},
                {"apikey = 1 \"canary\";", ":1: is not understood"},
                {"apikey = 123canary;", ":1: is not understood"},
                {"\n\"canary\";", ":2: is not understood"},
                {"apikey = \"canary\\q\";", ":1: is not understood"},
                {"@include \"canary\"\n", "@include"},
                {"@include \".\"\n", "@include"},
        };
        struct fixture *fixture = *state;

        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
                assert_refused(fixture, load(fixture, bad[i].text, 0600), bad[i].what);
        write_bytes(fixture->file, "apikey = \"canary\";\0", 19, 0600);
        assert_refused(fixture, load_named(fixture, "key"), "NUL byte");
}

static void a_value_has_at_most_511_bytes(void **state)
{
        struct fixture *fixture = *state;
        char value[CREDENTIAL_VALUE_BYTES_MAX + 1], text[1024];

        memset(value, 'a', sizeof value);
        value[CREDENTIAL_VALUE_BYTES_MAX - 1] = '\0';
        (void)snprintf(text, sizeof text, "apikey = \"%s\";", value);
        assert_int_equal(load(fixture, text, 0600), 0);
        assert_string_equal(credential_apikey(fixture->credential), value);
        value[CREDENTIAL_VALUE_BYTES_MAX - 1] = 'a';
        value[CREDENTIAL_VALUE_BYTES_MAX] = '\0';
        (void)snprintf(text, sizeof text, "apikey = \"%s\";", value);
        assert_refused(fixture, load(fixture, text, 0600), "longer than 511 bytes");
}

/* The flags of the mapping that holds an address, from /proc/self/smaps. The caller frees. */
static char *mapping_flags(const void *address)
{
        FILE *maps = fopen("/proc/self/smaps", "r");
        char line[512], *flags = NULL;
        unsigned long start, end;
        int inside = 0;

        assert_non_null(maps);
        while (!flags && fgets(line, sizeof line, maps)) {
                if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
                        inside = (unsigned long)(uintptr_t)address >= start &&
                                 (unsigned long)(uintptr_t)address < end;
                else if (inside && strncmp(line, "VmFlags:", 8) == 0)
                        flags = strdup(line);
        }
        assert_int_equal(fclose(maps), 0);
        assert_non_null(flags);
        return flags;
}

static void the_values_are_left_out_of_dumps_and_cannot_be_written(void **state)
{
        struct fixture *fixture = *state;

        assert_loaded(fixture, load(fixture, GOOD, 0600));
        char *flags = mapping_flags(credential_apikey(fixture->credential));
        assert_non_null(strstr(flags, " dd"));
        assert_non_null(strstr(flags, " wf"));
        assert_null(strstr(flags, " wr"));
        free(flags);
}

static void a_child_process_does_not_inherit_the_values(void **state)
{
        struct fixture *fixture = *state;
        int status;

        assert_loaded(fixture, load(fixture, GOOD, 0600));
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
                _exit(credential_apikey(fixture->credential)[0] == '\0' ? 0 : 1);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
}

static void assert_redacted(const struct fixture *fixture, const char *text, const char *key_alone,
                            const char *message)
{
        char copy[256];

        (void)snprintf(copy, sizeof copy, "%s", text);
        (void)credential_redact(fixture->credential, NULL, copy, strlen(copy));
        assert_string_equal(copy, key_alone);
        assert_int_equal(credential_occurs(fixture->credential, NULL, text, strlen(text)),
                         strcmp(text, key_alone) != 0);
        (void)snprintf(copy, sizeof copy, "%s", text);
        (void)credential_redact_message(fixture->credential, NULL, copy, strlen(copy));
        assert_string_equal(copy, message);
}

static void the_key_is_overwritten_everywhere_and_the_uid_as_a_word_of_messages(void **state)
{
        static const struct {
                const char *text, *key_alone, *message;
        } cases[] = {
                {"key " APIKEY ", " APIKEY APIKEY,
                 "key ***************, ******************************",
                 "key ***************, ******************************"},
                {"uid 4711 is unknown", "uid 4711 is unknown", "uid **** is unknown"},
                {"4711", "4711", "****"},
                {"(4711), 4711.", "(4711), 4711.", "(****), ****."},
                {"h-47110 x4711 4711_ 4711\xc3\xa9 \xc3\xa9"
                 "4711",
                 NULL, NULL},
                {"user-471 nothing", NULL, NULL},
                {"", NULL, NULL},
        };
        struct fixture *fixture = *state;

        assert_int_equal(load(fixture, "uid = \"4711\"; apikey = \"" APIKEY "\";", 0600), 0);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                const char *text = cases[i].text;
                assert_redacted(fixture, text, cases[i].key_alone ? cases[i].key_alone : text,
                                cases[i].message ? cases[i].message : text);
        }
        assert_int_equal(credential_redact(fixture->credential, NULL, NULL, 0), 0);
        assert_int_equal(credential_redact_message(fixture->credential, NULL, NULL, 0), 0);
}

static void values_that_overlap_in_the_text_leave_no_piece_of_either(void **state)
{
        struct fixture *fixture = *state;
        char text[] = "<abcdefgh>";

        assert_int_equal(load(fixture, "uid = \"ab/cde\"; apikey = \"cde/fgh\";", 0600), 0);
        assert_redacted(fixture, "<ab/cde/fgh>", "<ab/*******>", "<**********>");
        assert_int_equal(load(fixture, "uid = \"abcd\"; apikey = \"x/abcd/x\";", 0600), 0);
        assert_redacted(fixture, "<x/abcd/x>", "<********>", "<********>");
        assert_int_equal(load(fixture, "apikey = \"ababa\";", 0600), 0);
        assert_redacted(fixture, "<ababababa>", "<*********>", "<*********>");
        assert_int_equal(load(fixture, "apikey = \"defgh\";", 0600), 0);
        struct credential *other = fixture->credential;
        fixture->credential = NULL;
        assert_int_equal(load(fixture, "apikey = \"abcde\";", 0600), 0);
        assert_int_equal(credential_redact(fixture->credential, other, text, strlen(text)), 2);
        assert_string_equal(text, "<********>");
        credential_free(other);
}

static void short_values_are_not_searched_for(void **state)
{
        struct fixture *fixture = *state;

        assert_int_equal(load(fixture, "uid = \"abc\"; apikey = \"and\";", 0600), 0);
        assert_redacted(fixture, "abc and abc", "abc and abc", "abc and abc");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        static const struct CMUnitTest tests[] = {
                TEST(a_file_beside_the_configuration_is_read),
                TEST(the_directory_that_systemd_names_comes_first),
                TEST(a_directory_that_systemd_passes_gives_its_files_a_prefix),
                TEST(the_uid_may_be_left_out_and_the_apikey_may_not),
                TEST(two_are_equal_in_both_values_or_not_at_all),
                TEST(a_file_that_others_can_read_or_write_is_refused_with_the_command_that_mends_it),
                TEST(what_is_no_small_regular_file_is_refused_at_once),
                TEST(a_symbolic_link_is_followed),
                TEST(a_name_never_leads_out_of_the_directory),
                TEST(a_mistake_in_the_file_is_told_by_line_and_never_quoted),
                TEST(a_value_has_at_most_511_bytes),
                TEST(the_values_are_left_out_of_dumps_and_cannot_be_written),
                TEST(a_child_process_does_not_inherit_the_values),
                TEST(the_key_is_overwritten_everywhere_and_the_uid_as_a_word_of_messages),
                TEST(values_that_overlap_in_the_text_leave_no_piece_of_either),
                TEST(short_values_are_not_searched_for),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
