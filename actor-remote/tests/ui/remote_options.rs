use actor_core::remote;

#[remote(nmae = "bank")]
trait Misspelt {}

#[remote(name = "bank", name = "house")]
trait Twice {}

#[remote(name = "")]
trait Nameless {}

#[remote(name = "my bank")]
trait WithSpace {}

#[remote(name = "bank\t")]
trait WithTab {}

#[remote(name = bank)]
trait NoText {}

#[remote("bank")]
trait NoWord {}

fn main() {}
