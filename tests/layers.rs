//! Enforces the layers of docs/ARCHITECTURE.md: which module may use which, and
//! which crates each module must not use.

#![allow(
    clippy::unwrap_used,
    reason = "in a test's helper, too, a panic is the report"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use syn::{ItemMod, ItemUse, Path as SynPath, UseTree, visit::Visit};

/// What each module may name of the others.
const LAYERS: [(&str, &[&str]); 18] = [
    ("domain", &[]),
    ("config", &[]),
    ("private_file", &[]),
    ("telemetry", &["domain"]),
    ("auth", &["domain", "private_file", "telemetry"]),
    ("proto", &["domain"]),
    ("store", &["domain", "private_file"]),
    ("blobs", &["domain"]),
    ("supervisor", &[]),
    ("scratch", &["telemetry"]),
    ("transport", &[]),
    (
        "engine",
        &["domain", "proto", "store", "blobs", "auth", "telemetry"],
    ),
    (
        "runner",
        &[
            "domain",
            "proto",
            "config",
            "engine",
            "supervisor",
            "scratch",
            "transport",
            "telemetry",
        ],
    ),
    (
        "api",
        &["domain", "proto", "store", "engine", "auth", "telemetry"],
    ),
    ("http", &["auth", "config", "private_file", "telemetry"]),
    (
        "server",
        &[
            "domain",
            "proto",
            "store",
            "blobs",
            "scratch",
            "runner",
            "engine",
            "auth",
            "api",
            "http",
            "config",
            "telemetry",
        ],
    ),
    (
        "cli",
        &[
            "proto",
            "transport",
            "store",
            "server",
            "runner",
            "auth",
            "config",
            "private_file",
            "telemetry",
        ],
    ),
    ("fuzzing", &["api", "auth", "cli", "http", "runner"]),
];

