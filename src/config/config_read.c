/*
 * config_read: see config_read.h.
 *
 * A default goes the same way as a value in the file: its text is parsed and checked by its row.
 */
#include "config/config_read.h"

#include "config/config.h"
#include "config/config_date.h"
#include "config/config_fields.h"
#include "config/config_source.h"
#include "config/config_unknown.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES_MAX    160
#define ELEMENT_BYTES_MAX 1024 /* of a text in an array */
#define CHOICES_BYTES_MAX 200
#define MS_PER_SECOND     1000.0

static int read_setting(const struct config_source *source, const struct config_key *key,
                        const config_setting_t *setting, void *base);
static int read_shorthand(const struct config_source *source, const struct config_key *list,
                          const config_setting_t *element, void *base);

static void *field_of(const struct config_key *key, void *base)
{
        return (char *)base + key->offset;
}

/* Writes where a setting stands, as `upstreams[0].url`. */
static const char *write_path(const config_setting_t *setting, char *ret_path, size_t size)
{
        const config_setting_t *parent = config_setting_parent(setting);

        ret_path[0] = '\0';
        if (!parent)
                return ret_path;
        (void)write_path(parent, ret_path, size);
        size_t len = strlen(ret_path);
        const char *name = config_setting_name(setting);
        if (name)
                (void)snprintf(ret_path + len, size - len, "%s%.64s", len > 0 ? "." : "", name);
        else
                (void)snprintf(ret_path + len, size - len, "[%d]", config_setting_index(setting));
        return ret_path;
}

/* The same, for one message. */
#define PATH(setting) write_path((setting), (char[PATH_BYTES_MAX]){0}, PATH_BYTES_MAX)

static const char *found_text(const config_setting_t *setting)
{
        switch (config_setting_type(setting)) {
        case CONFIG_TYPE_INT:
        case CONFIG_TYPE_INT64:
                return "a whole number";
        case CONFIG_TYPE_FLOAT:
                return "a number with a fraction";
        case CONFIG_TYPE_STRING:
                return "a text";
        case CONFIG_TYPE_BOOL:
                return "a truth value";
        case CONFIG_TYPE_GROUP:
                return "a group";
        case CONFIG_TYPE_ARRAY:
                return "an array";
        case CONFIG_TYPE_LIST:
                return "a list";
        default:
                return "nothing known";
        }
}

static const char *wanted_text(const struct config_key *key)
{
        switch (key->type) {
        case CONFIG_INT:
                return "a whole number";
        case CONFIG_NUMBER:
                return "a number";
        case CONFIG_BYTES:
                return "a whole number of bytes";
        case CONFIG_SECONDS:
                return "a number of seconds";
        case CONFIG_BOOL:
                return "true or false";
        case CONFIG_STRING:
        case CONFIG_CHOICE:
                return "a text in double quotes";
        case CONFIG_DATE:
                return "a date in double quotes";
        case CONFIG_STRINGS:
                return "an array of texts";
        case CONFIG_GROUP:
                return "a group";
        case CONFIG_LIST:
                return key->shorthand ? "an array of texts, or a list of texts and groups,"
                                      : "a list of groups";
        }
        return "";
}

static const char *example_text(const struct config_key *key)
{
        return key->example ? key->example : key->default_text;
}

static int refuse_type(const struct config_source *source, const struct config_key *key,
                       const config_setting_t *setting)
{
        return config_source_problem(
                source, setting->line, "%s is %s, but %s is wanted; write for example %s = %s;",
                PATH(setting), found_text(setting), wanted_text(key), key->name, example_text(key));
}

static int refuse_value(const struct config_source *source, const config_setting_t *setting,
                        const char *problem)
{
        return config_source_problem(source, setting->line, "%s %s", PATH(setting), problem);
}

static int check_bounds(const struct config_source *source, const struct config_key *key,
                        const config_setting_t *setting, double value)
{
        if (value >= key->min && value <= key->max)
                return 0;
        return config_source_problem(
                source, setting->line,
                "%s = %.15g is out of bounds; write a number from %.15g to %.15g", PATH(setting),
                value, key->min, key->max);
}

