//! All profiles of both files, merged as other tools do it.

use std::collections::{BTreeMap, BTreeSet};

use crate::s3::aws_files::ini::{IniProperty, IniSection, parse_ini};
use crate::s3::aws_files::note::{AwsFileLine, AwsFileNote};
use crate::s3::aws_files::section::{
    DEFAULT_PROFILE, SectionSubject, explain_near_miss, find_subject,
};
use crate::s3::aws_files::source::{AwsFile, AwsFileKind};

/// The content of both files. Holds secrets, so it has no `Debug`.
pub struct AwsFiles {
    /// In the order of the files.
    pub(super) profiles: Vec<ProfileSection>,
    pub(super) shared: Vec<SharedSection>,
    /// Sections that no tool reads.
    unknown: Vec<(AwsFileKind, IniSection)>,
    /// Lines at which other tools refuse the whole file.
    pub(super) notes: Vec<AwsFileNote>,
}

/// A profile, with the properties of both files.
pub(super) struct ProfileSection {
    pub(super) name: String,
    /// Its first section.
    pub(super) line: AwsFileLine,
    pub(super) properties: BTreeMap<String, IniProperty>,
    /// The names of the properties that are in the credentials file.
    pub(super) in_credentials_file: BTreeSet<String>,
    pub(super) notes: Vec<AwsFileNote>,
}

/// A section that profiles refer to.
pub(super) struct SharedSection {
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) properties: Vec<IniProperty>,
}

impl AwsFiles {
    /// Reads both files. A file that does not exist or cannot be read counts as empty.
    #[must_use]
    pub fn read() -> Self {
        Self::from_files([AwsFileKind::Config.read(), AwsFileKind::Credentials.read()])
    }

    pub(super) fn from_files(files: [AwsFile; 2]) -> Self {
        let mut merged = Self {
            profiles: Vec::new(),
            shared: Vec::new(),
            unknown: Vec::new(),
            notes: Vec::new(),
        };
        for file in files {
            merged.add_file(file);
        }
        merged
    }

    fn add_file(&mut self, file: AwsFile) {
        self.notes.extend(file.notes);
        let ini = parse_ini(&file.path, &file.text);
        self.notes.extend(ini.notes);

        let mut sections = Vec::new();
        for section in ini.sections {
            sections.push((find_subject(file.kind, &section), section));
        }
        let default_profile = SectionSubject::Profile(DEFAULT_PROFILE.to_owned());
        let is_plain_default = |section: &IniSection| section.header.trim() == DEFAULT_PROFILE;
        let has_prefixed_default = sections.iter().any(|((subject, _), section)| {
            *subject == default_profile && !is_plain_default(section)
        });
        for ((subject, note), section) in sections {
            match subject {
                SectionSubject::Profile(_)
                    if has_prefixed_default && is_plain_default(&section) =>
                {
                    let text = "has [default] beside [profile default], \
                                of which the aws CLI takes the last and Terraform the latter";
                    self.notes.push(AwsFileNote::new(section.line, text));
                }
                SectionSubject::Profile(name) => self.add_profile(file.kind, name, section, note),
                SectionSubject::Shared { kind, name } => self.shared.push(SharedSection {
                    kind,
                    name,
                    properties: section.properties,
                }),
                SectionSubject::Unknown => self.unknown.push((file.kind, section)),
            }
        }
    }

    fn add_profile(
        &mut self,
        kind: AwsFileKind,
        name: String,
        section: IniSection,
        note: Option<AwsFileNote>,
    ) {
        let known = self
            .profiles
            .iter()
            .position(|profile| profile.name == name);
        let index = known.unwrap_or_else(|| {
            self.profiles.push(ProfileSection {
                name,
                line: section.line,
                properties: BTreeMap::new(),
                in_credentials_file: BTreeSet::new(),
                notes: Vec::new(),
            });
            self.profiles.len() - 1
        });
        let profile = &mut self.profiles[index];
        profile.notes.extend(note);
        profile.notes.extend(section.notes);
        for property in section.properties {
            if kind == AwsFileKind::Credentials {
                profile.in_credentials_file.insert(property.name.clone());
            }
            profile.properties.insert(property.name.clone(), property);
        }
    }

    /// In the order of the files.
    #[must_use]
    pub fn profile_names(&self) -> Vec<&str> {
        self.profiles.iter().map(|it| it.name.as_str()).collect()
    }

    pub(super) fn find_profile(&self, name: &str) -> Option<&ProfileSection> {
        self.profiles.iter().find(|profile| profile.name == name)
    }

    pub(super) fn find_sso_session(&self, name: &str) -> Option<&SharedSection> {
        let is_wanted =
            |section: &&SharedSection| section.kind == "sso-session" && section.name == name;
        self.shared.iter().find(is_wanted)
    }

    /// Why this profile is missing, if the files give a hint.
    pub(super) fn explain_missing_profile(&self, name: &str) -> Option<AwsFileNote> {
        let mut sections = self.unknown.iter();
        let near_miss =
            sections.find_map(|(kind, section)| explain_near_miss(*kind, section, name));
        near_miss.or_else(|| self.notes.first().cloned())
    }
}

impl ProfileSection {
    /// The value of a property; `None` if it is missing or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.properties.get(name)?.text()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn has_access_key(&self) -> bool {
        self.has("aws_access_key_id") && self.has("aws_secret_access_key")
    }
}

impl SharedSection {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut properties = self.properties.iter();
        properties.find(|property| property.name == name)?.text()
    }
}
