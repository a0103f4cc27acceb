# Runs the unit tests. Sourced by scripts/test, which declares passed, failed, and results, a directory
# for their reports.
# shellcheck shell=bash

# failures_of FILE: the lines of a TAP report that say so. cmocka calls a skipped test "not ok".
failures_of() {
        grep '^not ok' "$1" | grep -v '# SKIP' || true
}

# skips_of FILE: the names of the skipped tests. Where "# SKIP" is differs between versions of cmocka.
skips_of() {
        sed -n '/# SKIP/s/^\(not \)\{0,1\}ok [0-9]*\( -\)\{0,1\} *//p' "$1" | sed 's/ *# SKIP *//'
}

# count_units FILE: adds up a TAP report.
count_units() {
        passed=$((passed + $(grep '^ok' "$1" | grep -vc '# SKIP' || true)))
        failed=$((failed + $(failures_of "$1" | wc -l)))
}

# run_unit REPORTS PROGRAM [COMMAND...]: one unit test under COMMAND; leaves its report and status.
run_unit() {
        local report status=0 program=$2
        report=$1/$(basename "$program").tap
        shift 2
        CMOCKA_MESSAGE_OUTPUT=TAP SOLVEGATE_SOURCE=. "$@" "$program" \
                >"$report" 2>"$report.err" || status=$?
        printf '%s\n' "$status" >"$report.status"
}
export -f run_unit

# run_units FOLDER [COMMAND...]: every unit test, and the corpus of every fuzz target, each under
# COMMAND, one for each processor at a time.
run_units() {
        local folder=$1 program report status programs=()
        shift
        for program in "$folder"/tests/unit/test_* "$folder"/tests/fuzz/test_*; do
                [ -f "$program" ] && [ -x "$program" ] && programs+=("$program")
        done
        printf '%s\n' "${programs[@]}" |
                xargs -P "$(nproc)" -I '{}' bash -c 'run_unit "$@"' run_unit "$results" '{}' "$@"
        for program in "${programs[@]}"; do
                report=$results/$(basename "$program").tap
                status=$(cat "$report.status")
                count_units "$report"
                skips_of "$report" | sed "s/^/SKIPPED ${program##*/}: /"
                if [ "$status" -ne 0 ] || ! grep -q -e '^ok' -e '# SKIP' "$report"; then
                        printf 'FAILED %s (exit status %s)\n' "$program" "$status"
                        grep -v '^ok' "$report" || true
                        cat "$report.err"
                        # A crash or a sanitizer's report fails, whatever the cases said.
                        [ -n "$(failures_of "$report")" ] || failed=$((failed + 1))
                fi
        done
}
