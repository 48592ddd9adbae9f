//! What a bank does for its tellers, and that it does it once.

use std::fs;

use crate::branches::{Answer, Directory, PATIENT, Teller, bank};
use crate::common::clients::stops_orderly;
use crate::common::{Program, eventually, example};

#[test]
fn money_goes_from_branch_to_branch() {
    let directory = Directory::new();
    let branches = bank(&directory);
    let mut teller = Teller::new(&branches, PATIENT);
    assert_eq!(teller.number("deposit ann@a 100"), 100);
    assert_eq!(teller.number("transfer ann@a bob@b 30"), 70);
    assert_eq!(teller.number("balance bob@b"), 30);
    assert_eq!(teller.number("transfer bob@b ann@a 10"), 20);
    assert_eq!(teller.number("transfer ann@a cid@a 5"), 75);
    assert_eq!(teller.ask("statement a"), Answer::Ok(vec![80, 0]));
    assert_eq!(teller.ask("statement b"), Answer::Ok(vec![20, 0]));
    let refused = |text: &str| Answer::Failed(text.into());
    assert_eq!(
        teller.ask("transfer bob@b ann@a 21"),
        refused("there are only 20")
    );
    assert_eq!(
        teller.ask("transfer bob@b ann@c 1"),
        refused("there is no such branch")
    );
    assert_eq!(teller.ask("make money"), refused("not an order"));
    drop(teller);
    for mut branch in branches {
        stops_orderly(branch.program.take().unwrap());
    }
}

#[test]
fn what_is_ordered_twice_is_done_once() {
    let directory = Directory::new();
    let mut branches = bank(&directory);
    let mut teller = Teller::new(&branches, PATIENT);
    for _ in 0..2 {
        for _ in 0..2 {
            // The answers are those of the first time.
            assert_eq!(teller.number("deposit ann@a 100 1"), 100);
            assert_eq!(teller.number("transfer ann@a bob@b 30 2"), 70);
            assert_eq!(teller.number("transfer ann@a cid@a 30 3"), 40);
        }
        assert_eq!(teller.number("balance ann@a"), 40);
        assert_eq!(teller.number("balance bob@b"), 30);
        assert_eq!(teller.number("balance cid@a"), 30);
        // Nor does a branch forget by being killed.
        for branch in &mut branches {
            branch.kill();
            branch.start();
        }
    }
}

#[test]
fn what_is_intended_is_done_after_a_crash() {
    let directory = Directory::new();
    let mut branches = bank(&directory);
    let mut teller = Teller::new(&branches, PATIENT);
    assert_eq!(teller.number("deposit ann@a 100"), 100);
    branches[1].kill();
    let mut hasty = Teller::new(&branches, "1");
    let answer = hasty.ask("transfer ann@a bob@b 30 7");
    assert!(matches!(answer, Answer::Unknown(_)), "{answer:?}");
    // Taken out, and not put in yet.
    assert_eq!(teller.ask("statement a"), Answer::Ok(vec![70, 30]));
    branches[0].kill();
    branches[0].start();
    assert_eq!(teller.ask("statement a"), Answer::Ok(vec![70, 30]));
    branches[1].start();
    // Whoever asks again is answered when it has arrived.
    assert_eq!(teller.number("transfer ann@a bob@b 30 7"), 70);
    assert_eq!(teller.number("balance bob@b"), 30);
    assert_eq!(teller.ask("statement a"), Answer::Ok(vec![70, 0]));
}

#[test]
fn half_an_entry_is_taken_away_and_damage_is_not() {
    let directory = Directory::new();
    let mut branches = bank(&directory);
    let mut teller = Teller::new(&branches, PATIENT);
    assert_eq!(teller.number("deposit ann@a 100"), 100);
    assert_eq!(teller.number("deposit ann@a 10"), 110);
    branches[0].kill();
    let journal = branches[0].directory.join("journal");
    let whole = fs::read(&journal).unwrap();
    fs::write(&journal, &whole[..whole.len() - 3]).unwrap();
    branches[0].start();
    assert_eq!(teller.number("balance ann@a"), 100);
    assert_eq!(teller.number("deposit ann@a 5"), 105);
    branches[0].kill();

    // One in the middle is nothing that a crash does.
    let mut damaged = fs::read(&journal).unwrap();
    damaged[30] ^= 1;
    fs::write(&journal, &damaged).unwrap();
    let branch = &branches[0];
    let mut command = example("remote_bank");
    command.args(["branch", "a", &branch.addr]);
    command.arg(&branch.directory).arg("b");
    let ended = Program::start(&mut command).ended();
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("damaged at line 1"),
        "{}",
        ended.stderr
    );
}

#[test]
fn what_is_forgotten_is_not_done_again() {
    let directory = Directory::new();
    let mut branches = bank(&directory);
    for branch in &mut branches {
        branch.memory = Some(3);
        branch.kill();
        branch.start();
    }
    let mut teller = Teller::new(&branches, PATIENT);
    assert_eq!(teller.number("deposit ann@a 100 10"), 100);
    assert_eq!(teller.number("transfer ann@a bob@b 30 20"), 70);
    for (id, sum) in [(30, 71), (40, 72), (50, 73)] {
        assert_eq!(teller.number(&format!("deposit ann@a 1 {id}")), sum);
    }
    let too_old = Answer::Unknown("it is too old to be known".into());
    for _ in 0..2 {
        // What is remembered is answered as before; what is below it may have been done, or not.
        assert_eq!(teller.number("deposit ann@a 1 40"), 72);
        assert_eq!(teller.ask("deposit ann@a 100 10"), too_old);
        assert_eq!(teller.ask("transfer ann@a bob@b 30 20"), too_old);
        assert_eq!(teller.ask("deposit ann@a 1 15"), too_old);
        assert_eq!(teller.ask("statement a"), Answer::Ok(vec![73, 0]));
        assert_eq!(teller.ask("statement b"), Answer::Ok(vec![30, 0]));
        branches[0].kill();
        branches[0].start();
    }
}

#[test]
fn what_is_under_way_is_not_forgotten() {
    let directory = Directory::new();
    let mut branches = bank(&directory);
    branches[0].memory = Some(1);
    branches[0].kill();
    branches[0].start();
    let mut teller = Teller::new(&branches, PATIENT);
    assert_eq!(teller.number("deposit ann@a 100 1"), 100);
    branches[1].kill();
    let mut hasty = Teller::new(&branches, "0.3");
    for id in [10, 11] {
        let answer = hasty.ask(&format!("transfer ann@a bob@b 30 {id}"));
        assert!(matches!(answer, Answer::Unknown(_)), "{answer:?}");
    }
    // All of them are forgotten as orders, and the money is not.
    assert_eq!(teller.number("deposit ann@a 1 20"), 41);
    branches[0].kill();
    branches[0].start();
    assert_eq!(teller.ask("statement a"), Answer::Ok(vec![41, 60]));
    branches[1].start();
    eventually("it has arrived", || {
        teller.ask("statement a") == Answer::Ok(vec![41, 0])
    });
    assert_eq!(teller.number("balance bob@b"), 60);
    // Remittances are counted, and counted on after a restart.
    for branch in &mut branches {
        branch.kill();
        branch.start();
    }
    assert_eq!(teller.number("transfer ann@a bob@b 1 30"), 40);
    assert_eq!(teller.number("balance bob@b"), 61);
}