static int check_count(const struct config_source *source, const struct config_key *key,
                       const config_setting_t *setting, int count)
{
        if (count >= key->min && count <= key->max)
                return 0;
        return config_source_problem(source, setting->line,
                                     "%s has %d elements; write from %.15g to %.15g, for example "
                                     "%s = %s;",
                                     PATH(setting), count, key->min, key->max, key->name,
                                     example_text(key));
}

/* Reads a whole number. libconfig keeps it as int or, written with an L, as long long. */
static int read_whole(const struct config_source *source, const struct config_key *key,
                      const config_setting_t *setting, int64_t *ret_value)
{
        int type = config_setting_type(setting);

        if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64)
                return refuse_type(source, key, setting);
        int64_t value = config_setting_get_int64(setting);
        int r = check_bounds(source, key, setting, (double)value);
        if (r == 0)
                *ret_value = value;
        return r;
}

static int read_int(const struct config_source *source, const struct config_key *key,
                    const config_setting_t *setting, int *ret_value)
{
        int64_t value = 0;
        int r = read_whole(source, key, setting, &value);

        if (r == 0)
                *ret_value = (int)value;
        return r;
}

static int read_number(const struct config_source *source, const struct config_key *key,
                       const config_setting_t *setting, double *ret_value)
{
        double value;

        if (config_setting_type(setting) == CONFIG_TYPE_FLOAT)
                value = config_setting_get_float(setting);
        else if (config_setting_is_number(setting))
                value = (double)config_setting_get_int64(setting);
        else
                return refuse_type(source, key, setting);
        int r = check_bounds(source, key, setting, value);
        if (r == 0)
                *ret_value = value;
        return r;
}

static int read_seconds(const struct config_source *source, const struct config_key *key,
                        const config_setting_t *setting, int64_t *ret_ms)
{
        double seconds = 0;
        int r = read_number(source, key, setting, &seconds);

        if (r == 0)
                *ret_ms = (int64_t)(seconds * MS_PER_SECOND + 0.5); /* no bound is negative */
        return r;
}

static int read_bool(const struct config_source *source, const struct config_key *key,
                     const config_setting_t *setting, bool *ret_value)
{
        if (config_setting_type(setting) != CONFIG_TYPE_BOOL)
                return refuse_type(source, key, setting);
        *ret_value = config_setting_get_bool(setting) != 0;
        return 0;
}

static bool has_control(const char *text)
{
        for (; *text; text++)
                if ((unsigned char)*text < 0x20 || *text == 0x7f)
                        return true;
        return false;
}

static int copy_text(const struct config_source *source, const config_setting_t *setting,
                     char **ret_text)
{
        const char *text = config_setting_get_string(setting);

        if (has_control(text))
                return refuse_value(source, setting,
                                    "holds a control character; write printable text on one line");
        char *copy = strdup(text);
        if (!copy)
                return -ENOMEM;
        *ret_text = copy;
        return 0;
}

static int refuse_length(const struct config_source *source, const struct config_key *key,
                         const config_setting_t *setting, size_t len)
{
        if (key->length_cure)
                return config_source_problem(source, setting->line, "%s has %zu bytes; %s",
                                             PATH(setting), len, key->length_cure);
        return config_source_problem(source, setting->line,
                                     "%s has %zu bytes; write a text of %.15g to %.15g bytes",
                                     PATH(setting), len, key->min, key->max);
}

static int read_string(const struct config_source *source, const struct config_key *key,
                       const config_setting_t *setting, char **ret_text)
{
        if (config_setting_type(setting) != CONFIG_TYPE_STRING)
                return refuse_type(source, key, setting);
        size_t len = strlen(config_setting_get_string(setting));
        if ((double)len < key->min || (double)len > key->max)
                return refuse_length(source, key, setting, len);
        return copy_text(source, setting, ret_text);
}

