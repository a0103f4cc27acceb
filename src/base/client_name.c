/*
 * client_name: see client_name.h.
 */
#include "base/client_name.h"

#include "base/secret.h"

#include <string.h>

const char *plain_name_problem(const char *name)
{
        static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789_.-";

        if (name[0] == '\0')
                return "is empty; write a name";
        if (strlen(name) > CLIENT_NAME_BYTES_MAX)
                return "is too long; write at most 64 characters";
        if (strchr(name, '/'))
                return "is a path; write only the name itself";
        if (name[strspn(name, allowed)] != '\0')
                return "holds a character that is not allowed; write letters, digits, _ . and -";
        if (name[0] == '.')
                return "starts with a dot; write a name that starts otherwise";
        return NULL;
}

_Static_assert(CLIENT_NAME_BYTES_MAX == 64, "the text above says so");

const char *client_name_problem(const char *name)
{
        const char *problem = plain_name_problem(name);

        if (problem)
                return problem;
        if (strcmp(name, CLIENT_NAME_LOCAL) == 0)
                return "is what everyone is called where there are no clients; choose another name";
        if (strncmp(name, SECRET_TOKEN_PREFIX, strlen(SECRET_TOKEN_PREFIX)) == 0)
                return "looks like a token; write a name, and the token's SHA-256 into "
                       "token_sha256 (solvegatectl token hash)";
        return NULL;
}
