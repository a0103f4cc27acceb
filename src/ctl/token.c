/*
 * token: `token new` and `token hash`. A token is written once, past stdio's buffers, and wiped.
 */
#include "access/token.h"
#include "base/client_name.h"
#include "base/secret.h"
#include "ctl/command.h"
#include "ctl/complain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define NAME_SHOWN_MAX  80
#define TOKEN_CHARS_MIN 27 /* of random base64 are 160 bits */

/* libconfig 1.5 takes no comma behind the last element of a list, so the line has none. */
static void print_hint(const char *name)
{
        (void)fprintf(stderr,
                      "The first line is the token: give it to %s; it is not shown again.\n"
                      "The second one goes into the list `clients` of the configuration, "
                      "clients = ( ... );\nwith commas between its elements; "
                      "then run solvegatectl reload; where listen changes too, restart.\n",
                      name);
}

int command_token_new(const struct arguments *arguments)
{
        const char *name = arguments->items[0], *problem = client_name_problem(name);
        char token[TOKEN_CHARS + 1] = "", hex[TOKEN_HEX_CHARS + 1], text[1024];
        struct token_digest digest;

        if (problem) {
                char shown[NAME_SHOWN_MAX];
                (void)snprintf(shown, sizeof shown, "%s", name);
                secret_mask(shown);
                (void)complain("the name \"%s\" %s", shown, problem);
                return EXIT_USAGE;
        }
        token_new(token);
        int r = token_digest(token, &digest);
        if (r < 0) {
                explicit_bzero(token, sizeof token);
                return complain("%s", strerror(-r));
        }
        token_digest_write(&digest, hex);
        if (arguments->json)
                (void)snprintf(text, sizeof text,
                               "{\"name\":\"%s\",\"token\":\"%s\",\"token_sha256\":\"%s\"}\n", name,
                               token, hex);
        else
                (void)snprintf(text, sizeof text, "%s\n{ name = \"%s\"; token_sha256 = \"%s\"; }\n",
                               token, name, hex);
        int status = write_out(text, strlen(text));
        explicit_bzero(token, sizeof token);
        explicit_bzero(text, sizeof text);
        if (status == EXIT_SUCCESS && !arguments->json)
                print_hint(name);
        return status;
}

/* Reads up to a newline, the end, or until there is no room. Returns how much, or -errno. */
static ssize_t read_line(char *line, size_t size)
{
        size_t len = 0;

        while (len < size && !memchr(line, '\n', len)) {
                ssize_t n = read(STDIN_FILENO, line + len, size - len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                len += (size_t)n;
        }
        return (ssize_t)len;
}

/* The same; from a terminal without showing it, and without signals, which would leave it dumb. */
static ssize_t ask_line(char *line, size_t size)
{
        struct termios shown, hidden;

        if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &shown) < 0)
                return read_line(line, size);
        hidden = shown;
        hidden.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
        if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) < 0)
                return -errno;
        (void)fputs("token: ", stderr);
        ssize_t len = read_line(line, size);
        (void)fputs("\n", stderr);
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
        return len;
}

/* Ends the token at its newline. Returns what is wrong, or NULL. */
static const char *cut_line(char *line, size_t len)
{
        char *newline = memchr(line, '\n', len);

        if (newline && newline + 1 < line + len)
                return "there is more than one line; give one token";
        if (newline)
                len--;
        if (len == 0)
                return "there is no token on standard input";
        if (len > TOKEN_BYTES_MAX)
                return "the token is longer than 512 bytes, which no client may send";
        for (size_t i = 0; i < len; i++)
                if (line[i] <= ' ' || line[i] > '~')
                        return "the token has white space, control or non-ASCII characters, which "
                               "a header field cannot carry";
        line[len] = '\0';
        return NULL;
}

_Static_assert(TOKEN_BYTES_MAX == 512, "the text above says so");

static int print_digest(const struct token_digest *digest, bool json)
{
        char hex[TOKEN_HEX_CHARS + 1], text[TOKEN_HEX_CHARS + 32];

        token_digest_write(digest, hex);
        (void)snprintf(text, sizeof text, json ? "{\"token_sha256\":\"%s\"}\n" : "%s\n", hex);
        return write_out(text, strlen(text));
}

int command_token_hash(const struct arguments *arguments)
{
        char line[TOKEN_BYTES_MAX + 3] = ""; /* one byte and a newline too many are seen */
        struct token_digest digest;
        ssize_t len = ask_line(line, sizeof line - 1);
        const char *problem = len < 0 ? strerror((int)-len) : cut_line(line, (size_t)len);
        size_t chars = problem ? 0 : strlen(line);
        int r = problem ? -EINVAL : token_digest(line, &digest);

        explicit_bzero(line, sizeof line);
        if (r < 0)
                return complain("%s", problem ? problem : strerror(-r));
        if (chars < TOKEN_CHARS_MIN)
                (void)fprintf(stderr,
                              "solvegatectl: warning: %zu characters can be guessed; take at least "
                              "%d random ones (160 bits), as solvegatectl token new does\n",
                              chars, TOKEN_CHARS_MIN);
        return print_digest(&digest, arguments->json);
}
