//! Messages and calls between two tasklets. Try it: `cargo run --example ping_pong`.

use std::process::ExitCode;

use concurrence::{CallError, Message, Tasklet, dispatch, match_message};

/// Answered with the number that follows.
#[derive(Message)]
#[message(reply = u32)]
struct Ping(u32);

/// Sent, and not answered.
#[derive(Message)]
struct Thanks;

/// Serves until the last one who could send to it has gone.
fn pong() {
    for message in Tasklet::receive() {
        match_message!(match message {
            (Ping(number), reply) => {
                println!("ping {number}");
                reply.send(number + 1);
            }
            Thanks => println!("you are welcome"),
        });
    }
    println!("nobody is left to play with");
}

fn play() -> Result<(), CallError> {
    let pong = Tasklet::spawn(pong);
    let mut number = 1;
    while number < 4 {
        number = pong.call(Ping(number))?; // waits for the answer
        println!("pong {number}");
    }
    pong.send(Thanks)?; // does not wait
    Ok(())
}

fn main() -> ExitCode {
    dispatch(play)
}
