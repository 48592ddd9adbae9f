#!/bin/sh
# Runs one program of the group `actors` in another language, and prints its figure:
#
#     run.sh erlang|go METRIC WORKERS
#
# or one end of the group `remote`:
#
#     run.sh remote_erlang|remote_go METRIC WORKERS [ADDRESS of the other end]
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
remote_erlang)
    if [ ! "$built/remote.beam" -nt "$here/remote.erl" ]; then
        erlc -o "$built" "$here/remote.erl"
    fi
    # No registry of ports stays behind: each run has a port of its own, which the other end is told.
    if [ $# = 3 ]; then
        port=$((20000 + $$ % 10000))
        set -- -name server@127.0.0.1 -run remote serve "$port"
    else
        port=$4
        set -- -name load@127.0.0.1 -dist_listen false -run remote load "$metric" server@127.0.0.1
    fi
    exec erl -noshell -noinput +S "$workers:$workers" -pa "$built" \
        -setcookie remote -start_epmd false -erl_epmd_port "$port" \
        -kernel inet_dist_use_interface '{127,0,0,1}' "$@"
    ;;
remote_go)
    if [ ! "$built/remote" -nt "$here/remote.go" ]; then
        go build -o "$built/remote" "$here/remote.go"
    fi
    if [ $# = 3 ]; then
        GOMAXPROCS=$workers exec "$built/remote" serve
    fi
    GOMAXPROCS=$workers exec "$built/remote" load "$metric" "$4"
    ;;
*)
    echo "run.sh: no language $language" >&2
    exit 2
    ;;
esac
