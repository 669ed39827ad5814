//! From the text of a file to documents of which every variant, sabotaged or not, is valid.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    API_VERSION,
    benchmark::BenchmarkDocument,
    decode,
    document::Document,
    edit,
    fault::{Fault, Severity},
    lint::{self, Allowed, Doubt},
    node::{self, Extent, Node, Value},
    place::Places,
    substitute::{self, Scope},
    validate,
};

/// Most cases that the matrix of one document may make.
pub const MAX_VARIANTS: usize = 1000;

/// Kinds of the design that a later version serves.
const LATER_KINDS: [&str; 3] = ["HostCheck", "Suite", "StepTemplate"];

/// Kinds of documents, and their names.
const KINDS: [(&str, Kind); 2] = [("Test", Kind::Test), ("Benchmark", Kind::Benchmark)];

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What a subject must do.
    Test,
    /// How long it may take.
    Benchmark,
}

/// What a file gave.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Its documents; to be run only if there are no faults.
    pub documents: Vec<LoadedDocument>,
    /// Everything that is wrong with it, in the order of the file.
    pub faults: Vec<Fault>,
    /// Everything that is doubtful, in the order of the file.
    pub lints: Vec<Fault>,
}

/// One document of a file.
#[derive(Debug, Clone)]
pub struct LoadedDocument {
    /// The file as it was named.
    pub file: String,
    /// The tree as it was written.
    pub node: Node,
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Labels of the document.
    pub labels: BTreeMap<String, String>,
    /// Ids of its sabotages, in order.
    pub sabotages: Vec<String>,
}

/// One combination of matrix values.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Variant {
    /// The values by name; none of a document without a matrix.
    pub matrix: BTreeMap<String, serde_json::Value>,
    indexes: Vec<(String, usize)>,
}

/// A change of a spec that is not written in it.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Puts a value at a path below `spec`.
    Set(String, serde_json::Value),
    /// Takes away what is at a path below `spec`.
    Unset(String),
}

impl Variant {
    /// As in the id of a case: `limit=32Mi,cpus=2`; empty without a matrix. In the order of the spec.
    pub fn label(&self) -> String {
        let words: Vec<_> = self
            .indexes
            .iter()
            .map(|(name, _)| match &self.matrix[name] {
                serde_json::Value::String(text) => format!("{name}={text}"),
                other => format!("{name}={other}"),
            })
            .collect();
        words.join(",")
    }
}

/// Reads, decodes and checks a file: every document, every variant, every sabotage. Total: any text gives documents or
/// faults.
pub fn load(text: &str, file: &str) -> Loaded {
    let parsed = node::parse(text);
    let mut loaded = Loaded {
        documents: Vec::new(),
        faults: parsed.faults,
        lints: Vec::new(),
    };
    let mut of_the_text = parsed.lints;
    if parsed.documents.is_empty() && loaded.faults.is_empty() {
        loaded.faults.push(
            Fault::new(Extent::default(), "the file holds no spec")
                .hint("expected apiVersion, kind, metadata and spec"),
        );
    }
    let starts: Vec<_> = parsed.documents.iter().skip(1).map(|node| node.extent.at).collect();
    for (n, node) in parsed.documents.into_iter().enumerate() {
        let end = starts.get(n).copied();
        let (own, later) = of_the_text
            .into_iter()
            .partition(|lint: &Fault| end.is_none_or(|end| lint.extent.at < end));
        of_the_text = later;
        if let Some(document) = admit(node, file, &mut loaded.faults) {
            document.check(own, &mut loaded.faults, &mut loaded.lints);
            loaded.documents.push(document);
        }
    }
    let mut names: Vec<(&str, Extent)> = Vec::new();
    for document in &loaded.documents {
        if let Some((_, first)) = names.iter().find(|(name, _)| *name == document.name) {
            let fault = Fault::new(
                document.name_extent(),
                format!("duplicate test name `{}`", document.name),
            )
            .hint(format!("it stands on line {} already", first.at.line));
            loaded.faults.push(fault);
        }
        names.push((&document.name, document.name_extent()));
    }
    for (list, severity) in [
        (&mut loaded.faults, Severity::Error),
        (&mut loaded.lints, Severity::Warning),
    ] {
        for fault in list.iter_mut() {
            file.clone_into(&mut fault.file);
            fault.severity = severity;
        }
        list.sort_by_key(|fault| fault.extent.at);
        let mut told = BTreeSet::new();
        list.retain(|fault| told.insert((fault.extent.at, fault.message.clone())));
    }
    loaded
}

