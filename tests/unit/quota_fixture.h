/*
 * quota_fixture: moments, quotas and charges for the tests of access/quota, and a random walk that
 * is the same each time.
 */
#ifndef SOLVEGATE_TESTS_QUOTA_FIXTURE_H
#define SOLVEGATE_TESTS_QUOTA_FIXTURE_H

#include "access/quota.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define HOUR_MS INT64_C(3600000)
#define DAY_S   INT64_C(86400)

/* A moment on both clocks, by the wall clock's date such as "2026-11-22 16:05:00". */
struct quota_time at(const char *date);

struct quota_time later(struct quota_time now, int64_t ms);

struct quota with_limits(double rate, int64_t burst, int64_t daily, int64_t monthly,
                         struct quota_time now);

/* Reserves and settles at once. */
enum quota_verdict charge(struct quota *quota, struct quota_time now);

struct quota_figures read_at(struct quota *quota, struct quota_time now);

/* The next number of the walk, from 0 to less than bound. */
int64_t below(int64_t bound);

#endif
