/*
 * secret: what must not be shown, wherever it stands. Thread: any.
 */
#ifndef SOLVEGATE_BASE_SECRET_H
#define SOLVEGATE_BASE_SECRET_H

/* What a client's token of ours begins with; scanners for leaked secrets can look for it too. */
#define SECRET_TOKEN_PREFIX "sgt_"

/* Overwrites with '*' the rest of each word that begins like a token of ours. */
void secret_mask(char *text);

#endif
