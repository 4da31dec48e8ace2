//! The conformance suite over a store that is safe from the loss of power.

mod plug;

fn main() -> std::process::ExitCode {
    plug::suite(pinstate_fjall::Durable::Power).main()
}
