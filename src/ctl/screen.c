/*
 * screen: see screen.h. The sequences are those of ECMA-48 and xterm's alternate screen, which
 * every terminal in use knows; TERM=dumb says of itself that it does not.
 */
#include "ctl/screen.h"

#include "base/strbuf.h"
#include "ctl/complain.h"
#include "ctl/plain.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define ENTER          "\x1b[?1049h\x1b[?25l"
#define LEAVE          "\x1b[?25h\x1b[?1049l"
#define HOME           "\x1b[H"
#define CLEAR_LINE     "\x1b[K"
#define CLEAR_BELOW    "\x1b[J"
#define PAGE_BYTES_MAX (4 << 20)
#define HEIGHT_DEFAULT 24

void screen_size(size_t *ret_width, size_t *ret_height)
{
        struct winsize size = {0};

        if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
                size = (struct winsize){0};
        *ret_width = size.ws_col;
        if (ret_height)
                *ret_height = size.ws_row;
}

bool screen_is_there(void)
{
        const char *term = getenv("TERM");

        return isatty(STDOUT_FILENO) && term && term[0] != '\0' && strcmp(term, "dumb") != 0;
}

static void enter(struct screen *screen)
{
        struct termios by_key;

        screen->keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &screen->line_mode) == 0;
        if (screen->keys) {
                by_key = screen->line_mode;
                by_key.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
                by_key.c_cc[VMIN] = 1;
                by_key.c_cc[VTIME] = 0;
                screen->keys = tcsetattr(STDIN_FILENO, TCSAFLUSH, &by_key) == 0;
        }
        screen->entered = write_out(ENTER, strlen(ENTER)) == 0;
}

static void leave(struct screen *screen)
{
        if (screen->entered)
                (void)write_out(LEAVE, strlen(LEAVE));
        if (screen->keys)
                (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &screen->line_mode);
        screen->entered = screen->keys = false;
}

int screen_init(struct screen *screen, bool draw)
{
        static const int taken[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
        sigset_t set;

        *screen = (struct screen){.drawn_on = draw};
        (void)sigemptyset(&set);
        for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
                (void)sigaddset(&set, taken[i]);
        if (sigprocmask(SIG_BLOCK, &set, &screen->blocked) < 0)
                return -errno;
        screen->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (screen->signals < 0) {
                int error = errno;
                (void)sigprocmask(SIG_SETMASK, &screen->blocked, NULL);
                return -error;
        }
        if (draw)
                enter(screen);
        return 0;
}

void screen_done(struct screen *screen)
{
        leave(screen);
        (void)close(screen->signals);
        (void)sigprocmask(SIG_SETMASK, &screen->blocked, NULL);
}

size_t screen_watched(const struct screen *screen, int ret[SCREEN_WATCHED])
{
        size_t count = 0;

        ret[count++] = screen->signals;
        if (screen->keys)
                ret[count++] = STDIN_FILENO;
        return count;
}

/* As any program does that is told to by ^Z, but without our page. */
static void suspend(struct screen *screen)
{
        leave(screen);
        (void)raise(SIGSTOP);
        if (screen->drawn_on)
                enter(screen);
}

static void take_signals(struct screen *screen)
{
        struct signalfd_siginfo info;

        while (read(screen->signals, &info, sizeof info) == (ssize_t)sizeof info) {
                if (info.ssi_signo == SIGTSTP)
                        suspend(screen);
                else if (info.ssi_signo != SIGWINCH)
                        screen->ended = true;
        }
}

/* At the end of input the terminal is gone. */
static void take_keys(struct screen *screen)
{
        char keys[64];
        ssize_t n = read(STDIN_FILENO, keys, sizeof keys);

        if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
                screen->ended = true;
        for (ssize_t i = 0; i < n; i++)
                if (keys[i] == 'q' || keys[i] == 'Q')
                        screen->ended = true;
}

void screen_look(struct screen *screen, int timeout_ms)
{
        int watched[SCREEN_WATCHED];
        size_t count = screen_watched(screen, watched);
        struct pollfd fds[SCREEN_WATCHED];

        for (size_t i = 0; i < count; i++)
                fds[i] = (struct pollfd){.fd = watched[i], .events = POLLIN};
        if (poll(fds, count, timeout_ms) <= 0)
                return;
        if (fds[0].revents)
                take_signals(screen);
        if (count > 1 && fds[1].revents)
                take_keys(screen);
}

/* A line is cleared before it is written: behind a character in the last column the cursor still
 * stands on it. */
int screen_draw(const struct screen *screen, const struct strbuf *text)
{
        size_t width, height, rows = 0;
        const char *line = text->data, *end = text->data + text->len;
        struct strbuf page;
        int r;

        if (!screen->entered)
                return -EIO;
        screen_size(&width, &height);
        height = height > 0 ? height : HEIGHT_DEFAULT;
        strbuf_init(&page, PAGE_BYTES_MAX);
        (void)strbuf_puts(&page, HOME);
        while (line < end && rows++ < height) {
                const char *newline = memchr(line, '\n', (size_t)(end - line));
                size_t len = (size_t)((newline ? newline : end) - line);
                bool last = rows == height || line + len + 1 >= end;
                (void)strbuf_puts(&page, rows > 1 ? "\r\n" : "");
                (void)strbuf_puts(&page, last ? CLEAR_BELOW : CLEAR_LINE);
                plain_append_cut(&page, line, len, width);
                line += len + 1;
        }
        r = page.failed ? -ENOMEM : write_out(page.data, page.len) == 0 ? 0 : -EIO;
        strbuf_done(&page);
        return r;
}
