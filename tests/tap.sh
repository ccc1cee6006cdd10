# Test Anything Protocol for the shell tests: source it, call ok / not_ok / skip / check, end with tap_end.
# Lines that explain go to stdout behind "# ", where the log keeps them.

tap_count=0

ok()
{
    tap_count=$((tap_count + 1))
    echo "ok $tap_count - $*"
}

not_ok()
{
    tap_count=$((tap_count + 1))
    echo "not ok $tap_count - $*"
}

# skip NAME REASON
skip()
{
    tap_count=$((tap_count + 1))
    echo "ok $tap_count - $1 # SKIP $2"
}

# check NAME COMMAND...: passes when the command does; its output is shown when it does not.
check()
{
    tap_name=$1
    shift
    if tap_output=$("$@" 2>&1); then
        ok "$tap_name"
    else
        not_ok "$tap_name"
        printf '%s\n' "$tap_output" | sed 's/^/# /'
    fi
}

# Everything of this test is skipped.
skip_all()
{
    echo "1..0 # SKIP $*"
    exit 0
}

tap_end()
{
    echo "1..$tap_count"
    exit 0 # the lines say what failed; an exit code would count it twice
}
