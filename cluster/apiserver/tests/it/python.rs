//! The client library for Python, where it is installed.

use std::process::{Command, Stdio};

use crate::scene::Scene;

const SCRIPT: &str = include_str!("python.py");

#[test]
fn the_client_for_python_works() {
    let asked = Command::new("python3")
        .args(["-c", "import kubernetes"])
        .stderr(Stdio::null())
        .status();
    if !asked.is_ok_and(|status| status.success()) {
        println!("skipped: python3 has no module `kubernetes`");
        return;
    }
    let scene = Scene::start();
    scene.write("script.py", SCRIPT);
    let mut client = Command::new("python3")
        .arg("script.py")
        .current_dir(scene.home())
        .spawn()
        .expect("python3 runs");
    // It waits for its pod to have a node.
    let input = scene.home().join("bind-now");
    let begun = std::time::Instant::now();
    let mut bound = false;
    let status = loop {
        if let Some(status) = client.try_wait().expect("it can be asked") {
            break status;
        }
        if !bound && input.exists() {
            scene.bind("p");
            bound = true;
        }
        assert!(begun.elapsed().as_secs() < 120, "the client does not end");
        scene.pause();
    };
    assert!(status.success() && bound);
}
