//! Which names Kubernetes takes, and what it says about the others.
//!
//! Each check answers with sentences; none means that the name is good. They are Kubernetes' own words, since
//! clients and people look for them.
//! See <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>.

const LABEL_FORM: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN_FORM: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const DNS1035_FORM: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const QUALIFIED_FORM: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const QUALIFIED_SENTENCE: &str =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

/// Characters that a generated suffix is made of: no vowels, so no words.
const SUFFIX: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// Characters of a generated name before its suffix.
const LONGEST_PREFIX: usize = 58;

/// Longest DNS label.
pub const LABEL_LENGTH: usize = 63;
/// Longest DNS name.
pub const SUBDOMAIN_LENGTH: usize = 253;

/// A name made of a prefix and five characters, which a random number chooses.
pub fn generate(prefix: &str, random: u64) -> String {
    let mut name: String = prefix.chars().take(LONGEST_PREFIX).collect();
    let mut rest = random;
    for _ in 0..5 {
        name.push(SUFFIX[(rest % 27) as usize] as char);
        rest /= 27;
    }
    name
}

/// A number as a word of the same characters, as `pod-template-hash` is written.
pub fn safe_word(text: &str) -> String {
    text.bytes().map(|byte| SUFFIX[byte as usize % 27] as char).collect()
}

/// A label of the DNS by RFC 1123: most names.
pub fn dns1123_label(name: &str) -> Vec<String> {
    let mut faults = too_long(name, LABEL_LENGTH);
    if is_label(name) {
    } else if is_subdomain(name) {
        faults.push("must not contain dots".into());
    } else {
        faults.push(form(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
            LABEL_FORM,
            &["my-name", "123-abc"],
        ));
    }
    faults
}

/// Labels with dots between them.
pub fn dns1123_subdomain(name: &str) -> Vec<String> {
    let mut faults = too_long(name, SUBDOMAIN_LENGTH);
    if !is_subdomain(name) {
        faults.push(form(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
            SUBDOMAIN_FORM,
            &["example.com"],
        ));
    }
    faults
}

/// A label of the DNS by RFC 1035, which begins with a letter: services.
pub fn dns1035_label(name: &str) -> Vec<String> {
    let mut faults = too_long(name, LABEL_LENGTH);
    if !is_label(name) || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        faults.push(form(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
            DNS1035_FORM,
            &["my-name", "abc-123"],
        ));
    }
    faults
}

