%% The group `remote` between two nodes of Erlang's distribution.
%% Without a registry of ports: the one that listens has a port, and the other is told it.
-module(remote).
-export([serve/1, load/1]).

%% One that answers calls, and counts what comes one way.
serve([Port]) ->
    register(sink, spawn(fun() -> sink(0) end)),
    io:format("LISTENING ~s~n", [Port]),
    receive never -> ok end.

sink(Count) ->
    receive
        {tell, Bytes} when is_binary(Bytes) -> sink(Count + 1);
        {call, From, Reference, Bytes} -> From ! {Reference, Bytes}, sink(Count);
        {count, From, Reference} -> From ! {Reference, Count}, sink(0)
    end.

load([Metric, Server]) ->
    Node = list_to_atom(Server),
    true = net_kernel:connect_node(Node),
    Sink = {sink, Node},
    measure(string:split(Metric, "_"), Metric, Sink),
    halt(0).

report(Metric, Figure, Value) -> io:format("FIGURE ~s.~s ~w~n", [Metric, Figure, Value]).

%% How many, the CPU time in seconds since `warm`, and the most memory that was resident, in bytes.
done(Done) ->
    {_, Milliseconds} = statistics(runtime),
    {ok, Status} = file:read_file("/proc/self/status"),
    {match, [Kilobytes]} = re:run(Status, "VmHWM:\\s+(\\d+)", [{capture, all_but_first, list}]),
    io:format("FIGURE done ~w~n", [Done]),
    io:format("FIGURE cpu ~w~n", [Milliseconds / 1000]),
    io:format("FIGURE mem ~w~n", [list_to_integer(Kilobytes) * 1024]).

measure(["round", _], Metric, Sink) ->
    [call(Sink) || _ <- lists:seq(1, 1000)],
    begin_timing(),
    Times = lists:sort(timed_calls(Sink, stop_at(), [])),
    Count = length(Times),
    report(Metric, "p50", lists:nth(Count div 2, Times) / 1000),
    report(Metric, "p99", lists:nth(Count * 99 div 100, Times) / 1000),
    done(Count);
measure(["calls", InFlight], Metric, Sink) ->
    [call(Sink) || _ <- lists:seq(1, 1000)],
    begin_timing(),
    Start = now_ns(),
    Stop = stop_at(),
    Main = self(),
    Callers = [spawn_link(fun() -> Main ! {self(), calls(Sink, Stop, 0)} end)
               || _ <- lists:seq(1, list_to_integer(InFlight))],
    Done = lists:sum([receive {Caller, Calls} -> Calls end || Caller <- Callers]),
    report(Metric, "rate", Done * 1.0e9 / (now_ns() - Start)),
    done(Done);
measure(["send", Size], Metric, Sink) ->
    Bytes = binary:copy(<<7>>, bytes(Size)),
    tells(Sink, Bytes, 100),
    100 = count(Sink),
    begin_timing(),
    Start = now_ns(),
    Done = tells_until(Sink, Bytes, stop_at(), 0),
    Done = count(Sink),
    report(Metric, "rate", Done * 1.0e9 / (now_ns() - Start)),
    done(Done).

bytes("32") -> 32;
bytes("1k") -> 1024;
bytes("64k") -> 65536.

begin_timing() ->
    io:format("WARM~n"),
    statistics(runtime).

now_ns() -> erlang:monotonic_time(nanosecond).
stop_at() -> now_ns() + 1000000000.

call(Sink) ->
    Reference = make_ref(),
    Bytes = <<1:64, 2:64, 3:64, 4:64>>,
    Sink ! {call, self(), Reference, Bytes},
    receive {Reference, Bytes} -> ok end.

timed_calls(Sink, Stop, Times) ->
    Start = now_ns(),
    call(Sink),
    case now_ns() of
        Now when Now >= Stop -> Times;
        Now -> timed_calls(Sink, Stop, [Now - Start | Times])
    end.

calls(Sink, Stop, Done) ->
    case now_ns() >= Stop of
        true -> Done;
        false -> call(Sink), calls(Sink, Stop, Done + 1)
    end.

tells(_, _, 0) -> ok;
tells(Sink, Bytes, Left) -> Sink ! {tell, Bytes}, tells(Sink, Bytes, Left - 1).

%% The node suspends who sends when the connection has much to write: that is its bound.
tells_until(Sink, Bytes, Stop, Done) ->
    tells(Sink, Bytes, 16),
    case now_ns() >= Stop of
        true -> Done + 16;
        false -> tells_until(Sink, Bytes, Stop, Done + 16)
    end.

count(Sink) ->
    Reference = make_ref(),
    Sink ! {count, self(), Reference},
    receive {Reference, Count} -> Count end.