/// A fault for bytes that are not UTF-8: the place of the first that is not.
pub fn not_utf8(bytes: &[u8], file: &str) -> Option<Fault> {
    let error = std::str::from_utf8(bytes).err()?;
    let before = &bytes[..error.valid_up_to()];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |n| n + 1);
    let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
    let small = |number| u32::try_from(number).unwrap_or(u32::MAX);
    let byte = bytes[error.valid_up_to()];
    let mut fault = Fault::new(
        Extent::at(small(line), small(column), 1),
        format!("byte 0x{byte:02x} is not UTF-8"),
    )
    .hint("a spec is UTF-8 text");
    file.clone_into(&mut fault.file);
    Some(fault)
}

/// Lets a document in if its header is one that this version serves.
fn admit(node: Node, file: &str, faults: &mut Vec<Fault>) -> Option<LoadedDocument> {
    if !matches!(node.value, Value::Map(_)) {
        let fault = Fault::new(node.extent, format!("a spec is a map, found {}", node.kind()));
        faults.push(fault.hint("expected apiVersion, kind, metadata and spec"));
        return None;
    }
    match node.get("apiVersion").map(|n| (n, n.text())) {
        Some((_, Some(API_VERSION))) | None => {}
        Some((at, written)) => {
            let shown = written.map_or_else(|| at.kind().to_owned(), |text| format!("`{text}`"));
            let fault = Fault::new(at.extent, format!("unknown apiVersion {shown}"));
            faults.push(fault.hint(format!("this version reads `{API_VERSION}`")));
            return None;
        }
    }
    let served = format!(
        "this version serves {}",
        KINDS.map(|(name, _)| format!("`{name}`")).join(" and ")
    );
    let known = |name: &str| KINDS.iter().find(|(known, _)| *known == name);
    let kind = match node.get("kind").map(|n| (n, n.text())) {
        None => Kind::Test,
        Some((at, Some(kind))) if LATER_KINDS.contains(&kind) => {
            let fault = Fault::new(at.extent, format!("kind `{kind}` is not served by this version"));
            faults.push(fault.hint(served));
            return None;
        }
        Some((at, written)) => match written.and_then(known) {
            Some((_, kind)) => *kind,
            None => {
                let shown = written.map_or_else(|| at.kind().to_owned(), |text| format!("`{text}`"));
                let fault = Fault::new(at.extent, format!("unknown kind {shown}")).hint(served);
                faults.push(fault.suggest(written.unwrap_or_default(), KINDS.map(|(name, _)| name)));
                return None;
            }
        },
    };
    let metadata = node.get("metadata");
    let text = |node: &Node| node.text().map(str::to_owned);
    Some(LoadedDocument {
        file: file.to_owned(),
        kind,
        name: metadata.and_then(|m| m.get("name")).and_then(text).unwrap_or_default(),
        labels: metadata
            .and_then(|m| m.get("labels"))
            .map(Node::entries)
            .unwrap_or_default()
            .iter()
            .filter_map(|entry| Some((entry.key.clone(), text(&entry.node)?)))
            .collect(),
        sabotages: sabotages(&node)
            .filter_map(|sabotage| text(sabotage.get("id")?))
            .collect(),
        node,
    })
}

fn sabotages(document: &Node) -> impl Iterator<Item = &Node> {
    let list = document.get("spec").and_then(|spec| spec.get("sabotage"));
    list.map(Node::elements).unwrap_or_default().iter()
}

