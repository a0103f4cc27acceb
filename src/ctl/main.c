/*
 * main: solvegatectl, the operator's tool.
 */
#include "base/standard_fds.h"
#include "ctl/command.h"
#include "ctl/complain.h"
#include "ctl/control.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/un.h>

#define JOBS_MAX 1000

static const struct command {
        const char *name, *second; /* one word, or two */
        const char *arguments;     /* for people */
        int least, most;           /* how many */
        int (*run)(const struct arguments *arguments);
        const char *help;
} commands[] = {
        {"status", NULL, "", 0, 0, command_operate, "whether all is well, and what is going on"},
        {"top", NULL, "", 0, 0, command_top, "the same each second, until q"},
        {"jobs", NULL, "", 0, 0, command_operate,
         "the jobs that are not finished, the oldest first"},
        {"job", NULL, "ID", 1, 1, command_operate, "one job"},
        {"cancel", NULL, "ID", 1, 1, command_operate, "cancel a job that was not sent"},
        {"clients", NULL, "", 0, 0, command_operate, "the clients, their limits and their work"},
        {"usage", NULL, "", 0, 0, command_operate, "what each client has used and was charged"},
        {"upstreams", NULL, "", 0, 0, command_operate, "the accounts at upstreams"},
        {"balance", NULL, "", 0, 0, command_operate, "what the upstreams last said of them"},
        {"drain", NULL, "", 0, 0, command_operate, "take no more jobs"},
        {"resume", NULL, "", 0, 0, command_operate, "take jobs again"},
        {"reload", NULL, "", 0, 0, command_operate, "read the configuration and credentials again"},
        {"token", "new", "NAME", 1, 1, command_token_new, "make a token for the client NAME"},
        {"token", "hash", "", 0, 0, command_token_hash,
         "read a token from standard input, print its SHA-256"},
        {"audit", "verify", "[FILE...]", 0, INT_MAX, command_audit_verify,
         "verify audit files as one chain, the oldest first"},
};

#define COMMANDS (sizeof commands / sizeof commands[0])

/* As it is written, "token new NAME". */
static void write_command(const struct command *command, char *text, size_t size)
{
        (void)snprintf(text, size, "%s%s%s%s%s", command->name, command->second ? " " : "",
                       command->second ? command->second : "",
                       command->arguments[0] != '\0' ? " " : "", command->arguments);
}

static void print_usage(FILE *file)
{
        (void)fputs("usage: solvegatectl [--socket PATH] [--json] COMMAND\n\n", file);
        for (size_t i = 0; i < COMMANDS; i++) {
                char text[64];
                write_command(&commands[i], text, sizeof text);
                (void)fprintf(file, "  %-24s  %s\n", text, commands[i].help);
        }
        (void)fputs("\n"
                    "  -s, --socket PATH   the daemon's admin.socket; default: $SOLVEGATE_SOCKET,\n"
                    "                      or " CONTROL_SOCKET_DEFAULT "\n"
                    "  -j, --json          print one JSON object\n"
                    "      --client NAME   with jobs: only those of the client\n"
                    "      --state STATE   with jobs: only those in the state, such as queued\n"
                    "      --limit N       with jobs: at most so many, 1 to 1000; 100 unless said\n"
                    "  -V, --version       print the version and exit\n"
                    "  -h, --help          print this and exit\n"
                    "\n"
                    "FILE is $STATE_DIRECTORY/audit.jsonl, or /var/lib/solvegate/audit.jsonl, if "
                    "none is\nnamed; - is standard input. Exit status: 1 the daemon said no, a "
                    "fault was found, or\na failure; 2 wrong usage; 3 no daemon can be reached. "
                    "See solvegatectl(1).\n",
                    file);
}

static const struct command *find_command(int count, char *const *words)
{
        for (size_t i = 0; i < COMMANDS; i++) {
                const struct command *command = &commands[i];
                if (count > 0 && strcmp(command->name, words[0]) == 0 &&
                    (!command->second || (count > 1 && strcmp(command->second, words[1]) == 0)))
                        return command;
        }
        return NULL;
}

/* Says how a command is written; without one, those of two words with this first one, if there are
 * any. */
static int refuse_usage(const struct command *command, const char *name)
{
        char text[256], one[64];
        size_t len = 0;

        for (size_t i = 0; i < COMMANDS && len < sizeof text; i++) {
                if (command ? command != &commands[i]
                            : !commands[i].second || strcmp(commands[i].name, name) != 0)
                        continue;
                write_command(&commands[i], one, sizeof one);
                len += (size_t)snprintf(text + len, sizeof text - len, "%ssolvegatectl %s",
                                        len > 0 ? ", or " : "", one);
        }
        if (len == 0)
                return 0;
        (void)complain("write: %s", text);
        return EXIT_USAGE;
}

