/*
 * rng: numbers that look random and come again with the same seed (SplitMix64).
 *
 * Good for ids of trial jobs, jitter and garbage, never for a secret. A value; not locked.
 */
#ifndef SOLVEGATE_SIM_RNG_H
#define SOLVEGATE_SIM_RNG_H

#include <stddef.h>
#include <stdint.h>

struct sim_rng {
        uint64_t state;
};

/* The next 64 bits. */
uint64_t sim_rng_next(struct sim_rng *rng);

/* The next number from -1 up to, but not including, 1. */
double sim_rng_signed_unit(struct sim_rng *rng);

/* Writes len letters and digits; no NUL. */
void sim_rng_letters(struct sim_rng *rng, char *ret_text, size_t len);

#endif