impl LoadedDocument {
    /// The combinations of its matrix in order, the last name changing fastest; one without values if it has none.
    pub fn variants(&self) -> Vec<Variant> {
        let matrix = self.matrix();
        let count = matrix.iter().try_fold(1usize, |count, (_, values)| {
            count.checked_mul(values.len()).filter(|count| *count <= MAX_VARIANTS)
        });
        let mut variants = vec![Variant::default()];
        if count.is_none() {
            return variants;
        }
        for (name, values) in matrix {
            variants = variants
                .into_iter()
                .flat_map(|variant| {
                    values.iter().enumerate().map(move |(index, value)| {
                        let mut variant = variant.clone();
                        variant.matrix.insert(name.to_owned(), value.to_json());
                        variant.indexes.push((name.to_owned(), index));
                        variant
                    })
                })
                .collect();
        }
        variants
    }

    /// Of a benchmark, the document with a variant's values and one sabotage, if one is named, put in.
    ///
    /// # Errors
    /// All faults; none of a benchmark that [`load`] found none in, unless the sabotage is not one of it.
    pub fn decode_benchmark(&self, variant: &Variant, sabotage: Option<&str>) -> Result<BenchmarkDocument, Vec<Fault>> {
        self.decoded(variant, sabotage).map(|(document, _)| document)
    }

    /// What it says of itself; empty if it says nothing.
    pub fn description(&self) -> &str {
        let description = self.node.get("spec").and_then(|spec| spec.get("description"));
        description.and_then(Node::text).unwrap_or_default()
    }