static int refuse_command(int count, char *const *words)
{
        char text[1024];
        size_t len = 0;

        for (size_t i = 0; i < COMMANDS && len < sizeof text; i++)
                len += (size_t)snprintf(text + len, sizeof text - len, "%s%s%s%s",
                                        len > 0 ? ", " : "", commands[i].name,
                                        commands[i].second ? " " : "",
                                        commands[i].second ? commands[i].second : "");
        if (count == 0)
                (void)complain("no command; there are: %s; see solvegatectl --help", text);
        else
                (void)complain("no command is named \"%.80s%s%.80s\"; there are: %s; see "
                               "solvegatectl --help",
                               words[0], count > 1 ? " " : "", count > 1 ? words[1] : "", text);
        return EXIT_USAGE;
}

static const char *limit_problem(const char *limit)
{
        char *end = NULL;
        long number = limit ? strtol(limit, &end, 10) : 1;

        if (limit &&
            (strspn(limit, "0123456789") == 0 || *end != '\0' || number < 1 || number > JOBS_MAX))
                return "--limit takes a number from 1 to 1000";
        return NULL;
}

_Static_assert(JOBS_MAX == 1000, "the texts above say so");

/* What is wrong with the options, for this command; or NULL. */
static const char *options_problem(const struct command *command, const struct arguments *arguments)
{
        if (arguments->socket[0] == '\0')
                return "--socket takes the path of a socket";
        if (strlen(arguments->socket) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
                return "the path of a socket has at most 107 bytes (unix(7))";
        if ((arguments->client || arguments->state || arguments->limit) &&
            strcmp(command->name, "jobs") != 0)
                return "--client, --state and --limit go with jobs only";
        return limit_problem(arguments->limit);
}

static int run_command(int count, char *const *words, const struct arguments *options)
{
        const struct command *command = find_command(count, words);
        struct arguments arguments = *options;

        if (!command && count == 1 && refuse_usage(NULL, words[0]) != 0)
                return EXIT_USAGE;
        if (!command)
                return refuse_command(count, words);
        arguments.command = command->name;
        arguments.count = count - (command->second ? 2 : 1);
        arguments.items = words + (command->second ? 2 : 1);
        if (arguments.count < command->least || arguments.count > command->most)
                return refuse_usage(command, command->name);
        const char *problem = options_problem(command, &arguments);
        if (problem) {
                (void)complain("%s", problem);
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
        return complain("standard output: %s", strerror(errno));
}

static const char *default_socket(void)
{
        const char *path = getenv("SOLVEGATE_SOCKET");

        return path && path[0] != '\0' ? path : CONTROL_SOCKET_DEFAULT;
}

/* Reads the options. Returns -1, or the exit status of what an option has asked for. */
static int read_options(int argc, char **argv, struct arguments *arguments)
{
        enum { OPTION_CLIENT = 256, OPTION_STATE, OPTION_LIMIT };
        static const struct option long_options[] = {
                {"socket", required_argument, NULL, 's'},
                {"json", no_argument, NULL, 'j'},
                {"client", required_argument, NULL, OPTION_CLIENT},
                {"state", required_argument, NULL, OPTION_STATE},
                {"limit", required_argument, NULL, OPTION_LIMIT},
                {"version", no_argument, NULL, 'V'},
                {"help", no_argument, NULL, 'h'},
                {NULL, 0, NULL, 0},
        };
        int option;

        while ((option = getopt_long(argc, argv, "s:jVh", long_options, NULL)) != -1) {
                switch (option) {
                case 's':
                        arguments->socket = optarg;
                        break;
                case 'j':
                        arguments->json = true;
                        break;
                case OPTION_CLIENT:
                        arguments->client = optarg;
                        break;
                case OPTION_STATE:
                        arguments->state = optarg;
                        break;
                case OPTION_LIMIT:
                        arguments->limit = optarg;
                        break;
                case 'V':
                        (void)puts("solvegatectl " SOLVEGATE_VERSION);
                        return finish_printing();
                case 'h':
                        print_usage(stdout);
                        return finish_printing();
                default: /* getopt has said what is wrong */
                        (void)complain("see solvegatectl --help");
                        return EXIT_USAGE;
                }
        }
        return -1;
}

int main(int argc, char **argv)
{
        struct arguments arguments = {.socket = default_socket()};

        if (standard_fds_take() < 0)
                return EXIT_FAILURE;
        protect_secrets();
        (void)setlocale(LC_CTYPE, "");
        int status = read_options(argc, argv, &arguments);
        if (status < 0)
                status = run_command(argc - optind, argv + optind, &arguments);
        return status;
}
