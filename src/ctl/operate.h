/*
 * operate: what all commands that ask a daemon have in common.
 */
#ifndef SOLVEGATE_CTL_OPERATE_H
#define SOLVEGATE_CTL_OPERATE_H

#include "ctl/control.h"

/* Says why there is no good answer to the last question. Returns the exit status that stands for
 * it. */
int operate_fail(const struct control *control, enum control_result result);

#endif