static int read_date(const struct config_source *source, const struct config_key *key,
                     const config_setting_t *setting, int64_t *ret_end_ms)
{
        int64_t end_ms = 0;
        int year = 0;

        if (config_setting_type(setting) != CONFIG_TYPE_STRING)
                return refuse_type(source, key, setting);
        const char *text = config_setting_get_string(setting);
        if (config_date_end(text, &year, &end_ms) == 0 && year >= key->min && year <= key->max) {
                *ret_end_ms = end_ms;
                return 0;
        }
        return config_source_problem(source, setting->line,
                                     "%s = \"%.40s\" is no day from %.15g to %.15g; write year, "
                                     "month and day as in %s",
                                     PATH(setting), text, key->min, key->max, example_text(key));
}

static int read_choice(const struct config_source *source, const struct config_key *key,
                       const config_setting_t *setting, int *ret_index)
{
        char choices[CHOICES_BYTES_MAX] = "";

        if (config_setting_type(setting) != CONFIG_TYPE_STRING)
                return refuse_type(source, key, setting);
        const char *text = config_setting_get_string(setting);
        for (int i = 0; key->choices[i]; i++) {
                if (strcmp(key->choices[i], text) == 0) {
                        *ret_index = i;
                        return 0;
                }
                size_t len = strlen(choices);
                (void)snprintf(choices + len, sizeof choices - len, "%s\"%s\"", i > 0 ? ", " : "",
                               key->choices[i]);
        }
        return config_source_problem(source, setting->line,
                                     "%s = \"%.80s\" is not known; write one of %s", PATH(setting),
                                     text, choices);
}

static int read_strings(const struct config_source *source, const struct config_key *key,
                        const config_setting_t *setting, struct config_strings *ret)
{
        if (!config_setting_is_array(setting) && !config_setting_is_list(setting))
                return refuse_type(source, key, setting);
        int count = config_setting_length(setting);
        int r = check_count(source, key, setting, count);
        if (r < 0 || count == 0)
                return r;
        ret->items = calloc((size_t)count, sizeof *ret->items);
        if (!ret->items)
                return -ENOMEM;
        ret->count = (size_t)count;
        for (int i = 0; i < count && r == 0; i++) {
                const config_setting_t *element = config_setting_get_elem(setting, (unsigned)i);
                if (config_setting_type(element) != CONFIG_TYPE_STRING)
                        return refuse_type(source, key, element);
                if (strlen(config_setting_get_string(element)) > ELEMENT_BYTES_MAX)
                        return refuse_value(source, element,
                                            "is longer than 1024 bytes; shorten it");
                r = copy_text(source, element, &ret->items[i]);
        }
        return r;
}

static int read_element(const struct config_source *source, const struct config_key *list,
                        const config_setting_t *element, void *base)
{
        if (config_setting_is_group(element))
                return config_read_keys(source, list->keys, element, base);
        if (list->shorthand && config_setting_type(element) == CONFIG_TYPE_STRING)
                return read_shorthand(source, list, element, base);
        return refuse_type(source, list, element);
}

static int read_list(const struct config_source *source, const struct config_key *key,
                     const config_setting_t *setting, void *field)
{
        if (!config_setting_is_list(setting) &&
            !(key->shorthand && config_setting_is_array(setting)))
                return refuse_type(source, key, setting);
        int count = config_setting_length(setting);
        int r = check_count(source, key, setting, count);
        if (r < 0 || count == 0)
                return r;
        char *items = calloc((size_t)count, key->element_bytes);
        if (!items)
                return -ENOMEM;
        config_list_store(field, items, (size_t)count);
        for (int i = 0; i < count && r == 0; i++) {
                const config_setting_t *element = config_setting_get_elem(setting, (unsigned)i);
                r = read_element(source, key, element, items + (size_t)i * key->element_bytes);
        }
        return r;
}

