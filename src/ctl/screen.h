/*
 * screen: the terminal of a program that redraws, and what may end it.
 *
 * From screen_init() to screen_done() the signals that stop, suspend or resize are blocked and
 * arrive at a descriptor; so nothing ends the program between taking the terminal and giving it
 * back. Not locked; there is one.
 */
#ifndef SOLVEGATE_CTL_SCREEN_H
#define SOLVEGATE_CTL_SCREEN_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

struct strbuf;

#define SCREEN_WATCHED 2

struct screen {
        bool drawn_on;            /* standard output is a terminal that is ours to draw on */
        bool entered;             /* and shows our page */
        bool keys;                /* standard input is a terminal whose keys come one by one */
        bool ended;               /* q, or a signal that stops */
        int signals;              /* a signalfd */
        sigset_t blocked;         /* the mask before */
        struct termios line_mode; /* of standard input before; valid with keys */
};

/* The size of standard output's terminal, 0 where it is none; ret_height may be NULL. */
void screen_size(size_t *ret_width, size_t *ret_height);

/* Whether standard output is a terminal on which a page can be drawn. */
bool screen_is_there(void);

/* Takes the signals, and with draw the terminal. Returns 0 or -errno. */
int screen_init(struct screen *screen, bool draw);

/* Gives everything back as it was. */
void screen_done(struct screen *screen);

/* The descriptors on which there may be something for screen_look(): ret has room for them. */
size_t screen_watched(const struct screen *screen, int ret[SCREEN_WATCHED]);

/* Reads the keys and signals that are there, waiting so long for one; ends when one says so. */
void screen_look(struct screen *screen, int timeout_ms);

/* Draws the lines of text that fit, in one write. Returns 0 or -errno. */
int screen_draw(const struct screen *screen, const struct strbuf *text);

#endif