/// `name` or `example.com/name`: keys of labels and annotations, resources, finalizers.
pub fn qualified(name: &str) -> Vec<String> {
    let examples = &["MyName", "my.name", "123-abc"];
    let mut faults = Vec::new();
    let part = match name.split('/').collect::<Vec<_>>().as_slice() {
        [part] => *part,
        [prefix, part] => {
            if prefix.is_empty() {
                faults.push("prefix part must be non-empty".into());
            } else {
                let each = dns1123_subdomain(prefix).into_iter();
                faults.extend(each.map(|fault| format!("prefix part {fault}")));
            }
            *part
        }
        _ => {
            let sentence = form(QUALIFIED_SENTENCE, QUALIFIED_FORM, examples);
            return vec![format!(
                "a qualified name {sentence} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if part.is_empty() {
        faults.push("name part must be non-empty".into());
    }
    faults.extend(
        too_long(part, LABEL_LENGTH)
            .iter()
            .map(|fault| format!("name part {fault}")),
    );
    if !is_word(part) {
        faults.push(format!(
            "name part {}",
            form(QUALIFIED_SENTENCE, QUALIFIED_FORM, examples)
        ));
    }
    faults
}

/// What a label may hold.
pub fn label_value(value: &str) -> Vec<String> {
    let mut faults = too_long(value, LABEL_LENGTH);
    if !value.is_empty() && !is_word(value) {
        faults.push(form(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
            "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?",
            &["MyValue", "my_value", "12345"],
        ));
    }
    faults
}

/// A name that becomes part of a path.
pub fn path_segment(name: &str) -> Vec<String> {
    if matches!(name, "." | "..") {
        return vec![format!("may not be '{name}'")];
    }
    let contained = ["/", "%"].into_iter().filter(|text| name.contains(text));
    contained.map(|text| format!("may not contain '{text}'")).collect()
}

/// Key of a ConfigMap or Secret, which becomes a file.
pub fn config_key(key: &str) -> Vec<String> {
    let mut faults = too_long(key, SUBDOMAIN_LENGTH);
    let is_good = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if key.is_empty() || !key.chars().all(is_good) {
        faults.push(form(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            "[-._a-zA-Z0-9]+",
            &["key.name", "KEY_NAME", "key-name"],
        ));
    }
    faults.extend(dots(key));
    faults
}

/// Name of an environment variable.
pub fn env(name: &str) -> Vec<String> {
    let is_good = |c: char| c.is_ascii_graphic() || c == ' ';
    if name.is_empty() {
        return vec!["environment variable name must be non-empty".into()];
    }
    if !name.chars().all(|c| is_good(c) && c != '=') {
        return vec![
            "a valid environment variable name must consist only of printable ASCII characters other than '='".into(),
        ];
    }
    Vec::new()
}

/// Name of a port: a service name by RFC 6335.
pub fn port(name: &str) -> Vec<String> {
    let mut faults = too_long(name, 15);
    let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    for (is_bad, sentence) in [
        (
            name.is_empty() || !name.chars().all(is_good),
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
        ),
        (
            !name.contains(|c: char| c.is_ascii_lowercase()),
            "must contain at least one letter (a-z)",
        ),
        (name.contains("--"), "must not contain consecutive hyphens"),
        (
            name.starts_with('-') || name.ends_with('-'),
            "must not begin or end with a hyphen",
        ),
    ] {
        if is_bad {
            faults.push(sentence.into());
        }
    }
    faults
}

/// Number of a port.
pub fn port_number(port: i64) -> Vec<String> {
    in_range(port, 1, 65_535)
}

/// A number between two others, both allowed.
pub fn in_range(number: i64, least: i64, most: i64) -> Vec<String> {
    if (least..=most).contains(&number) {
        return Vec::new();
    }
    vec![format!("must be between {least} and {most}, inclusive")]
}

/// Name of an HTTP header.
pub fn http_header(name: &str) -> Vec<String> {
    if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Vec::new();
    }
    vec![form(
        "a valid HTTP header must consist of alphanumeric characters or '-'",
        "[-A-Za-z0-9]+",
        &["X-Header-Name"],
    )]
}

/// A share such as `25%`.
pub fn percent(text: &str) -> Vec<String> {
    let digits = text.strip_suffix('%').unwrap_or("");
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Vec::new();
    }
    vec![form(
        "a valid percent string must be a numeric string followed by an ending '%'",
        "[0-9]+%",
        &["1%", "93%"],
    )]
}

fn dots(name: &str) -> Option<String> {
    match name {
        "." => Some("must not be '.'".into()),
        ".." => Some("must not be '..'".into()),
        _ if name.starts_with("..") => Some("must not start with '..'".into()),
        _ => None,
    }
}

fn too_long(name: &str, most: usize) -> Vec<String> {
    if name.len() <= most {
        return Vec::new();
    }
    vec![format!("must be no more than {most} characters")]
}

fn form(sentence: &str, form: &str, examples: &[&str]) -> String {
    let examples: Vec<_> = examples.iter().map(|one| format!("'{one}', ")).collect();
    format!(
        "{sentence} (e.g. {}regex used for validation is '{form}')",
        examples.join(" or ")
    )
}

fn is_label(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    framed(name, is_inner, |byte| is_inner(byte) || byte == b'-')
}

fn is_subdomain(name: &str) -> bool {
    name.split('.').all(is_label)
}

fn is_word(name: &str) -> bool {
    framed(
        name,
        |byte| byte.is_ascii_alphanumeric(),
        |byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte),
    )
}

/// Whether the first and last character pass one test, and all the other.
fn framed(name: &str, end: impl Fn(u8) -> bool, inner: impl Fn(u8) -> bool) -> bool {
    let bytes = name.as_bytes();
    matches!((bytes.first(), bytes.last()), (Some(first), Some(last)) if end(*first) && end(*last))
        && bytes.iter().all(|byte| inner(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names_have_no_faults() {
        assert!(dns1123_label("123-abc").is_empty());
        assert!(dns1123_subdomain("a.b-c.d").is_empty());
        assert!(dns1035_label("abc-123").is_empty());
        assert!(qualified("example.com/My_Name.1").is_empty());
        assert!(label_value("").is_empty());
        assert!(config_key("..data-x").len() == 1 && config_key(".a_b-C").is_empty());
        assert!(env("a b").is_empty());
        assert!(port("http-1").is_empty());
        assert!(percent("25%").is_empty());
    }

    #[test]
    fn faults_are_told_as_kubernetes_does() {
        assert_eq!(
            dns1123_subdomain("Pod_1"),
            [
                r"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            ]
        );
        assert_eq!(dns1123_label("a.b"), ["must not contain dots"]);
        assert!(dns1035_label("1a")[0].contains("(e.g. 'my-name',  or 'abc-123', regex"));
        assert_eq!(qualified("a/b/c").len(), 1);
        assert_eq!(qualified("/a")[0], "prefix part must be non-empty");
        assert_eq!(label_value(&"a".repeat(64)), ["must be no more than 63 characters"]);
        assert_eq!(path_segment(".."), ["may not be '..'"]);
        assert_eq!(
            port("--"),
            [
                "must contain at least one letter (a-z)",
                "must not contain consecutive hyphens",
                "must not begin or end with a hyphen"
            ]
        );
    }

    #[test]
    fn generated_names_end_in_five_characters_and_fit_a_label() {
        let name = generate(&"a".repeat(70), 12_345_678);
        assert_eq!(name.len(), 63);
        assert!(dns1123_label(&name).is_empty());
        assert_eq!(generate("web-", 0), "web-bbbbb");
        assert_ne!(generate("web-", 1), generate("web-", 27));
    }
}
