%% The programs of the group `actors`, with processes. Each checks its result.
-module(actors).
-export([main/1]).

main([Metric]) ->
    Value = measure(Metric),
    io:format("FIGURE ~s ~w~n", [Metric, Value]),
    halt(0).

measure("hop_2") -> ring(2);
measure("hop_1000") -> ring(1000);
measure("send_1_to_1") -> sends(1);
measure("send_16_to_1") -> sends(16);
measure("ask") -> ask();
measure("spawn_1") -> spawns(1);
measure("spawn_10000") -> spawns(10000);
measure("idle") -> idle(200000);
measure("million") -> million(1000000);
measure("skynet") -> skynet().

%% A batch to warm up and then batches for 300 ms: the nanoseconds that one thing took.
nanoseconds_each(Batch) ->
    Batch(),
    more(Batch, 0, erlang:monotonic_time(nanosecond)).

more(Batch, Done, Start) ->
    Now = Done + Batch(),
    case erlang:monotonic_time(nanosecond) - Start of
        Elapsed when Elapsed >= 300000000 -> Elapsed / Now;
        _ -> more(Batch, Now, Start)
    end.

%% A token goes round; every node it comes to adds its number.
ring(Nodes) ->
    Main = self(),
    Last = spawn_link(fun() -> receive {next, Next} -> node(Nodes - 1, Next, Main) end end),
    First = lists:foldl(
        fun(N, Next) -> spawn_link(fun() -> node(N, Next, Main) end) end,
        Last,
        lists:seq(Nodes - 2, 0, -1)),
    Last ! {next, First},
    Hops = 100000,
    Expected = Hops div Nodes * (Nodes * (Nodes - 1) div 2),
    nanoseconds_each(fun() ->
        First ! {token, Hops, 0},
        receive {sum, Expected} -> Hops end
    end).

node(N, Next, Main) ->
    receive
        {token, 0, Sum} -> Main ! {sum, Sum};
        {token, Left, Sum} -> Next ! {token, Left - 1, Sum + N}
    end,
    node(N, Next, Main).

%% Every sender has at most two windows of messages under way.
sends(Senders) ->
    Main = self(),
    Messages = 1 bsl 18,
    Share = Messages div Senders,
    Window = 512 div Senders,
    Receiver = spawn_link(fun() -> receiver(Messages, 0, 0, Main) end),
    All = [spawn_link(fun() -> sender(Receiver, Window, Share) end) || _ <- lists:seq(1, Senders)],
    Expected = Senders * Share * (Share + 1) div 2,
    nanoseconds_each(fun() ->
        [Sender ! 'begin' || Sender <- All],
        receive {sum, Expected} -> Messages end
    end).

receiver(Messages, Messages, Sum, Main) ->
    Main ! {sum, Sum},
    receiver(Messages, 0, 0, Main);
receiver(Messages, Count, Sum, Main) ->
    receive
        {number, N} -> receiver(Messages, Count + 1, Sum + N, Main);
        {number, N, From} ->
            From ! more,
            receiver(Messages, Count + 1, Sum + N, Main)
    end.

sender(Receiver, Window, Share) ->
    receive 'begin' -> ok end,
    window(Receiver, 1, Window),
    send_more(Receiver, Window, Share, Window),
    sender(Receiver, Window, Share).

send_more(Receiver, Window, Share, Sent) ->
    window(Receiver, Sent + 1, Sent + Window),
    receive more -> ok end,
    case Sent + Window of
        Share -> receive more -> ok end;
        Next -> send_more(Receiver, Window, Share, Next)
    end.

window(Receiver, Last, Last) ->
    Receiver ! {number, Last, self()};
window(Receiver, N, Last) ->
    Receiver ! {number, N},
    window(Receiver, N + 1, Last).

%% As gen_server:call does it, but for its options.
ask() ->
    Answerer = spawn_link(fun answerer/0),
    Questions = 10000,
    nanoseconds_each(fun() -> ask(Answerer, Questions), Questions end).

ask(_, 0) -> ok;
ask(Answerer, N) ->
    Ref = monitor(process, Answerer, [{alias, reply_demonitor}]),
    Answerer ! {next, Ref, N},
    Next = N + 1,
    receive {Ref, Next} -> ask(Answerer, N - 1) end.

answerer() ->
    receive {next, Ref, N} -> Ref ! {Ref, N + 1} end,
    answerer().

%% Processes that are spawned, told to stop, and known to have ended.
spawns(AtOnce) ->
    Actors = 10000,
    nanoseconds_each(fun() -> spawns(AtOnce, Actors), Actors end).

spawns(_, 0) -> ok;
spawns(AtOnce, Left) ->
    All = [spawn_monitor(fun() -> mortal(N) end) || N <- lists:seq(1, AtOnce)],
    [Pid ! stop || {Pid, _} <- All],
    Sum = lists:sum([receive {'DOWN', Ref, process, _, {state, N}} -> N end || {_, Ref} <- All]),
    Sum = AtOnce * (AtOnce + 1) div 2,
    spawns(AtOnce, Left - AtOnce).

mortal(N) ->
    receive stop -> exit({state, N}) end.

%% Many processes with a number each, idle but for one message.
gather(Actors, AtOnce) ->
    Main = self(),
    lists:append([begin
        Some = [spawn(fun() -> idler(N) end) || N <- lists:seq(First, First + AtOnce - 1)],
        [Pid ! {sign, Main} || Pid <- Some],
        signed(AtOnce, AtOnce * (2 * First + AtOnce - 1) div 2),
        Some
    end || First <- lists:seq(0, Actors - 1, AtOnce)]).

idler(N) ->
    receive {sign, Main} -> Main ! {signed, N} end,
    idler(N).

signed(0, 0) -> ok;
signed(Missing, Sum) ->
    receive {signed, N} -> signed(Missing - 1, Sum - N) end.

idle(Actors) ->
    gather(1000, 100),
    Before = resident(),
    All = gather(Actors, 100),
    Bytes = resident() - Before,
    Actors = length(All),
    Bytes / Actors.

resident() ->
    {ok, Sizes} = file:read_file("/proc/self/statm"),
    [_, Pages | _] = binary:split(Sizes, <<" ">>, [global]),
    binary_to_integer(Pages) * 4096.

million(Actors) ->
    Start = erlang:monotonic_time(nanosecond),
    All = gather(Actors, Actors),
    Elapsed = erlang:monotonic_time(nanosecond) - Start,
    Actors = length(All),
    Elapsed / 1.0e6.

%% A tree, ten below each, with a million leaves.
skynet() ->
    Leaves = 1000000,
    Main = self(),
    Start = erlang:monotonic_time(nanosecond),
    spawn_link(fun() -> tree(Main, 0, Leaves) end),
    receive {sum, 499999500000} -> ok end,
    (erlang:monotonic_time(nanosecond) - Start) / 1.0e6.

tree(Parent, First, 1) ->
    Parent ! {sum, First};
tree(Parent, First, Size) ->
    Me = self(),
    Below = Size div 10,
    [spawn(fun() -> tree(Me, First + N * Below, Below) end) || N <- lists:seq(0, 9)],
    Parent ! {sum, sum(10, 0)}.

sum(0, Sum) -> Sum;
sum(Missing, Sum) ->
    receive {sum, N} -> sum(Missing - 1, Sum + N) end.
