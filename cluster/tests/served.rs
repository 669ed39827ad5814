//! `docs/cluster.md` lists exactly the kinds that are served. `SNAPSHOTS=overwrite` writes it anew.

use std::path::Path;

use objects::kind::KINDS;

/// What stands above the rows.
const HEAD: &str = "| apiVersion | kind | resource | short | below it |\n|---|---|---|---|---|\n";

#[test]
fn the_table_of_the_manual_is_what_is_served() {
    let rows: String = KINDS
        .iter()
        .map(|kind| {
            let below: Vec<&str> = kind.subresources.iter().map(|one| one.name).collect();
            let only = if kind.stored { "" } else { " (create only)" };
            format!(
                "| {} | {}{only} | {} | {} | {} |\n",
                kind.api_version(),
                kind.kind,
                kind.plural,
                kind.short.join(", "),
                below.join(", "),
            )
        })
        .collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cluster.md");
    let manual = std::fs::read_to_string(&path).expect("the manual");
    let begin = manual.find(HEAD).expect("the table's head") + HEAD.len();
    let end = begin
        + manual[begin..]
            .find("\nAnything else is a 404")
            .expect("what follows the table");
    if std::env::var_os("SNAPSHOTS").is_some_and(|value| value == "overwrite") {
        let text = format!("{}{rows}{}", &manual[..begin], &manual[end..]);
        std::fs::write(&path, text).expect("the manual is written");
        return;
    }
    assert_eq!(
        &manual[begin..end],
        rows,
        "SNAPSHOTS=overwrite brings the manual up to date"
    );
}
