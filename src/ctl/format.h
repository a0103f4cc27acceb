/*
 * format: quantities as people read them, in their units.
 */
#ifndef SOLVEGATE_CTL_FORMAT_H
#define SOLVEGATE_CTL_FORMAT_H

/* Room for one quantity; the functions give it back. */
struct format_text {
        char text[48];
};

/* A time of so many seconds in its two largest units: "0.25 s", "3 min 4 s", "2 d 3 h". */
struct format_text format_duration(double seconds);

/* "512 B", "1.5 MiB". */
struct format_text format_bytes(double bytes);

/* A number with as many digits behind the point as it needs, six at most. */
struct format_text format_number(double number);

#endif
