/* What Prometheus would get, read by a parser that takes nothing but its text format 0.0.4. */
#ifndef TESTS_API_SCRAPED_H
#define TESTS_API_SCRAPED_H

#include <stddef.h>

#include <jansson.h>

/*
 * The samples of @text by their series as written ("a_total{b=\"c\"}"), each a number; the caller
 * drops the reference. Fails the test where the text is not as the format says: a family has one
 * HELP and one TYPE, before its samples, which are together; no series comes twice; names, labels
 * and escapes are well-formed; counters are called so and not negative; buckets ascend and end with
 * +Inf, which is the count.
 */
json_t *scraped_parse(const char *text);

/* GET metrics as the admin, parsed. */
json_t *scraped(void);

/* The value of @series; 0 where there is none. */
double scraped_value(const json_t *samples, const char *series);

/* Fail the test unless @series is @more higher in @now than in @before. */
void assert_scraped_rise(const json_t *before, const json_t *now, const char *series, double more);

#endif
