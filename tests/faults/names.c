/*
 * names: resolves one name to the address in a file, for tests of what happens when DNS changes.
 * Preloaded into the daemon.
 *
 * $NAMES_FILE has a line "NAME ADDRESS", which the test replaces at any time. Other names are
 * resolved as ever.
 *
 * Thread: any.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int getaddrinfo_fn(const char *, const char *, const struct addrinfo *, struct addrinfo **);

/* Reads the address of a name. Returns 0, or -1 where the file does not have the name. */
static int read_address(const char *name, char ret_address[static 64])
{
        char line[256], known[128];
        const char *path = getenv("NAMES_FILE");
        FILE *file = path ? fopen(path, "re") : NULL;
        int found = -1;

        if (!file)
                return -1;
        if (fgets(line, sizeof line, file) && sscanf(line, "%127s %63s", known, ret_address) == 2 &&
            strcmp(known, name) == 0)
                found = 0;
        (void)fclose(file);
        return found;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_list)
{
        char address[64];
        getaddrinfo_fn *real;
        void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");

        /* dlsym() gives a pointer that C cannot convert. */
        memcpy(&real, &symbol, sizeof symbol);
        if (name && read_address(name, address) == 0)
                name = address;
        return real(name, service, hints, ret_list);
}
