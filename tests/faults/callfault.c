/*
 * callfault: makes the N-th call of chosen functions fail, for the tests that let each call fail in
 * turn. Preloaded into the daemon.
 *
 * The control file ($CALLFAULT_CONTROL, shared with the test) chooses families of functions and the
 * number of the call that fails; the calls after it succeed. So each place where the product asks
 * for memory, a library or a file meets the error alone, in the midst of things that work.
 *
 * Calls count only if they come from the program itself or from a library whose file name contains
 * one of the words in $CALLFAULT_MODULES (separated by colons; "main" is the program): some
 * libraries end the process when they have no memory, and that is not what is tested.
 *
 * Functions on files count only for paths below $CALLFAULT_DIRECTORY.
 *
 * A function that fails does nothing and leaves its outputs alone, as its manual allows. Nothing
 * here allocates memory.
 *
 * Thread: any. The control file is read and written by atomic operations alone.
 */
#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Families of functions, as in callfault.py. */
enum family {
        FAMILY_MEMORY = 1, /* malloc and its relatives, strdup, asprintf */
        FAMILY_CURL = 2,   /* what can fail for want of memory in libcurl */
        FAMILY_SQLITE = 4, /* open, prepare, step, exec, checkpoint; nothing can fail in a bind that
                              copies nothing */
        FAMILY_READ = 8,   /* opening what exists, reading, stat */
        FAMILY_WRITE = 16, /* creating, writing, syncing, renaming, removing */
        FAMILY_THREAD = 32,
};

#define NAME_BYTES_MAX 32
#define MODULES_MAX    64

/* The control file, as in callfault.py. */
struct control {
        _Atomic int64_t calls;         /* of the chosen families, so far */
        _Atomic int64_t number;        /* the call that fails; 0: none */
        _Atomic int64_t failed;        /* how many did */
        _Atomic int32_t families;      /* which count */
        _Atomic int32_t error;         /* errno of a failing function */
        char function[NAME_BYTES_MAX]; /* which one failed last, for messages: */
        _Atomic int64_t caller;        /* and where it was called, for addr2line(1) */
};

struct range {
        uintptr_t base, start, end;
};

static struct control *control; /* NULL: nothing ever fails */
static struct range modules[MODULES_MAX];
static size_t modules_count;
static char directory[PATH_MAX];
static size_t directory_len;

/* ---- the functions that this library stands in front of ---- */

/* Defines real_NAME() and the function that looks it up; dlsym() gives a pointer that C cannot
 * convert. */
