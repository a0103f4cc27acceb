/*
 * site_pattern: see site_pattern.h.
 */
#include "config/site_pattern.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define HOST_BYTES_MAX  253
#define LABEL_BYTES_MAX 63

static bool is_ipv4(const char *text)
{
        struct in_addr address;

        return inet_pton(AF_INET, text, &address) == 1;
}

static const char *bracketed_problem(const char *host)
{
        char inside[INET6_ADDRSTRLEN];
        struct in6_addr address;
        size_t len = strlen(host);

        if (len > 2 && len - 2 < sizeof inside && host[len - 1] == ']') {
                memcpy(inside, host + 1, len - 2);
                inside[len - 2] = '\0';
                if (inet_pton(AF_INET6, inside, &address) == 1)
                        return NULL;
        }
        return "is no IPv6 address in brackets; write one such as [2001:db8::1], without a port";
}

/* What people write instead of a bare host, each with its own cure. */
static const char *decoration_problem(const char *text)
{
        for (const char *c = text; *c; c++) {
                if ((unsigned char)*c >= 0x80)
                        return "is not ASCII; write it in Punycode (xn--...)";
                if (isspace((unsigned char)*c))
                        return "holds white space; write each host as a text of its own";
        }
        if (strstr(text, "://"))
                return "holds a scheme; write only the host name";
        if (strchr(text, '/'))
                return "holds a path; write only the host name";
        if (strchr(text, '@'))
                return "holds user information; write only the host name";
        if (text[0] != '[' && strchr(text, ':')) {
                if (strchr(text, ':') != strrchr(text, ':'))
                        return "holds colons; write an IPv6 address in square brackets";
                return "holds a port; write only the host name";
        }
        return NULL;
}

static const char *label_problem(const char *label, size_t len)
{
        if (len == 0)
                return "has an empty label; write one dot between two labels and none in front";
        if (len > LABEL_BYTES_MAX)
                return "has a label of more than 63 bytes; shorten it";
        if (label[0] == '-' || label[len - 1] == '-')
                return "has a label that starts or ends with a hyphen; remove the hyphen";
        for (size_t i = 0; i < len; i++)
                if (!isalnum((unsigned char)label[i]) && label[i] != '-' && label[i] != '_')
                        return "holds a character that no host name has; write letters, digits, "
                               "hyphens and dots";
        return NULL;
}

/* Tells whether a label is a decimal or hexadecimal number. */
static bool is_number(const char *label)
{
        const char *digits = "0123456789";

        if (label[0] == '0' && (label[1] == 'x' || label[1] == 'X')) {
                digits = "0123456789abcdefABCDEF";
                label += 2;
        }
        return label[strspn(label, digits)] == '\0';
}

static const char *name_problem(const char *name)
{
        const char *label = name, *dot;
        size_t len = strlen(name);

        if (len > 0 && name[len - 1] == '.')
                return "ends with a dot; remove the dot";
        if (len > HOST_BYTES_MAX)
                return "is longer than the 253 bytes of a host name; shorten it";
        for (;;) {
                dot = strchrnul(label, '.');
                const char *problem = label_problem(label, (size_t)(dot - label));
                if (problem)
                        return problem;
                if (*dot == '\0')
                        break;
                label = dot + 1;
        }
        /*
         * Some parsers read any name that ends in a number as an IPv4 address, others do not (URL
         * Standard, "ends in a number checker").
         */
        if (is_number(label) && !is_ipv4(name))
                return "ends in a number but is no IPv4 address; write one such as 192.0.2.1";
        return NULL;
}

const char *site_pattern_host_problem(const char *host)
{
        if (host[0] == '\0')
                return "is empty; write a host name such as www.example.com";
        const char *problem = decoration_problem(host);
        if (problem)
                return problem;
        if (strchr(host, '*'))
                return "holds a *; write one whole host name";
        return host[0] == '[' ? bracketed_problem(host) : name_problem(host);
}

const char *site_pattern_problem(const char *pattern)
{
        if (strcmp(pattern, "*") == 0)
                return NULL;
        if (strncmp(pattern, "*.", 2) != 0) {
                const char *problem = decoration_problem(pattern);
                if (!problem && strchr(pattern, '*'))
                        return "has a * that is not its first label; write *. and a suffix such as "
                               "*.example.com, or * alone";
                return problem ? problem : site_pattern_host_problem(pattern);
        }
        const char *suffix = pattern + 2;
        if (suffix[0] == '\0')
                return "has nothing behind *.; write a suffix such as *.example.com";
        if (strchr(suffix, '*'))
                return "has a second *; write *. and a suffix such as *.example.com";
        if (suffix[0] == '[' || is_ipv4(suffix))
                return "asks for names below an address; write the address without *.";
        return site_pattern_host_problem(suffix);
}