static int read_group(const struct config_source *source, const struct config_key *key,
                      const config_setting_t *setting, void *base)
{
        if (!config_setting_is_group(setting))
                return refuse_type(source, key, setting);
        return config_read_keys(source, key->keys, setting, base);
}

static int read_setting(const struct config_source *source, const struct config_key *key,
                        const config_setting_t *setting, void *base)
{
        void *field = field_of(key, base);

        switch (key->type) {
        case CONFIG_INT:
                return read_int(source, key, setting, field);
        case CONFIG_NUMBER:
                return read_number(source, key, setting, field);
        case CONFIG_BYTES:
                return read_whole(source, key, setting, field);
        case CONFIG_SECONDS:
                return read_seconds(source, key, setting, field);
        case CONFIG_BOOL:
                return read_bool(source, key, setting, field);
        case CONFIG_STRING:
                return read_string(source, key, setting, field);
        case CONFIG_DATE:
                return read_date(source, key, setting, field);
        case CONFIG_CHOICE:
                return read_choice(source, key, setting, field);
        case CONFIG_STRINGS:
                return read_strings(source, key, setting, field);
        case CONFIG_GROUP:
                return read_group(source, key, setting, base);
        case CONFIG_LIST:
                return read_list(source, key, setting, field);
        }
        return -EINVAL;
}

static int refuse_missing(const struct config_source *source, const struct config_key *key,
                          const config_setting_t *group)
{
        char path[PATH_BYTES_MAX];

        write_path(group, path, sizeof path);
        return config_source_problem(source, group->line, "%s has no \"%s\"; add %s = %s;",
                                     path[0] ? path : "the configuration", key->name, key->name,
                                     example_text(key));
}

static int read_default(const struct config_source *source, const struct config_key *key,
                        const config_setting_t *group, void *base)
{
        char *text;
        config_t tree;

        if (!key->default_text)
                return refuse_missing(source, key, group);
        if (key->default_text[0] == '\0')
                return 0;
        if (asprintf(&text, "%s = %s;", key->name, key->default_text) < 0)
                return -ENOMEM;
        config_init(&tree);
        int r = -EINVAL;
        if (config_read_string(&tree, text) == CONFIG_TRUE)
                r = read_setting(source, key, config_setting_get_elem(tree.root, 0), base);
        config_destroy(&tree);
        free(text);
        return r;
}

/* An element that is a text: a group with that one key. */
static int read_shorthand(const struct config_source *source, const struct config_key *list,
                          const config_setting_t *element, void *base)
{
        int r = 0;

        for (const struct config_key *key = list->keys; key->name && r == 0; key++)
                r = strcmp(key->name, list->shorthand) == 0
                            ? read_setting(source, key, element, base)
                            : read_default(source, key, element, base);
        return r;
}

static int check_known(const struct config_source *source, const struct config_key *keys,
                       const config_setting_t *group)
{
        for (int i = 0; i < config_setting_length(group); i++) {
                const config_setting_t *member = config_setting_get_elem(group, (unsigned)i);
                const struct config_key *key = keys;
                char path[PATH_BYTES_MAX], advice[CONFIG_ADVICE_BYTES_MAX];

                while (key->name && strcmp(key->name, config_setting_name(member)) != 0)
                        key++;
                if (key->name)
                        continue;
                write_path(group, path, sizeof path);
                config_unknown_advice(keys, config_setting_name(member), advice);
                return config_source_problem(source, member->line, "unknown key \"%.64s\" %s%s; %s",
                                             config_setting_name(member),
                                             path[0] ? "in " : "at the top level", path, advice);
        }
        return 0;
}

int config_read_keys(const struct config_source *source, const struct config_key *keys,
                     const config_setting_t *group, void *base)
{
        int r = check_known(source, keys, group);

        for (const struct config_key *key = keys; key->name && r == 0; key++) {
                const config_setting_t *setting = config_setting_get_member(group, key->name);
                r = setting ? read_setting(source, key, setting, base)
                            : read_default(source, key, group, base);
        }
        return r;
}
