/*
 * conf_manual: prints solvegate.conf(5), in mdoc(7): the template that is its argument, and in
 * place of its comment KEYS every key of the table (config_keys.c). So the page has each key as the
 * program has it, with nothing to keep in step by hand.
 */
#include "config/config.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES_MAX 128
#define LINE_BYTES_MAX 1024
#define PLACE          ".\\\" KEYS\n"

/* A text of ours, so that roff takes nothing in it for its own. */
static void print_escaped(const char *text)
{
        for (const char *at = text; *at; at++) {
                if (*at == '\\')
                        (void)fputs("\\e", stdout);
                else if (*at == '-')
                        (void)fputs("\\-", stdout); /* as on the keyboard: dates, paths */
                else if (*at == '"')
                        (void)fputs("\\(dq", stdout);
                else if (*at == '\'')
                        (void)fputs("\\(aq", stdout);
                else
                        (void)putchar(*at);
        }
}

/* A line of running text. */
static void print_line(const char *text)
{
        (void)fputs("\\&", stdout); /* a dot at the beginning is no request */
        for (const char *at = text; *at; at++) {
                if (*at == '\\')
                        (void)fputs("\\e", stdout);
                else
                        (void)putchar(*at);
        }
        (void)putchar('\n');
}

/* A value as it would stand in the file, and what follows it: punctuation, or "". */
static void print_value(const char *value, const char *end)
{
        (void)fputs(".Ql \"", stdout);
        print_escaped(value);
        (void)printf("\"%s%s\n", *end ? " " : "", end);
}

/* "One of a, b or c." */
static void print_choices(const char *const *choices, const char *quote)
{
        char value[PATH_BYTES_MAX];

        (void)puts("One of");
        for (size_t i = 0; choices[i]; i++) {
                bool last = !choices[i + 1];
                if (last)
                        (void)puts("or");
                (void)snprintf(value, sizeof value, "%s%s%s", quote, choices[i], quote);
                print_value(value, last ? "." : choices[i + 2] ? "," : "");
        }
}

static void print_bounds(const struct config_key *key, const char *before, const char *after)
{
        if (key->min < key->max)
                (void)printf("%s%.15g to %.15g%s.\n", before, key->min, key->max, after);
        else
                (void)printf("%s%.15g%s.\n", before, key->min, after);
}

/* A sentence on what kind of value it takes. */
static void print_type(const struct config_key *key)
{
        static const char *const truths[] = {"true", "false", NULL};

        switch (key->type) {
        case CONFIG_INT:
                print_bounds(key, "A whole number from ", "");
                break;
        case CONFIG_NUMBER:
                print_bounds(key, "A number from ", "");
                break;
        case CONFIG_BYTES:
                print_bounds(key, "A number of bytes from ", "");
                break;
        case CONFIG_SECONDS:
                print_bounds(key, "Seconds, from ", "");
                break;
        case CONFIG_STRING:
                print_bounds(key, "A text of ", " bytes");
                break;
        case CONFIG_DATE:
                print_bounds(key, "A date of the years ", "");
                break;
        case CONFIG_BOOL:
                print_choices(truths, "");
                break;
        case CONFIG_CHOICE:
                print_choices(key->choices, "\"");
                break;
        case CONFIG_STRINGS:
                print_bounds(key, "An array of ", " texts");
                break;
        case CONFIG_GROUP:
                (void)puts("A group.");
                break;
        case CONFIG_LIST:
                print_bounds(key, "A list of ", key->shorthand ? " texts or groups" : " groups");
                break;
        }
}

static void print_default(const struct config_key *key)
{
        const char *value = key->default_text;

        if (key->type == CONFIG_GROUP && (!value || value[0] != '\0'))
                return; /* its keys have theirs */
        if (!value)
                (void)puts("Required.");
        else if (value[0] == '\0')
                (void)puts("Not set unless written.");
        else {
                (void)puts("Default:");
                print_value(value, ".");
        }
        if (key->example && (!value || value[0] == '\0')) {
                (void)puts("Example:");
                print_value(key->example, ".");
        }
}

/* Lists and groups without a word of their own on it have keys that differ. */
static void print_reload(const struct config_key *key, bool reloads)
{
        if (reloads)
                (void)puts("A reload takes it.");
        else if (!key->keys)
                (void)puts("A change takes a restart.");
        else if (key->type == CONFIG_LIST)
                (void)puts("Another number of groups takes a restart.");
}

static void print_keys(const struct config_key *keys, const char *prefix, bool reloads);

static void print_key(const struct config_key *key, const char *path, bool reloads)
{
        char prefix[PATH_BYTES_MAX + 4];

        (void)fputs(".It Ic ", stdout);
        print_escaped(path);
        (void)putchar('\n');
        print_line(key->help);
        (void)puts(".br");
        print_type(key);
        print_default(key);
        print_reload(key, reloads);
        if (!key->keys)
                return;
        if (key->shorthand)
                (void)printf("A text stands for a group with that\n.Ic %s\nalone.\n",
                             key->shorthand);
        (void)snprintf(prefix, sizeof prefix, "%s%s", path, key->type == CONFIG_LIST ? "[]." : ".");
        print_keys(key->keys, prefix, reloads);
}

static void print_keys(const struct config_key *keys, const char *prefix, bool reloads)
{
        (void)puts(".Bl -tag -width Ds");
        for (const struct config_key *key = keys; key->name; key++) {
                char path[PATH_BYTES_MAX];

                (void)snprintf(path, sizeof path, "%s%s", prefix, key->name);
                print_key(key, path, reloads || key->reloads);
        }
        (void)puts(".El");
}

static int print_page(FILE *template)
{
        char line[LINE_BYTES_MAX];
        int places = 0;

        while (fgets(line, sizeof line, template)) {
                if (strcmp(line, PLACE) == 0) {
                        print_keys(config_keys, "", false);
                        places++;
                } else {
                        (void)fputs(line, stdout);
                }
        }
        return !ferror(template) && places == 1 && fflush(stdout) == 0 ? EXIT_SUCCESS
                                                                       : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
        FILE *template = argc == 2 ? fopen(argv[1], "r") : NULL;
        int status = EXIT_FAILURE;

        if (template) {
                status = print_page(template);
                (void)fclose(template);
        }
        if (status != EXIT_SUCCESS)
                (void)fputs("usage: conf_manual TEMPLATE, which has one comment KEYS\n", stderr);
        return status;
}