#define REAL(type, name, parameters)                                                               \
        static type(*pointer_##name) parameters;                                                   \
        static type(*real_##name(void)) parameters                                                 \
        {                                                                                          \
                if (!pointer_##name) {                                                             \
                        void *symbol = dlsym(RTLD_NEXT, #name);                                    \
                        memcpy(&pointer_##name, &symbol, sizeof symbol);                           \
                }                                                                                  \
                return pointer_##name;                                                             \
        }

/* Whether the call is the one that shall fail. */
#define FAILS(family)                                                                              \
        (watched(family) && from_here(__builtin_return_address(0)) &&                              \
         due(__func__, __builtin_return_address(0)))
#define FAILS_ON(family, is_ours)                                                                  \
        (watched(family) && from_here(__builtin_return_address(0)) && (is_ours) &&                 \
         due(__func__, __builtin_return_address(0)))

REAL(void *, malloc, (size_t))
REAL(void *, calloc, (size_t, size_t))
REAL(void *, realloc, (void *, size_t))
REAL(void *, reallocarray, (void *, size_t, size_t))
REAL(void *, aligned_alloc, (size_t, size_t))
REAL(char *, strdup, (const char *))
REAL(char *, strndup, (const char *, size_t))
REAL(int, vasprintf, (char **, const char *, va_list))
REAL(int, open, (const char *, int, ...))
REAL(int, openat, (int, const char *, int, ...))
REAL(ssize_t, read, (int, void *, size_t))
REAL(ssize_t, pread, (int, void *, size_t, off_t))
REAL(ssize_t, write, (int, const void *, size_t))
REAL(int, fsync, (int))
REAL(int, fdatasync, (int))
REAL(int, ftruncate, (int, off_t))
REAL(int, rename, (const char *, const char *))
REAL(int, unlink, (const char *))
REAL(int, stat64, (const char *, struct stat64 *))
REAL(int, fstat64, (int, struct stat64 *))
REAL(int, pthread_create, (pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))
REAL(CURL *, curl_easy_init, (void))
REAL(CURLcode, curl_easy_setopt, (CURL *, CURLoption, ...))
REAL(struct curl_slist *, curl_slist_append, (struct curl_slist *, const char *))
REAL(CURLM *, curl_multi_init, (void))
REAL(CURLMcode, curl_multi_add_handle, (CURLM *, CURL *))
REAL(CURLMcode, curl_multi_socket_action, (CURLM *, curl_socket_t, int, int *))
REAL(int, sqlite3_open_v2, (const char *, sqlite3 **, int, const char *))
REAL(int, sqlite3_prepare_v2, (sqlite3 *, const char *, int, sqlite3_stmt **, const char **))
REAL(int, sqlite3_prepare_v3,
     (sqlite3 *, const char *, int, unsigned, sqlite3_stmt **, const char **))
REAL(int, sqlite3_step, (sqlite3_stmt *))
REAL(int, sqlite3_exec,
     (sqlite3 *, const char *, int (*)(void *, int, char **, char **), void *, char **))
REAL(int, sqlite3_wal_checkpoint_v2, (sqlite3 *, const char *, int, int *, int *))

/* ---- which calls count ---- */

/* Whether a module's name has one of the words of a list with colons. */
static bool name_listed(const char *name, const char *list)
{
        char word[64];

        for (size_t len; *list != '\0'; list += len + (list[len] == ':')) {
                len = strcspn(list, ":");
                if (len == 0 || len >= sizeof word)
                        continue;
                memcpy(word, list, len);
                word[len] = '\0';
                if (strstr(name, word))
                        return true;
        }
        return false;
}

/* Notes the addresses of a module that counts; the program itself comes first, without a name. */
static int on_module(struct dl_phdr_info *info, size_t size, void *list)
{
        const char *name = info->dlpi_name && info->dlpi_name[0] ? info->dlpi_name : "main";

        (void)size;
        if (!name_listed(name, list) || modules_count == MODULES_MAX)
                return 0;
        for (size_t i = 0; i < info->dlpi_phnum; i++) {
                const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
                uintptr_t start = info->dlpi_addr + segment->p_vaddr;
                if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X) &&
                    modules_count < MODULES_MAX)
                        modules[modules_count++] =
                                (struct range){info->dlpi_addr, start, start + segment->p_memsz};
        }
        return 0;
}

__attribute__((constructor)) static void begin(void)
{
        const char *path = getenv("CALLFAULT_CONTROL"), *list = getenv("CALLFAULT_MODULES");
        const char *below = getenv("CALLFAULT_DIRECTORY");
        int fd = path ? real_open()(path, O_RDWR | O_CLOEXEC) : -1;

        if (fd < 0)
                return;
        if (below && strlen(below) < sizeof directory) {
                memcpy(directory, below, strlen(below) + 1);
                directory_len = strlen(below);
        }
        (void)dl_iterate_phdr(on_module, (void *)(uintptr_t)(list ? list : "main"));
        void *memory =
                mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        (void)close(fd);
        if (memory != MAP_FAILED)
                control = memory;
}

static bool watched(enum family family)
{
        return control && (atomic_load(&control->families) & (int32_t)family);
}

/* The module that a call comes from, or NULL if its calls do not count. */
static const struct range *from_here(const void *caller)
{
        uintptr_t address = (uintptr_t)caller;

        for (size_t i = 0; i < modules_count; i++) {
                if (address >= modules[i].start && address < modules[i].end)
                        return &modules[i];
        }
        return NULL;
}

/* Notes the call that fails. Another one may, in another thread, when a test counts anew. */
static void note(const char *function, const void *caller)
{
        static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
        const struct range *module = from_here(caller);

        (void)pthread_mutex_lock(&mutex);
        (void)strncpy(control->function, function, NAME_BYTES_MAX - 1);
        (void)pthread_mutex_unlock(&mutex);
        atomic_store(&control->caller, module ? (int64_t)((uintptr_t)caller - module->base) : 0);
        (void)atomic_fetch_add(&control->failed, 1);
}

/* Counts a call that counts. Returns whether it shall fail; then errno is set. */
static bool due(const char *function, const void *caller)
{
        int64_t number = atomic_fetch_add(&control->calls, 1) + 1;

        if (number != atomic_load(&control->number))
                return false;
        note(function, caller);
        errno = atomic_load(&control->error);
        return true;
}

static bool path_is_ours(const char *path)
{
        return directory_len > 0 && strncmp(path, directory, directory_len) == 0;
}

static bool file_is_ours(int fd)
{
        char link[64], path[PATH_MAX];
        int saved = errno;

        (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t len = readlink(link, path, sizeof path - 1);
        path[len > 0 ? len : 0] = '\0';
        errno = saved;
        return len > 0 && path_is_ours(path);
}

/* ---- memory ---- */

void *malloc(size_t size)
{
        return FAILS(FAMILY_MEMORY) ? NULL : real_malloc()(size);
}

void *calloc(size_t count, size_t size)
{
        return FAILS(FAMILY_MEMORY) ? NULL : real_calloc()(count, size);
}

void *realloc(void *pointer, size_t size)
{
        return FAILS(FAMILY_MEMORY) ? NULL : real_realloc()(pointer, size);
}

void *reallocarray(void *pointer, size_t count, size_t size)
{
        return FAILS(FAMILY_MEMORY) ? NULL : real_reallocarray()(pointer, count, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
        return FAILS(FAMILY_MEMORY) ? NULL : real_aligned_alloc()(alignment, size);
}

char *strdup(const char *text)
{
        return FAILS(FAMILY_MEMORY) ? NULL : real_strdup()(text);
}

char *strndup(const char *text, size_t len)
{
        return FAILS(FAMILY_MEMORY) ? NULL : real_strndup()(text, len);
}

int vasprintf(char **ret, const char *format, va_list arguments)
{
        return FAILS(FAMILY_MEMORY) ? -1 : real_vasprintf()(ret, format, arguments);
}

int asprintf(char **ret, const char *format, ...)
{
        va_list arguments;

        if (FAILS(FAMILY_MEMORY))
                return -1;
        va_start(arguments, format);
        int len = real_vasprintf()(ret, format, arguments);
        va_end(arguments);
        return len;
}

/* The names with _FORTIFY_SOURCE. */
int __vasprintf_chk(char **ret, int flag, const char *format, va_list arguments);
int __vasprintf_chk(char **ret, int flag, const char *format, va_list arguments)
{
        (void)flag;
        return FAILS(FAMILY_MEMORY) ? -1 : real_vasprintf()(ret, format, arguments);
}

int __asprintf_chk(char **ret, int flag, const char *format, ...);
int __asprintf_chk(char **ret, int flag, const char *format, ...)
{
        va_list arguments;

        (void)flag;
        if (FAILS(FAMILY_MEMORY))
                return -1;
        va_start(arguments, format);
        int len = real_vasprintf()(ret, format, arguments);
        va_end(arguments);
        return len;
}

int pthread_create(pthread_t *ret, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *arg)
{
        return FAILS(FAMILY_THREAD) ? EAGAIN : real_pthread_create()(ret, attributes, run, arg);
}

/* ---- libcurl ---- */

CURL *curl_easy_init(void)
{
        return FAILS(FAMILY_CURL) ? NULL : real_curl_easy_init()();
}

/* Options that libcurl copies; the others cannot fail. */
static bool option_copies(CURLoption option)
{
        return option == CURLOPT_URL || option == CURLOPT_CAINFO_BLOB || option == CURLOPT_PROXY ||
               option == CURLOPT_PROTOCOLS_STR;
}

/* A long, a pointer and a curl_off_t are all passed in the register of a pointer. */
#undef curl_easy_setopt
CURLcode curl_easy_setopt(CURL *easy, CURLoption option, ...)
{
        va_list arguments;

        va_start(arguments, option);
        void *argument = va_arg(arguments, void *);
        va_end(arguments);
        if (FAILS_ON(FAMILY_CURL, option_copies(option)))
                return CURLE_OUT_OF_MEMORY;
        return real_curl_easy_setopt()(easy, option, argument);
}

struct curl_slist *curl_slist_append(struct curl_slist *list, const char *text)
{
        return FAILS(FAMILY_CURL) ? NULL : real_curl_slist_append()(list, text);
}

CURLM *curl_multi_init(void)
{
        return FAILS(FAMILY_CURL) ? NULL : real_curl_multi_init()();
}

CURLMcode curl_multi_add_handle(CURLM *multi, CURL *easy)
{
        return FAILS(FAMILY_CURL) ? CURLM_OUT_OF_MEMORY : real_curl_multi_add_handle()(multi, easy);
}

/* libcurl has done its work when it reports this. */
CURLMcode curl_multi_socket_action(CURLM *multi, curl_socket_t fd, int events, int *ret_running)
{
        bool fails = FAILS(FAMILY_CURL);
        CURLMcode code = real_curl_multi_socket_action()(multi, fd, events, ret_running);

        return fails ? CURLM_OUT_OF_MEMORY : code;
}

/* ---- SQLite ---- */

int sqlite3_open_v2(const char *name, sqlite3 **ret, int flags, const char *vfs)
{
        if (!FAILS(FAMILY_SQLITE))
                return real_sqlite3_open_v2()(name, ret, flags, vfs);
        *ret = NULL; /* as SQLite does when there is no memory for a handle */
        return SQLITE_NOMEM;
}

int sqlite3_prepare_v2(sqlite3 *db, const char *text, int len, sqlite3_stmt **ret,
                       const char **ret_tail)
{
        if (!FAILS(FAMILY_SQLITE))
                return real_sqlite3_prepare_v2()(db, text, len, ret, ret_tail);
        *ret = NULL;
        return SQLITE_NOMEM;
}

int sqlite3_prepare_v3(sqlite3 *db, const char *text, int len, unsigned flags, sqlite3_stmt **ret,
                       const char **ret_tail)
{
        if (!FAILS(FAMILY_SQLITE))
                return real_sqlite3_prepare_v3()(db, text, len, flags, ret, ret_tail);
        *ret = NULL;
        return SQLITE_NOMEM;
}

int sqlite3_step(sqlite3_stmt *statement)
{
        return FAILS(FAMILY_SQLITE) ? SQLITE_IOERR : real_sqlite3_step()(statement);
}

int sqlite3_exec(sqlite3 *db, const char *text, int (*row)(void *, int, char **, char **),
                 void *arg, char **ret_problem)
{
        return FAILS(FAMILY_SQLITE) ? SQLITE_IOERR
                                    : real_sqlite3_exec()(db, text, row, arg, ret_problem);
}

int sqlite3_wal_checkpoint_v2(sqlite3 *db, const char *name, int mode, int *ret_log, int *ret_done)
{
        return FAILS(FAMILY_SQLITE)
                       ? SQLITE_IOERR
                       : real_sqlite3_wal_checkpoint_v2()(db, name, mode, ret_log, ret_done);
}

/* ---- files ---- */

static enum family family_of_open(int flags)
{
        return flags & O_CREAT ? FAMILY_WRITE : FAMILY_READ;
}

int open(const char *path, int flags, ...)
{
        va_list arguments;

        va_start(arguments, flags);
        mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
        va_end(arguments);
        return FAILS_ON(family_of_open(flags), path_is_ours(path)) ? -1
                                                                   : real_open()(path, flags, mode);
}

int openat(int in, const char *path, int flags, ...)
{
        va_list arguments;

        va_start(arguments, flags);
        mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
        va_end(arguments);
        return FAILS_ON(family_of_open(flags),
                        path[0] == '/' ? path_is_ours(path) : file_is_ours(in))
                       ? -1
                       : real_openat()(in, path, flags, mode);
}

ssize_t read(int fd, void *bytes, size_t len)
{
        return FAILS_ON(FAMILY_READ, file_is_ours(fd)) ? -1 : real_read()(fd, bytes, len);
}

ssize_t pread(int fd, void *bytes, size_t len, off_t offset)
{
        return FAILS_ON(FAMILY_READ, file_is_ours(fd)) ? -1 : real_pread()(fd, bytes, len, offset);
}

ssize_t write(int fd, const void *bytes, size_t len)
{
        return FAILS_ON(FAMILY_WRITE, file_is_ours(fd)) ? -1 : real_write()(fd, bytes, len);
}

int fsync(int fd)
{
        return FAILS_ON(FAMILY_WRITE, file_is_ours(fd)) ? -1 : real_fsync()(fd);
}

int fdatasync(int fd)
{
        return FAILS_ON(FAMILY_WRITE, file_is_ours(fd)) ? -1 : real_fdatasync()(fd);
}

int ftruncate(int fd, off_t len)
{
        return FAILS_ON(FAMILY_WRITE, file_is_ours(fd)) ? -1 : real_ftruncate()(fd, len);
}

int rename(const char *from, const char *to)
{
        return FAILS_ON(FAMILY_WRITE, path_is_ours(from)) ? -1 : real_rename()(from, to);
}

int unlink(const char *path)
{
        return FAILS_ON(FAMILY_WRITE, path_is_ours(path)) ? -1 : real_unlink()(path);
}

int stat64(const char *path, struct stat64 *ret)
{
        return FAILS_ON(FAMILY_READ, path_is_ours(path)) ? -1 : real_stat64()(path, ret);
}

int fstat64(int fd, struct stat64 *ret)
{
        return FAILS_ON(FAMILY_READ, file_is_ours(fd)) ? -1 : real_fstat64()(fd, ret);
}

/* The names for large files: off_t has 64 bits here anyway. */
int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int openat64(int in, const char *path, int flags, ...) __attribute__((alias("openat")));
ssize_t pread64(int fd, void *bytes, size_t len, off_t offset) __attribute__((alias("pread")));
int ftruncate64(int fd, off_t len) __attribute__((alias("ftruncate")));
