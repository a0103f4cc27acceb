/*
 * control_problem: see control_problem.h.
 */
#include "ctl/control_problem.h"

#include "ctl/control.h"
#include "ctl/field.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SAY(...) (void)snprintf(text, CONTROL_PROBLEM_BYTES_MAX, __VA_ARGS__)

/* connect(2) says the same of a file that is no socket as of a socket that nobody listens on. */
static void say_nobody_listens(char *text, const char *path)
{
        struct stat status;

        if (stat(path, &status) == 0 && !S_ISSOCK(status.st_mode))
                SAY("%s: is no socket; name the daemon's admin.socket with --socket", path);
        else
                SAY("%s: nobody listens there; solvegate is not running: start it (if it runs as a "
                    "service: systemctl start solvegate)",
                    path);
}

/* To be in its group helps only where its mode lets the group in. */
static void say_not_let_in(char *text, const char *path)
{
        struct stat status;

        if (stat(path, &status) == 0 && !(status.st_mode & S_IWGRP))
                SAY("%s: you may not use this socket; call solvegatectl as its owner or with sudo: "
                    "its mode lets in nobody else (admin.socket_mode \"0660\" lets in the group "
                    "admin.socket_group)",
                    path);
        else
                SAY("%s: you may not use this socket; call solvegatectl as its owner or with sudo, "
                    "or become a member of its group (admin.socket_group)",
                    path);
}

void control_problem_absent(char *text, const char *path, int error)
{
        switch (error) {
        case ENOENT:
        case ENOTDIR:
                SAY("%s: there is no such socket; is solvegate running (if it runs as a service: "
                    "systemctl status solvegate), and is this its admin.socket? else name that one "
                    "with --socket",
                    path);
                return;
        case ECONNREFUSED:
                say_nobody_listens(text, path);
                return;
        case EACCES:
        case EPERM:
                say_not_let_in(text, path);
                return;
        case 0: /* libcurl does not know EAGAIN of connect(2), for which unix(7) has a reason */
        case EAGAIN:
                SAY("%s: too many wait there for the daemon to accept them; it may hang: see its "
                    "log (as a service: journalctl -u solvegate)",
                    path);
                return;
        default:
                SAY("%s: %s; name the daemon's admin.socket with --socket", path, strerror(error));
                return;
        }
}

void control_problem_transfer(char *text, const char *path, int result, long timeout_ms)
{
        switch (result) {
        case CURLE_OPERATION_TIMEDOUT:
                SAY("%s: no answer within %ld s; the daemon may hang: see its log (as a service: "
                    "journalctl -u solvegate)",
                    path, timeout_ms / 1000);
                return;
        case CURLE_GOT_NOTHING:
        case CURLE_RECV_ERROR:
        case CURLE_SEND_ERROR:
        case CURLE_PARTIAL_FILE:
                SAY("%s: the connection ended before the answer was whole; the daemon may have "
                    "stopped, or is overwhelmed: see its log (as a service: "
                    "journalctl -u solvegate)",
                    path);
                return;
        case CURLE_WRITE_ERROR:
                SAY("%s: the answer is too long", path);
                return;
        case CURLE_UNSUPPORTED_PROTOCOL:
        case CURLE_WEIRD_SERVER_REPLY:
                control_problem_foreign(text, path);
                return;
        default:
                SAY("%s: %s", path, curl_easy_strerror((CURLcode)result));
                return;
        }
}

void control_problem_foreign(char *text, const char *path)
{
        SAY("%s: what answers there does not speak as solvegate does; name the daemon's "
            "admin.socket with --socket",
            path);
}

void control_problem_refused(char *text, const struct answer *answer)
{
        const char *message = field_text(answer->object, "message");
        const char *code = field_text(answer->object, "code");

        if (!message)
                SAY("the daemon answered %ld", answer->code);
        else if (code)
                SAY("%s (%s)", message, code);
        else
                SAY("%s", message);
}

void control_problem_memory(char *text)
{
        SAY("no memory");
}
