#!/bin/sh
# Runs one program of the group `actors` in another language, and prints its figure:
#
#     run.sh erlang|go METRIC WORKERS
#
# What has been compiled is kept beside cargo's output.
set -eu

language=$1 metric=$2 workers=$3
here=$(dirname "$(readlink -f "$0")")
built=${CARGO_TARGET_DIR:-$here/../target}/others
mkdir -p "$built"

case $language in
erlang)
    if [ ! "$built/actors.beam" -nt "$here/actors.erl" ]; then
        erlc -o "$built" "$here/actors.erl"
    fi
    # One scheduler a worker, and room for a million processes.
    exec erl -noshell -noinput +S "$workers:$workers" +P 2000000 -pa "$built" \
        -run actors main "$metric"
    ;;
go)
    if [ ! "$built/actors" -nt "$here/actors.go" ]; then
        go build -o "$built/actors" "$here/actors.go"
    fi
    GOMAXPROCS=$workers exec "$built/actors" "$metric"
    ;;
*)
    echo "run.sh: no language $language" >&2
    exit 2
    ;;
esac
