/*
 * Tests of base/metrics: the page as Prometheus reads it.
 */
#include "base/metrics.h"
#include "base/strbuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct metric plain = {"a_jobs", METRIC_GAUGE, "Jobs that wait.", {NULL}};
static const struct metric labelled = {
        "a_charges_total", METRIC_COUNTER, "Charges.", {"client", "upstream"}};

static void assert_page(struct strbuf *text, const char *expected)
{
        assert_false(text->failed);
        assert_string_equal(text->data, expected);
        strbuf_done(text);
}

/* Writes one sample of a metric with a single label. */
static void assert_label(const char *value, const char *expected)
{
        static const struct metric metric = {"a", METRIC_GAUGE, "", {"l"}};
        struct strbuf text;

        strbuf_init(&text, 256);
        metrics_sample(&text, &metric, &value, 1);
        assert_page(&text, expected);
}

static void a_metric_begins_with_its_help_and_type(void **state)
{
        struct strbuf text;

        (void)state;
        strbuf_init(&text, 256);
        metrics_begin(&text, &plain);
        metrics_begin(&text, &labelled);
        assert_page(&text, "# HELP a_jobs Jobs that wait.\n# TYPE a_jobs gauge\n"
                           "# HELP a_charges_total Charges.\n# TYPE a_charges_total counter\n");
}

static void a_sample_without_labels_has_no_braces(void **state)
{
        struct strbuf text;

        (void)state;
        strbuf_init(&text, 256);
        metrics_sample(&text, &plain, NULL, 0);
        metrics_sample(&text, &plain, NULL, INT64_MAX);
        metrics_sample(&text, &plain, NULL, -1);
        assert_page(&text, "a_jobs 0\na_jobs 9223372036854775807\na_jobs -1\n");
}

static void a_sample_has_its_labels_in_the_metric_s_order(void **state)
{
        const char *const values[] = {"ci", "pro"};
        struct strbuf text;

        (void)state;
        strbuf_init(&text, 256);
        metrics_sample(&text, &labelled, values, 7);
        assert_page(&text, "a_charges_total{client=\"ci\",upstream=\"pro\"} 7\n");
}

static void a_label_s_backslashes_quotes_and_line_feeds_are_escaped(void **state)
{
        (void)state;
        assert_label("", "a{l=\"\"} 1\n");
        assert_label("a\\b\"c\nd", "a{l=\"a\\\\b\\\"c\\nd\"} 1\n");
        assert_label("{x=\"y\",}\t#", "a{l=\"{x=\\\"y\\\",}\t#\"} 1\n");
}

static void a_label_in_utf_8_stays_as_it_is_and_other_bytes_are_replaced(void **state)
{
        (void)state;
        assert_label("M\xc3\xbcnchen \xe2\x82\xac \xf0\x9f\x98\x80",
                     "a{l=\"M\xc3\xbcnchen \xe2\x82\xac \xf0\x9f\x98\x80\"} 1\n");
        assert_label("\xff\xc3", "a{l=\"\xef\xbf\xbd\xef\xbf\xbd\"} 1\n");
        assert_label("\xe2\x82\"", "a{l=\"\xef\xbf\xbd\xef\xbf\xbd\\\"\"} 1\n");
}

static void a_help_s_backslashes_and_line_feeds_are_escaped_but_no_quotes(void **state)
{
        const struct metric metric = {"a", METRIC_GAUGE, "a\\b\nsays \"c\"", {NULL}};
        struct strbuf text;

        (void)state;
        strbuf_init(&text, 256);
        metrics_begin(&text, &metric);
        assert_page(&text, "# HELP a a\\\\b\\nsays \"c\"\n# TYPE a gauge\n");
}

static void a_page_beyond_its_ceiling_has_failed(void **state)
{
        struct strbuf text;

        (void)state;
        strbuf_init(&text, 20);
        metrics_begin(&text, &plain);
        metrics_sample(&text, &plain, NULL, 1);
        assert_true(text.failed);
        strbuf_done(&text);
}

static void a_number_with_a_fraction_is_written_as_it_is(void **state)
{
        static const char *const values[] = {"ci", "pro"};
        struct strbuf text;

        (void)state;
        strbuf_init(&text, 256);
        metrics_sample_real(&text, &plain, NULL, 0.5);
        metrics_sample_real(&text, &plain, NULL, 1795363545.25);
        metrics_sample_real(&text, &labelled, values, -3);
        assert_page(&text, "a_jobs 0.5\na_jobs 1795363545.25\n"
                           "a_charges_total{client=\"ci\",upstream=\"pro\"} -3\n");
}

static void a_histogram_s_buckets_count_all_up_to_their_bounds(void **state)
{
        static const struct metric metric = {"a_seconds", METRIC_HISTOGRAM, "Time.", {NULL}};
        static const double bounds[] = {0.25, 1, 10};
        static const struct metric_buckets buckets = {bounds, 3};
        struct metric_histogram histogram = {0};
        struct strbuf text;

        (void)state;
        metric_observe(&histogram, &buckets, 0.125);
        metric_observe(&histogram, &buckets, 1); /* a bound is part of its bucket */
        metric_observe(&histogram, &buckets, 1);
        metric_observe(&histogram, &buckets, 11);
        strbuf_init(&text, 512);
        metrics_histogram(&text, &metric, &buckets, &histogram);
        assert_page(&text, "# HELP a_seconds Time.\n# TYPE a_seconds histogram\n"
                           "a_seconds_bucket{le=\"0.25\"} 1\n"
                           "a_seconds_bucket{le=\"1\"} 3\n"
                           "a_seconds_bucket{le=\"10\"} 3\n"
                           "a_seconds_bucket{le=\"+Inf\"} 4\n"
                           "a_seconds_sum 13.125\na_seconds_count 4\n");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_metric_begins_with_its_help_and_type),
                cmocka_unit_test(a_sample_without_labels_has_no_braces),
                cmocka_unit_test(a_sample_has_its_labels_in_the_metric_s_order),
                cmocka_unit_test(a_label_s_backslashes_quotes_and_line_feeds_are_escaped),
                cmocka_unit_test(a_label_in_utf_8_stays_as_it_is_and_other_bytes_are_replaced),
                cmocka_unit_test(a_help_s_backslashes_and_line_feeds_are_escaped_but_no_quotes),
                cmocka_unit_test(a_number_with_a_fraction_is_written_as_it_is),
                cmocka_unit_test(a_histogram_s_buckets_count_all_up_to_their_bounds),
                cmocka_unit_test(a_page_beyond_its_ceiling_has_failed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
