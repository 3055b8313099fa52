//! Which profile, session or service a section describes.

use crate::s3::aws_files::ini::{IniSection, unquote};
use crate::s3::aws_files::note::AwsFileNote;
use crate::s3::aws_files::source::AwsFileKind;

pub(super) const DEFAULT_PROFILE: &str = "default";
const PROFILE_PREFIX: &str = "profile";

/// What a header names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SectionSubject {
    Profile(String),
    /// A `[sso-session NAME]` or `[services NAME]`, which profiles refer to.
    Shared {
        kind: &'static str,
        name: String,
    },
    /// Nothing that a tool would read.
    Unknown,
}

/// The subject of a section, and what is unusual about its header.
pub(super) fn find_subject(
    kind: AwsFileKind,
    section: &IniSection,
) -> (SectionSubject, Option<AwsFileNote>) {
    match kind {
        AwsFileKind::Config => subject_in_config(section),
        AwsFileKind::Credentials => subject_in_credentials(section),
    }
}

fn subject_in_config(section: &IniSection) -> (SectionSubject, Option<AwsFileNote>) {
    let header = section.header.trim();
    let Some((prefix, rest)) = header.split_once(char::is_whitespace) else {
        let subject = match header {
            DEFAULT_PROFILE => SectionSubject::Profile(header.to_owned()),
            _ => SectionSubject::Unknown,
        };
        return (subject, None);
    };
    let rest = rest.trim();
    let unquoted = unquote(rest);
    let name = unquoted.unwrap_or(rest).to_owned();

    let subject = match prefix {
        // The aws CLI takes `[profiles x]` for a profile, too.
        _ if prefix.starts_with(PROFILE_PREFIX) => SectionSubject::Profile(name),
        "sso-session" => shared("sso-session", name),
        "services" => shared("services", name),
        _ => return (SectionSubject::Unknown, None),
    };
    let text = if section.header.starts_with(char::is_whitespace) {
        Some("has a blank behind the `[`, for which the aws CLI ignores the section")
    } else if unquoted.is_none() && rest.contains(char::is_whitespace) {
        Some("has a name with a blank, for which the aws CLI wants quotes")
    } else {
        None
    };
    (subject, text.map(|text| header_note(section, text)))
}

fn subject_in_credentials(section: &IniSection) -> (SectionSubject, Option<AwsFileNote>) {
    let name = section.header.trim();
    let has_prefix = match name.split_once(char::is_whitespace) {
        Some((prefix, _)) => prefix == PROFILE_PREFIX,
        None => false,
    };
    if has_prefix {
        return (SectionSubject::Unknown, None);
    }
    let note = (name.len() < section.header.len()).then(|| {
        let text = "has a blank beside a bracket, for which the aws CLI ignores the section";
        header_note(section, text)
    });
    (SectionSubject::Profile(name.to_owned()), note)
}

/// Why a section that looks like the profile `wanted` is none.
pub(super) fn explain_near_miss(
    kind: AwsFileKind,
    section: &IniSection,
    wanted: &str,
) -> Option<AwsFileNote> {
    let header = section.header.trim();
    let last_word = header.rsplit(char::is_whitespace).next()?;
    if !last_word.eq_ignore_ascii_case(wanted) {
        return None;
    }
    let correct = match kind {
        AwsFileKind::Config => format!("[profile {wanted}]"),
        AwsFileKind::Credentials => format!("[{wanted}]"),
    };
    let text = format!("has [{header}], which must be {correct} there");
    Some(header_note(section, &text))
}

fn shared(kind: &'static str, name: String) -> SectionSubject {
    SectionSubject::Shared { kind, name }
}

fn header_note(section: &IniSection, text: &str) -> AwsFileNote {
    AwsFileNote::new(section.line.clone(), text)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::s3::aws_files::ini::parse_ini;

    fn subject_of(kind: AwsFileKind, line: &str) -> (SectionSubject, bool) {
        let file = parse_ini(Path::new("f"), line);
        let (subject, note) = find_subject(kind, &file.sections[0]);
        (subject, note.is_some())
    }

    fn profile(name: &str) -> SectionSubject {
        SectionSubject::Profile(name.to_owned())
    }

    #[test]
    fn the_config_file_names_profiles_with_a_prefix() {
        for (line, subject, has_note) in [
            ("[default]", profile("default"), false),
            ("[profile team]", profile("team"), false),
            ("[profile\t team ]", profile("team"), false),
            ("[profile 'my team']", profile("my team"), false),
            ("[profile \"team\"]", profile("team"), false),
            ("[profile my team]", profile("my team"), true),
            ("[ profile team]", profile("team"), true),
            ("[team]", SectionSubject::Unknown, false),
            ("[Profile team]", SectionSubject::Unknown, false),
            (
                "[sso-session corp]",
                shared("sso-session", "corp".to_owned()),
                false,
            ),
            ("[plugins]", SectionSubject::Unknown, false),
        ] {
            let found = subject_of(AwsFileKind::Config, line);
            assert_eq!(found, (subject, has_note), "{line}");
        }
    }

    #[test]
    fn the_credentials_file_has_no_prefix() {
        for (line, subject, has_note) in [
            ("[default]", profile("default"), false),
            ("[my team]", profile("my team"), false),
            ("[ team ]", profile("team"), true),
            ("[profile team]", SectionSubject::Unknown, false),
        ] {
            let found = subject_of(AwsFileKind::Credentials, line);
            assert_eq!(found, (subject, has_note), "{line}");
        }
    }

    #[test]
    fn a_near_miss_is_explained() {
        let section = |line| parse_ini(Path::new("f"), line).sections[0].clone();
        let note = explain_near_miss(AwsFileKind::Config, &section("[team]"), "team");
        let text = "line 1 of `f` has [team], which must be [profile team] there";
        assert_eq!(note.expect("a note").to_string(), text);
        let other = explain_near_miss(AwsFileKind::Config, &section("[teams]"), "team");
        assert_eq!(other, None);
    }
}
