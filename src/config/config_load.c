/*
 * config_load: reads a configuration file, see config.h. The text comes from config_source, its
 * grammar from libconfig, its meaning from the table, and what holds between keys from
 * config_check.
 */
#include "config/config.h"

#include "base/file.h"
#include "base/strbuf.h"
#include "config/config_check.h"
#include "config/config_fields.h"
#include "config/config_read.h"
#include "config/config_scan.h"
#include "config/config_source.h"
#include "config/problem.h"

#include <errno.h>
#include <libconfig.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES_MAX 64 /* of a name in a message */

/* libconfig does not say which name it is, nor where the first one stands. */
static int refuse_twice(const struct config_source *source, size_t line)
{
        struct config_scan_twice twice;

        if (config_scan_find_twice(source->text.data, source->text.len, &twice) < 0)
                return config_source_problem(source, line,
                                             "a setting of this name stands above it in the same "
                                             "group; put both into one");
        const struct config_place *first = &source->places[twice.first_line - 1],
                                  *second = &source->places[twice.second_line - 1];
        bool elsewhere = first->file != second->file;
        return config_source_problem(
                source, twice.second_line,
                "\"%.*s\" stands above it in the same group, in line %zu%s%.200s; "
                "put both into one",
                (int)(twice.name_len < NAME_BYTES_MAX ? twice.name_len : NAME_BYTES_MAX),
                twice.name, first->line, elsewhere ? " of " : "",
                elsewhere ? source->files[first->file] : "");
}

/* libconfig has a handful of short texts. What the scan before it did not name ends up here. */
static int refuse_syntax(const struct config_source *source, const config_t *tree)
{
        const char *text = config_error_text(tree);
        size_t line = config_error_line(tree) > 0 ? (size_t)config_error_line(tree) : 0;

        if (text && strcmp(text, "duplicate setting name") == 0)
                return refuse_twice(source, line);
        if (text && strcmp(text, "mismatched element type in array") == 0)
                return config_source_problem(source, line,
                                             "the elements of this array differ in type; write "
                                             "texts only, each in double quotes");
        return config_source_problem(source, line,
                                     "syntax error: this is no setting; write NAME = VALUE; with "
                                     "lists as ( {...}, {...} ) and arrays as [ \"a\", \"b\" ]");
}

/*
 * libconfig sees that a text has ended by the token behind it, and takes the line of that token for
 * the line of an array's or a list's element. Elements come in the order of the text, so they get
 * the lines that the scan counted them in.
 */
static void correct_lines(const struct config_source *source, config_setting_t *setting,
                          size_t *line, size_t *seen)
{
        for (int i = 0; i < config_setting_length(setting); i++) {
                config_setting_t *member = config_setting_get_elem(setting, (unsigned)i);

                if (config_setting_is_aggregate(member))
                        correct_lines(source, member, line, seen);
                if (config_setting_type(member) != CONFIG_TYPE_STRING ||
                    config_setting_is_group(setting))
                        continue;
                while (*line <= source->places_count &&
                       *seen == source->places[*line - 1].elements) {
                        ++*line;
                        *seen = 0;
                }
                member->line = (unsigned)*line;
                ++*seen;
        }
}

/* Puts a relative path behind a directory. The caller frees. */
static int join(const char *directory, const char *path, char **ret_whole)
{
        size_t len = strlen(directory);
        const char *slash = len > 0 && directory[len - 1] == '/' ? "" : "/";

        return asprintf(ret_whole, "%s%s%s", directory, slash, path) < 0 ? -ENOMEM : 0;
}

/* Gives path, which counts from the directory of file, as an absolute one. The caller frees. */
static int make_absolute(const char *file, const char *path, char **ret_absolute)
{
        char *directory = file_directory(file);
        char *from = directory ? realpath(directory, NULL) : NULL;
        int r = from ? 0 : -errno;

        free(directory);
        if (r == 0)
                r = join(from, path, ret_absolute);
        free(from);
        return r;
}

/* systemd gives several directories with a colon between them (systemd.exec(5)): the first. */
static int take_granted_directory(struct config *config)
{
        const char *granted = getenv("STATE_DIRECTORY");
        size_t len = granted ? strcspn(granted, ":") : 0;

        if (len == 0)
                return 0;
        char *copy = strndup(granted, len);
        if (!copy)
                return -ENOMEM;
        free(config->state_directory);
        config->state_directory = copy;
        return 0;
}

