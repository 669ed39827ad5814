//! Prints what `spec` finds wrong with the files it is given: `cargo run -p spec --example complain -- FILE…`.

use std::io::Write;

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for file in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&file)?;
        let loaded = spec::load(&text, &file);
        writeln!(
            out,
            "{file}: {} documents, {} variants, {} faults, {} lints",
            loaded.documents.len(),
            loaded.documents.iter().map(|d| d.variants().len()).sum::<usize>(),
            loaded.faults.len(),
            loaded.lints.len()
        )?;
        for fault in loaded.faults.iter().chain(&loaded.lints) {
            writeln!(out, "{}\n", fault.render(&text, false))?;
        }
    }
    Ok(())
}
