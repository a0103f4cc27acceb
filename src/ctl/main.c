/*
 * main: solvegatectl, the operator's tool. The commands there are need no running daemon.
 */
#include "ctl/command.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static const struct command {
        const char *group, *name;
        const char *arguments; /* for people */
        int least, most;       /* how many */
        int (*run)(const struct arguments *arguments);
        const char *help;
} commands[] = {
        {"token", "new", "NAME", 1, 1, token_command_new, "make a token for the client NAME"},
        {"token", "hash", "", 0, 0, token_command_hash,
         "read a token from standard input, print its SHA-256"},
        {"audit", "verify", "[FILE...]", 0, INT_MAX, audit_command_verify,
         "verify audit files as one chain, the oldest first"},
};

#define COMMANDS (sizeof commands / sizeof commands[0])

static void print_usage(FILE *file)
{
        (void)fputs("usage: solvegatectl [--json] COMMAND\n\n", file);
        for (size_t i = 0; i < COMMANDS; i++) {
                char text[64];
                (void)snprintf(text, sizeof text, "%s %s %s", commands[i].group, commands[i].name,
                               commands[i].arguments);
                (void)fprintf(file, "  %-24s  %s\n", text, commands[i].help);
        }
        (void)fputs("\n"
                    "  -j, --json     print one JSON object\n"
                    "  -V, --version  print the version and exit\n"
                    "  -h, --help     print this and exit\n"
                    "\n"
                    "FILE is $STATE_DIRECTORY/audit.jsonl, or /var/lib/solvegate/audit.jsonl, if "
                    "none is\nnamed; - is standard input. Exit status: 1 a fault was found, or a "
                    "failure; 2 wrong usage.\n",
                    file);
}

static const struct command *find_command(const char *group, const char *name)
{
        for (size_t i = 0; i < COMMANDS; i++)
                if (strcmp(commands[i].group, group) == 0 && strcmp(commands[i].name, name) == 0)
                        return &commands[i];
        return NULL;
}

static void print_command(FILE *file, const struct command *command)
{
        (void)fprintf(file, "solvegatectl %s %s%s%s", command->group, command->name,
                      command->arguments[0] != '\0' ? " " : "", command->arguments);
}

/* Says how the commands of a group are written. Returns whether there is such a group. */
static bool explain_group(const char *group)
{
        bool found = false;

        for (size_t i = 0; i < COMMANDS; i++) {
                if (strcmp(commands[i].group, group) != 0)
                        continue;
                (void)fputs(found ? ", or " : "solvegatectl: write: ", stderr);
                print_command(stderr, &commands[i]);
                found = true;
        }
        if (found)
                (void)fputs("\n", stderr);
        return found;
}

static int refuse_command(int count, char *const *words)
{
        if (count == 0)
                (void)fputs("solvegatectl: no command", stderr);
        else
                (void)fprintf(stderr, "solvegatectl: no command is named \"%.80s%s%.80s\"",
                              words[0], count > 1 ? " " : "", count > 1 ? words[1] : "");
        for (size_t i = 0; i < COMMANDS; i++)
                (void)fprintf(stderr, "%s %s %s", i == 0 ? "; there are:" : ",", commands[i].group,
                              commands[i].name);
        (void)fputs("; see solvegatectl --help\n", stderr);
        return EXIT_USAGE;
}

static int run_command(int count, char *const *words, bool json)
{
        const struct command *command = count >= 2 ? find_command(words[0], words[1]) : NULL;

        if (count == 1 && explain_group(words[0]))
                return EXIT_USAGE;
        if (!command)
                return refuse_command(count, words);
        struct arguments arguments = {.json = json, .count = count - 2, .items = words + 2};
        if (arguments.count < command->least || arguments.count > command->most) {
                (void)fputs("solvegatectl: write: ", stderr);
                print_command(stderr, command);
                (void)fputs("\n", stderr);
                return EXIT_USAGE;
        }
        return command->run(&arguments);
}

/* A token is in memory for a moment. */
static void protect_secrets(void)
{
        (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0});
/* A leak checker attaches to its own process, which this would forbid. */
#ifndef __SANITIZE_ADDRESS__
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

/* What was printed may be in a buffer until now. */
static int finish_printing(void)
{
        if (fflush(stdout) == 0 && !ferror(stdout))
                return EXIT_SUCCESS;
        (void)fprintf(stderr, "solvegatectl: standard output: %s\n", strerror(errno));
        return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
        static const struct option long_options[] = {
                {"json", no_argument, NULL, 'j'},
                {"version", no_argument, NULL, 'V'},
                {"help", no_argument, NULL, 'h'},
                {NULL, 0, NULL, 0},
        };
        bool json = false;
        int option;

        protect_secrets();
        while ((option = getopt_long(argc, argv, "jVh", long_options, NULL)) != -1) {
                switch (option) {
                case 'j':
                        json = true;
                        break;
                case 'V':
                        (void)puts("solvegatectl " SOLVEGATE_VERSION);
                        return finish_printing();
                case 'h':
                        print_usage(stdout);
                        return finish_printing();
                default: /* getopt has said what is wrong */
                        (void)fputs("solvegatectl: see solvegatectl --help\n", stderr);
                        return EXIT_USAGE;
                }
        }
        return run_command(argc - optind, argv + optind, json);
}