/* Makes the path of a setting absolute: a relative one counts from the configuration file. */
static int resolve_path(const struct config_source *source, const config_setting_t *setting,
                        const char *name, char **path)
{
        char *absolute = NULL;

        if ((*path)[0] == '/')
                return 0;
        int r = make_absolute(source->files[0], *path, &absolute);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return config_source_problem(source, setting ? setting->line : 0,
                                             "the directory that %s \"%.200s\" counts from cannot "
                                             "be told (%s); write it from / on",
                                             name, *path, strerrordesc_np(-r));
        free(*path);
        *path = absolute;
        return 0;
}

static int resolve_state_directory(const struct config_source *source, const config_t *tree,
                                   struct config *config)
{
        const config_setting_t *setting = config_lookup(tree, "state_directory");
        int r = setting ? 0 : take_granted_directory(config);

        if (r == 0)
                r = resolve_path(source, setting, "state_directory", &config->state_directory);
        return r;
}

/* The socket's directory, when a service manager has made one for it; likewise. */
static int take_runtime_directory(struct config *config)
{
        const char *granted = getenv("RUNTIME_DIRECTORY");
        size_t len = granted ? strcspn(granted, ":") : 0;
        char *path = NULL;

        if (len == 0)
                return 0;
        if (asprintf(&path, "%.*s/admin.sock", (int)len, granted) < 0)
                return -ENOMEM;
        free(config->admin.socket);
        config->admin.socket = path;
        return 0;
}

static int resolve_socket(const struct config_source *source, const config_t *tree,
                          struct config *config)
{
        const config_setting_t *setting = config_lookup(tree, "admin.socket");
        int r = setting ? 0 : take_runtime_directory(config);

        config->admin.socket_wanted = setting || config_lookup(tree, "admin.socket_mode") ||
                                      config_lookup(tree, "admin.socket_group");
        if (r == 0)
                r = resolve_path(source, setting, "admin.socket", &config->admin.socket);
        return r;
}

static int resolve_tls(const struct config_source *source, const config_t *tree,
                       struct config *config)
{
        const config_setting_t *list = config_lookup(tree, "listen");
        int r = 0;

        for (size_t i = 0; i < config->listen_count && r == 0; i++) {
                struct config_listen *listen = &config->listen[i];
                if (!list || !listen->tls.certificate)
                        continue;
                const config_setting_t *group = config_setting_get_member(
                        config_setting_get_elem(list, (unsigned)i), "tls");
                r = resolve_path(source, config_setting_get_member(group, "certificate"),
                                 "certificate", &listen->tls.certificate);
                if (r == 0)
                        r = resolve_path(source, config_setting_get_member(group, "key"), "key",
                                         &listen->tls.key);
        }
        return r;
}

/* Its path counts from the state directory, which is absolute by now. */
static int resolve_audit(struct config *config)
{
        char *absolute = NULL;

        if (config->audit.file[0] == '/')
                return 0;
        int r = join(config->state_directory, config->audit.file, &absolute);
        if (r < 0)
                return r;
        free(config->audit.file);
        config->audit.file = absolute;
        return 0;
}

static int resolve_paths(const struct config_source *source, const config_t *tree,
                         struct config *config)
{
        int r = resolve_state_directory(source, tree, config);

        if (r == 0)
                r = resolve_socket(source, tree, config);
        if (r == 0)
                r = resolve_tls(source, tree, config);
        if (r == 0)
                r = resolve_audit(config);
        return r;
}

static int read_tree(const struct config_source *source, const config_t *tree,
                     struct config **ret_config)
{
        struct config *config = calloc(1, sizeof *config);
        size_t line = 1, seen = 0;
        int r = -ENOMEM;

        if (!config)
                return r;
        correct_lines(source, config_root_setting(tree), &line, &seen);
        config->file = strdup(source->files[0]);
        if (config->file)
                r = config_read_keys(source, config_keys, config_root_setting(tree), config);
        if (r == 0)
                r = resolve_paths(source, tree, config);
        if (r == 0)
                r = config_check(config, tree, source);
        if (r < 0) {
                config_free(config);
                return r;
        }
        *ret_config = config;
        return 0;
}

int config_load(const char *file, struct config **ret_config, struct strbuf *problem)
{
        struct config_source source;
        config_t tree;

        config_source_init(&source, problem);
        config_init(&tree);
        int r = config_source_read(&source, file);
        if (r == 0) {
                if (config_read_string(&tree, source.text.len > 0 ? source.text.data : ""))
                        r = read_tree(&source, &tree, ret_config);
                else
                        r = refuse_syntax(&source, &tree);
        }
        if (r == -ENOMEM)
                problem_write(problem, file, 0, "no memory to read it; free some and try again");
        config_destroy(&tree);
        config_source_done(&source);
        return r;
}

void config_free(struct config *config)
{
        if (!config)
                return;
        config_free_keys(config_keys, config);
        free(config->file);
        free(config);
}
