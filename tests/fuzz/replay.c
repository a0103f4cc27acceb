/*
 * replay: runs a fuzz target over files instead of libFuzzer, so that every build (gcc, sanitizers,
 * valgrind) repeats the corpus without clang.
 *
 * usage: PROGRAM [FILE|DIRECTORY...]
 *
 * Without an argument it reads the directories that it was built with (FUZZ_CORPUS, below
 * $SOLVEGATE_SOURCE or the working directory). Reports in TAP, one line for all files.
 */
#include "fuzz.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_BYTES_MAX (1024 * 1024)

static size_t files;

static void replay_file(const char *path)
{
        FILE *file = fopen(path, "rb");
        uint8_t *bytes = malloc(FILE_BYTES_MAX);

        CHECK(file && bytes);
        size_t size = fread(bytes, 1, FILE_BYTES_MAX, file);
        CHECK(ferror(file) == 0 && size < FILE_BYTES_MAX);
        (void)fclose(file);
        /* After a crash, the last line names the file. */
        (void)printf("# %s\n", path);
        (void)fflush(stdout);
        uint8_t *exact = (uint8_t *)fuzz_copy(bytes, size);
        free(bytes);
        (void)LLVMFuzzerTestOneInput(exact, size);
        free(exact);
        files++;
}

static void replay(const char *path)
{
        struct dirent **entries;
        struct stat status;
        char inner[PATH_MAX];

        CHECK(stat(path, &status) == 0);
        if (!S_ISDIR(status.st_mode)) {
                replay_file(path);
                return;
        }
        int count = scandir(path, &entries, NULL, alphasort);
        CHECK(count >= 0);
        for (int i = 0; i < count; i++) {
                int len = snprintf(inner, sizeof inner, "%s/%s", path, entries[i]->d_name);
                CHECK(len > 0 && (size_t)len < sizeof inner);
                if (entries[i]->d_name[0] != '.')
                        replay_file(inner);
                free(entries[i]);
        }
        free(entries);
}

int main(int argc, char **argv)
{
        static const char *const corpus[] = {FUZZ_CORPUS};
        const char *source = getenv("SOLVEGATE_SOURCE");
        char path[PATH_MAX];

        for (int i = 1; i < argc; i++)
                replay(argv[i]);
        for (size_t i = 0; argc == 1 && i < sizeof corpus / sizeof *corpus; i++) {
                (void)snprintf(path, sizeof path, "%s/%s", source ? source : ".", corpus[i]);
                replay(path);
        }
        CHECK(files > 0);
        (void)printf("1..1\nok 1 - %zu files of the corpus\n", files);
        return 0;
}
