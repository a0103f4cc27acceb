/*
 * config_fixture: see config_fixture.h.
 */
#include "config_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int make_directory(void **state)
{
        struct fixture *fixture = calloc(1, sizeof *fixture);

        assert_non_null(fixture);
        strcpy(fixture->directory, "/tmp/test_config.XXXXXX");
        assert_non_null(mkdtemp(fixture->directory));
        (void)snprintf(fixture->file, sizeof fixture->file, "%s/solvegate.conf",
                       fixture->directory);
        strbuf_init(&fixture->problem, 8192);
        *state = fixture;
        return unsetenv("STATE_DIRECTORY");
}

int remove_directory(void **state)
{
        struct fixture *fixture = *state;
        char command[128];

        config_free(fixture->config);
        strbuf_done(&fixture->problem);
        (void)snprintf(command, sizeof command, "rm -rf '%s'", fixture->directory);
        int r = system(command);
        free(fixture);
        return r;
}

void write_file(const struct fixture *fixture, const char *name, const char *text, size_t len)
{
        char path[192];

        (void)snprintf(path, sizeof path, "%s/%s", fixture->directory, name);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(text, 1, len, file), len);
        assert_int_equal(fclose(file), 0);
}

int load_file(struct fixture *fixture, const char *file)
{
        config_free(fixture->config);
        fixture->config = NULL;
        strbuf_done(&fixture->problem);
        return config_load(file, &fixture->config, &fixture->problem);
}

int load(struct fixture *fixture, const char *text)
{
        write_file(fixture, "solvegate.conf", text, strlen(text));
        return load_file(fixture, fixture->file);
}

void assert_loads(struct fixture *fixture, const char *text)
{
        if (load(fixture, text) < 0)
                fail_msg("refused: %s", fixture->problem.data);
        assert_non_null(fixture->config);
        assert_int_equal(fixture->problem.len, 0);
}

void assert_refuses(struct fixture *fixture, const char *text, unsigned line, const char *what,
                    const char *cure)
{
        char place[160];

        assert_true(load(fixture, text) < 0);
        assert_null(fixture->config);
        const char *problem = fixture->problem.data;
        assert_non_null(problem);
        (void)snprintf(place, sizeof place, "%s:%u: ", fixture->file, line);
        if (strncmp(problem, place, strlen(place)) != 0)
                fail_msg("wanted %s, got: %s", place, problem);
        const char *semicolon = strstr(problem, "; ");
        assert_non_null(semicolon);
        if (!strstr(problem, what) || !strstr(semicolon, cure))
                fail_msg("wanted \"%s\" and \"%s\" in: %s", what, cure, problem);
        assert_null(strpbrk(problem, "\n\r\t"));
}
