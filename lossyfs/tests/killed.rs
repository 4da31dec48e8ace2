//! What a process that was killed leaves mounted is found, and what a living one has is not.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use lossyfs::LossyFs;
use pinstate_conformance::{Disk, strays};

/// Set for the process that mounts and is killed.
const VICTIM: &str = "LOSSYFS_VICTIM";

fn found() -> Vec<PathBuf> {
    strays().unwrap().iter().map(|stray| stray.path().to_owned()).collect()
}

#[test]
fn a_mount_is_a_stray_once_its_process_is_dead() {
    if std::env::var_os(VICTIM).is_some() {
        let disk = LossyFs::mount(false).unwrap();
        println!("\nmounted {}", disk.path().display());
        // Until it is killed.
        loop {
            std::thread::park();
        }
    }
    match LossyFs::mount(false) {
        Ok(living) => assert!(!found().contains(&living.path().to_owned())),
        Err(error) => {
            println!("skipped: nothing can be mounted here: {error}");
            return;
        }
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "a_mount_is_a_stray_once_its_process_is_dead", "--nocapture"]);
    let mut victim = command.env(VICTIM, "1").stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let path = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("mounted ").map(PathBuf::from))
        .expect("the victim says where it has mounted");
    assert!(!found().contains(&path), "a living process has it");
    victim.kill().unwrap();
    victim.wait().unwrap();
    let stray = strays().unwrap().into_iter().find(|stray| stray.path() == path);
    stray.expect("the mount of a dead process is found").remove().unwrap();
    assert!(!found().contains(&path) && !path.exists());
}