    /// Why an annotation stands in it.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        let annotations = self
            .node
            .get("metadata")
            .and_then(|metadata| metadata.get("annotations"));
        annotations?.get(name)?.text()
    }

    /// Of a test, the document with a variant's values and one sabotage, if one is named, put in.
    ///
    /// # Errors
    /// All faults; none of a test that [`load`] found none in, unless the sabotage is not one of it.
    pub fn decode(&self, variant: &Variant, sabotage: Option<&str>) -> Result<Document, Vec<Fault>> {
        self.decoded(variant, sabotage).map(|(document, _)| document)
    }

    /// As [`LoadedDocument::decode`], with the places of what was written.
    ///
    /// # Errors
    /// As [`LoadedDocument::decode`].
    pub fn decode_placed(&self, variant: &Variant, sabotage: Option<&str>) -> Result<(Document, Places), Vec<Fault>> {
        let (document, tree) = self.decoded::<Document>(variant, sabotage)?;
        let by = sabotages(&self.node).find(|s| sabotage.is_some() && s.get("id").and_then(Node::text) == sabotage);
        let places = tree.get("spec").map(|spec| Places::of(spec, by));
        Ok((document, places.unwrap_or_default()))
    }

    fn decoded<D: for<'de> serde::Deserialize<'de>>(
        &self,
        variant: &Variant,
        sabotage: Option<&str>,
    ) -> Result<(D, Node), Vec<Fault>> {
        let mut faults = Vec::new();
        let tree = self.tree(variant, sabotage, &mut faults);
        if faults.is_empty() {
            let decoded = decode::decode::<D>(&tree);
            faults = decoded.faults;
            if let (Some(document), true) = (decoded.value, faults.is_empty()) {
                return Ok((document, tree));
            }
        }
        for fault in &mut faults {
            self.file.clone_into(&mut fault.file);
        }
        Err(faults)
    }

    /// The document with a variant's values and changes that are not written in it.
    ///
    /// # Errors
    /// All faults: a path that is not there, a value that does not fit.
    pub fn decode_changed(&self, variant: &Variant, changes: &[Change]) -> Result<Document, Vec<Fault>> {
        let mut changed = self.clone();
        let at = self.name_extent();
        let spec = match &mut changed.node.value {
            Value::Map(entries) => entries.iter_mut().find(|entry| entry.key == "spec"),
            _ => None,
        };
        if let Some(spec) = spec {
            for change in changes {
                match change {
                    Change::Set(path, value) => edit::set(&mut spec.node, path, Node::of_json(value, at), at),
                    Change::Unset(path) => edit::unset(&mut spec.node, path, at),
                }
                .map_err(|fault| vec![*fault])?;
            }
        }
        changed.decode(variant, None)
    }

    fn matrix(&self) -> Vec<(&str, &[Node])> {
        let matrix = self.node.get("spec").and_then(|spec| spec.get("matrix"));
        let entries = matrix.map(Node::entries).unwrap_or_default();
        entries
            .iter()
            .map(|entry| (entry.key.as_str(), entry.node.elements()))
            .collect()
    }

    /// Ids of its checks, or of its thresholds.
    fn check_ids(&self) -> Vec<String> {
        if self.kind == Kind::Benchmark {
            return validate::thresholds(&self.node);
        }
        let steps = validate::PHASES
            .into_iter()
            .filter_map(|phase| self.node.get("spec")?.get(phase))
            .flat_map(Node::elements);
        let checks = steps.filter_map(|step| step.get("expect")).flat_map(Node::elements);
        let ids = checks.filter_map(|check| check.get("id")?.text());
        ids.map(str::to_owned).collect()
    }

    /// Where its name is written.
    pub fn name_extent(&self) -> Extent {
        let name = self.node.get("metadata").and_then(|metadata| metadata.get("name"));
        name.unwrap_or(&self.node).extent
    }

    /// The tree with sabotage, matrix values and variables put in, in this order.
    fn tree(&self, variant: &Variant, sabotage: Option<&str>, faults: &mut Vec<Fault>) -> Node {
        let mut tree = self.node.clone();
        if let Some(id) = sabotage {
            match sabotages(&self.node).find(|s| s.get("id").and_then(Node::text) == Some(id)) {
                Some(sabotage) => apply(&mut tree, sabotage, faults),
                None => faults.push(
                    Fault::new(
                        self.name_extent(),
                        format!("test `{}` has no sabotage `{id}`", self.name),
                    )
                    .suggest(id, self.sabotages.iter().map(String::as_str)),
                ),
            }
        }
        let Some(index) = tree.entries().iter().position(|entry| entry.key == "spec") else {
            return tree;
        };
        let Value::Map(header) = &mut tree.value else {
            return tree;
        };
        let spec = &mut header[index].node;
        let objects = validate::objects(self.node.get("spec"));
        let matrix = self.matrix();
        let mut scope = Scope {
            objects: objects.iter().map(String::as_str).collect(),
            ..Scope::default()
        };
        for (name, index) in &variant.indexes {
            let values = matrix.iter().find(|(key, _)| key == name).map(|(_, values)| *values);
            if let Some(value) = values.and_then(|values| values.get(*index)) {
                scope.matrix.insert(name, value);
            }
        }
        let vars = spec.get("vars").cloned();
        let mut values = Vec::new();
        for entry in vars.as_ref().map(Node::entries).unwrap_or_default() {
            let mut value = entry.node.clone();
            substitute::substitute(&mut value, &scope, faults);
            values.push((entry.key.as_str(), value));
        }
        scope.vars.extend(values);
        if let Value::Map(entries) = &mut spec.value {
            for entry in entries {
                if !matches!(entry.key.as_str(), "matrix" | "vars" | "sabotage") {
                    substitute::substitute(&mut entry.node, &scope, faults);
                }
            }
        }
        tree
    }

    /// Decodes and validates everything that can become of the document.
    /// `of_the_text` is what its text alone is doubtful for.
    fn check(&self, of_the_text: Vec<Fault>, faults: &mut Vec<Fault>, lints: &mut Vec<Fault>) {
        let before = faults.len();
        let allowed = Allowed::of(&self.node, &self.check_ids(), faults);
        lints.extend(allowed.silence(of_the_text.into_iter().map(Doubt::of_spec).collect()));
        for (name, values) in self.matrix() {
            if values.is_empty()
                && let Some(at) = self.node.get("spec").and_then(|s| s.get("matrix")?.get(name))
                && matches!(at.value, Value::List(_))
            {
                let fault = Fault::new(at.extent, format!("matrix `{name}` is empty"));
                faults.push(fault.hint("no case would be left; name at least one value"));
            }
        }
        let product = self.matrix().iter().try_fold(1usize, |n, (_, values)| {
            n.checked_mul(values.len()).filter(|n| *n <= MAX_VARIANTS)
        });
        if product.is_none() {
            let at = self
                .node
                .get("spec")
                .and_then(|s| s.entry("matrix"))
                .map_or(self.node.extent, |e| e.extent);
            faults.push(Fault::new(
                at,
                format!("the matrix makes more than {MAX_VARIANTS} cases"),
            ));
        }
        if faults.len() > before {
            return;
        }
        if self.kind == Kind::Benchmark {
            self.check_variants(&allowed, faults, lints, validate::benchmark, |_, _| Vec::new());
        } else {
            self.check_variants(
                &allowed,
                faults,
                lints,
                validate::validate,
                |document: &Document, tree| lint::doubts(&document.spec, tree, self.node.get("spec")),
            );
        }
        if faults.len() == before {
            lints.extend(allowed.unused());
        }
    }

    /// Decodes and validates every variant, as it is and under each sabotage.
    fn check_variants<D: for<'de> serde::Deserialize<'de>>(
        &self,
        allowed: &Allowed,
        faults: &mut Vec<Fault>,
        lints: &mut Vec<Fault>,
        validate: impl Fn(&D, &Node, &Node, &mut Vec<Fault>),
        doubts_of: impl Fn(&D, &Node) -> Vec<Doubt>,
    ) {
        let before = faults.len();
        for (n, variant) in self.variants().iter().enumerate() {
            let of = |fault: &mut Fault, sabotage: Option<&str>| {
                if n > 0 {
                    fault.message = format!("{} (with {})", fault.message, variant.label());
                }
                if let Some(id) = sabotage {
                    fault.message = format!("{} (under sabotage `{id}`)", fault.message);
                }
            };
            let known = faults.len();
            let mut own = Vec::new();
            let tree = self.tree(variant, None, &mut own);
            let decoded = decode::decode::<D>(&tree);
            own.extend(decoded.faults);
            if let Some(document) = &decoded.value {
                let pruned = decoded.pruned.as_ref().unwrap_or(&tree);
                validate(document, pruned, &tree, &mut own);
            }
            retain_new(&mut own, &faults[before..]);
            own.iter_mut().for_each(|fault| of(fault, None));
            faults.append(&mut own);
            if faults.len() > known {
                // What a sabotage does to a faulty spec tells nothing new.
                continue;
            }
            let Some(document) = &decoded.value else { continue };
            let mut doubts = doubts_of(document, &tree);
            for id in &self.sabotages {
                let healthy = &tree;
                let tree = self.tree(variant, Some(id), &mut own);
                if let Some(sabotage) = sabotages(&self.node).find(|s| s.get("id").and_then(Node::text) == Some(id)) {
                    lint::sabotage_without_change(&self.node, healthy, &tree, sabotage, &mut own, &mut doubts);
                }
                if own.is_empty() {
                    let decoded = decode::decode::<D>(&tree);
                    own.extend(decoded.faults);
                    if let Some(document) = decoded.value.filter(|_| own.is_empty()) {
                        validate(&document, &tree, &tree, &mut own);
                    }
                }
                retain_new(&mut own, &faults[before..]);
                own.iter_mut().for_each(|fault| of(fault, Some(id)));
                faults.append(&mut own);
            }
            lints.extend(allowed.silence(doubts));
        }
    }
}

fn retain_new(own: &mut Vec<Fault>, known: &[Fault]) {
    own.retain(|fault| {
        !known
            .iter()
            .any(|old| old.extent == fault.extent && old.message.starts_with(&fault.message))
    });
}

/// Changes the tree of a document as a sabotage says.
fn apply(document: &mut Node, sabotage: &Node, faults: &mut Vec<Fault>) {
    let Value::Map(entries) = &mut document.value else {
        return;
    };
    let Some(spec) = entries.iter_mut().find(|entry| entry.key == "spec") else {
        return;
    };
    for entry in sabotage.get("set").map(Node::entries).unwrap_or_default() {
        if let Err(fault) = edit::set(&mut spec.node, &entry.key, entry.node.clone(), entry.extent) {
            faults.push(*fault);
        }
    }
    for path in sabotage.get("unset").map(Node::elements).unwrap_or_default() {
        if let Some(text) = path.text()
            && let Err(fault) = edit::unset(&mut spec.node, text, path.extent)
        {
            faults.push(*fault);
        }
    }
}
