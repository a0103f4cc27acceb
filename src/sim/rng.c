/*
 * rng: see rng.h.
 */
#include "sim/rng.h"

uint64_t sim_rng_next(struct sim_rng *rng)
{
        uint64_t mixed = rng->state += 0x9e3779b97f4a7c15;

        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
        return mixed ^ (mixed >> 31);
}

double sim_rng_signed_unit(struct sim_rng *rng)
{
        return (double)(sim_rng_next(rng) >> 11) * 0x1p-52 - 1.0;
}

void sim_rng_letters(struct sim_rng *rng, char *ret_text, size_t len)
{
        static const char alphabet[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

        for (size_t i = 0; i < len; i++)
                ret_text[i] = alphabet[sim_rng_next(rng) % (sizeof alphabet - 1)];
}