/// A submodule, and the submodules that it may use.
type Submodule = (&'static str, &'static [&'static str]);

/// The other submodules of the same layer that each submodule may use. A submodule
/// is a file or a folder directly inside the layer. It stands after those that it
/// may use, so that there is no cycle. The layer's own `mod.rs` is not checked.
const INSIDE: [(&str, &[Submodule]); 2] = [
    (
        "engine",
        &[
            ("settings", &[]),
            ("jitter", &[]),
            ("environment", &[]),
            ("call", &[]),
            ("error", &[]),
            ("access", &["call", "error"]),
            ("durability", &["error"]),
            ("tasks", &["jitter", "environment"]),
            (
                "journal",
                &["jitter", "call", "error", "access", "environment", "tasks"],
            ),
            ("lifecycle", &["journal"]),
            ("signals", &["journal"]),
            ("logs", &["journal", "tasks"]),
            (
                "budgets",
                &["settings", "call", "error", "journal", "signals"],
            ),
            (
                "runners",
                &[
                    "settings",
                    "environment",
                    "error",
                    "tasks",
                    "journal",
                    "lifecycle",
                    "signals",
                    "logs",
                ],
            ),
            (
                "jobs",
                &[
                    "settings",
                    "call",
                    "error",
                    "access",
                    "tasks",
                    "journal",
                    "lifecycle",
                    "signals",
                    "budgets",
                    "runners",
                ],
            ),
            (
                "projects",
                &["call", "error", "access", "journal", "budgets"],
            ),
            (
                "pipelines",
                &[
                    "call", "error", "access", "journal", "budgets", "jobs", "projects",
                ],
            ),
            (
                "stats",
                &["error", "environment", "journal", "signals", "runners"],
            ),
            ("tests", &["jitter"]),
        ],
    ),
    (
        "runner",
        &[
            ("leases", &[]),
            ("mask", &[]),
            ("log", &["leases", "mask"]),
            ("process", &["leases"]),
            ("workspace", &["leases", "process"]),
            (
                "actions",
                &["leases", "mask", "log", "process", "workspace"],
            ),
            ("stage", &["leases", "process", "workspace", "actions"]),
            ("settings", &[]),
            (
                "agent",
                &[
                    "leases",
                    "process",
                    "workspace",
                    "actions",
                    "stage",
                    "settings",
                ],
            ),
            ("fuzzing", &["mask", "workspace"]),
        ],
    ),
];

/// Names that must not occur in a module, and why.
const BANNED: [(&str, &str, &str); 15] = [
    ("domain", "tokio", "the domain never awaits"),
    ("domain", "tonic", "the domain does not know gRPC"),
    ("domain", "prost", "the domain does not know protobuf"),
    ("domain", "prost_types", "the domain does not know protobuf"),
    ("domain", "std::fs", "the domain touches no file"),
    ("domain", "SystemTime::now", "time comes in as an argument"),
    ("config", "clap", "flags are but one source of settings"),
    ("proto", "tokio", "conversions never await"),
    ("store", "tonic", "the store does not know gRPC"),
    ("blobs", "tonic", "bytes do not know gRPC"),
    ("supervisor", "tokio", "it forks, so it has one thread"),
    ("runner", "tonic", "the runner knows only its seam"),
    (
        "engine",
        "tonic",
        "the engine does not know how it is called",
    ),
    ("engine", "SystemTime::now", "time comes in as an argument"),
    (
        "auth",
        "tonic",
        "credentials do not depend on how they arrive",
    ),
];

/// The only place where the clock is read.
const CLOCK: &str = "environment";
/// The only place where the runner reaches a service.
const REMOTE: &str = "remote";

#[test]
fn every_module_uses_only_allowed_modules() {
    let mut wrong = Vec::new();
    for (layer, file) in sources() {
        let allowed = LAYERS.iter().find(|(name, _)| *name == layer);
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("{layer} is in no layer"));
        for path in paths(&file) {
            let module = path
                .strip_prefix("crate::")
                .and_then(|rest| rest.split("::").next());
            if let Some(module) = module
                && module != layer
                && LAYERS.iter().any(|(name, _)| *name == module)
                && !allowed.contains(&module)
            {
                wrong.push(format!(
                    "{}: {layer} must not know {module}",
                    file.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_submodule_uses_only_allowed_submodules() {
    let mut wrong = Vec::new();
    for (layer, submodules) in INSIDE {
        let files = sources().into_iter().filter(|(of, _)| of == layer);
        for (_, file) in files {
            let Some(submodule) = module(&file).into_iter().nth(1) else {
                continue;
            };
            let allowed = submodules.iter().find(|(name, _)| *name == submodule);
            let (_, allowed) =
                allowed.unwrap_or_else(|| panic!("{layer}/{submodule} is not in the table"));
            for other in submodules_named(&paths(&file), layer, submodules) {
                if other != submodule && !allowed.contains(&other) {
                    wrong.push(format!(
                        "{}: {submodule} must not know {other}",
                        file.display()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn submodules_use_only_those_listed_before_them() {
    for (layer, submodules) in INSIDE {
        let names: Vec<_> = submodules.iter().map(|(name, _)| *name).collect();
        for (index, (submodule, allowed)) in submodules.iter().enumerate() {
            for other in *allowed {
                assert!(
                    names[..index].contains(other),
                    "{layer}: {submodule} may know {other}, which does not stand before it"
                );
            }
        }
    }
}

/// The submodules of a layer that these paths lead into.
fn submodules_named(
    paths: &BTreeSet<String>,
    layer: &str,
    submodules: &[Submodule],
) -> BTreeSet<&'static str> {
    let inside = format!("crate::{layer}::");
    let named = paths.iter().filter_map(|path| {
        let submodule = path.strip_prefix(&inside)?.split("::").next()?;
        submodules.iter().find(|(name, _)| *name == submodule)
    });
    named.map(|(name, _)| *name).collect()
}

#[test]
fn banned_names_do_not_occur() {
    let mut wrong = Vec::new();
    for (layer, file) in sources() {
        let paths = paths(&file);
        for (_, banned, reason) in BANNED.iter().filter(|(name, ..)| *name == layer) {
            let is_clock = file.file_stem().is_some_and(|stem| stem == CLOCK);
            let is_remote = (layer.as_str(), *banned) == ("runner", "tonic")
                && file.file_stem().is_some_and(|stem| stem == REMOTE);
            let names = |path: &String| {
                path == banned
                    || path.starts_with(&format!("{banned}::"))
                    || path.ends_with(&format!("::{banned}"))
            };
            if paths.iter().any(names) && !is_clock && !is_remote {
                wrong.push(format!("{} names {banned}: {reason}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The tests above would pass on anything if paths were not found.
#[test]
fn paths_are_found_however_they_are_written() {
    let found = paths_of(
        r#"
        use crate::{blobs::{logs::FileLogs, Blob}, proto::v1 as messages};
        use super::super::api::Jobs;
        fn f(x: crate::runner::Lease) { let now = std::time::SystemTime::now(); }
        mod inner { use super::super::super::cli::main; }
        "#,
        &["engine", "leases"],
    );
    for expected in [
        "crate::blobs::Blob",
        "crate::blobs::logs::FileLogs",
        "crate::proto::v1",
        "crate::api::Jobs",
        "crate::runner::Lease",
        "std::time::SystemTime::now",
        "crate::cli::main",
    ] {
        assert!(found.contains(expected), "{expected} is not in {found:?}");
    }
}

/// The same for submodules: a submodule's own name is found as well; the caller
/// filters it out.
#[test]
fn submodules_are_found_however_they_are_written() {
    let source = r#"
        use super::super::stage::run;
        use crate::{domain::Job, runner::{Lease, log::{self, Shipped}}};
        fn f(x: super::stop::Stop) {}
    "#;
    let paths = paths_of(source, &["runner", "leases", "held_lease"]);
    let (_, submodules) = INSIDE.into_iter().find(|(of, _)| *of == "runner").unwrap();
    let found = submodules_named(&paths, "runner", submodules);
    assert_eq!(found, BTreeSet::from(["leases", "log", "stage"]));
}

/// Every source file with the layer that it belongs to.
fn sources() -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut directories = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                files.push(path);
            }
        }
    }
    let layer = |path: &Path| module_path(path, &root).first().cloned();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    files
        .into_iter()
        .filter_map(|path| Some((layer(&path)?, path)))
        .collect()
}

/// `src/store/memory/commit.rs` as `[store, memory, commit]`; empty for the roots.
fn module_path(file: &Path, root: &Path) -> Vec<String> {
    let relative = file.strip_prefix(root).unwrap().with_extension("");
    let parts = relative
        .iter()
        .map(|part| part.to_str().unwrap().to_owned());
    parts
        .filter(|part| !["mod", "lib", "main"].contains(&part.as_str()))
        .collect()
}

/// The module path of a source file.
fn module(file: &Path) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    module_path(file, &root)
}

fn paths(file: &Path) -> BTreeSet<String> {
    let module = module(file);
    let module: Vec<&str> = module.iter().map(String::as_str).collect();
    paths_of(&fs::read_to_string(file).unwrap(), &module)
}

/// Every path that a source names; those of `crate` and `super` start at the
/// crate's root.
fn paths_of(source: &str, module: &[&str]) -> BTreeSet<String> {
    let mut paths = Paths {
        module: module.iter().map(|part| (*part).to_owned()).collect(),
        found: BTreeSet::new(),
    };
    paths.visit_file(&syn::parse_file(source).unwrap());
    paths.found
}

struct Paths {
    module: Vec<String>,
    found: BTreeSet<String>,
}

impl Paths {
    fn add(&mut self, segments: &[String]) {
        let supers = segments
            .iter()
            .take_while(|segment| *segment == "super")
            .count();
        let full = match supers {
            0 => segments.to_vec(),
            _ => {
                let kept = self.module.len().saturating_sub(supers);
                let here = self.module[..kept].iter();
                let crate_root = ["crate".to_owned()];
                crate_root
                    .iter()
                    .chain(here)
                    .chain(&segments[supers..])
                    .cloned()
                    .collect()
            }
        };
        self.found.insert(full.join("::"));
    }

    fn add_tree(&mut self, tree: &UseTree, before: &[String]) {
        let with = |name: String| [before, &[name]].concat();
        match tree {
            UseTree::Path(path) => self.add_tree(&path.tree, &with(path.ident.to_string())),
            UseTree::Name(name) => self.add(&with(name.ident.to_string())),
            UseTree::Rename(rename) => self.add(&with(rename.ident.to_string())),
            UseTree::Glob(_) => self.add(before),
            UseTree::Group(group) => {
                group
                    .items
                    .iter()
                    .for_each(|tree| self.add_tree(tree, before));
            }
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.add_tree(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast SynPath) {
        let segments = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string());
        self.add(&segments.collect::<Vec<_>>());
        syn::visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let inline = item.content.is_some();
        if inline {
            self.module.push(item.ident.to_string());
        }
        syn::visit::visit_item_mod(self, item);
        if inline {
            self.module.pop();
        }
    }
}
