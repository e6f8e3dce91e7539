//! The tables at the start of the page.

use pipewright::api::{Reason, needs};
use prost_reflect::{DescriptorPool, MethodDescriptor};
use tonic::Code;

use crate::{markdown, reference, session::SESSION};

/// The table of all methods: what each does and which role it requires.
pub(crate) fn methods(pool: &DescriptorPool) -> String {
    let of = |service: prost_reflect::ServiceDescriptor| {
        let methods = service.methods().map(|method| row(&method));
        let table = markdown::table(&["method", "what it does", "needs"], methods);
        format!("{}\n\n{table}\n", link(service.name()))
    };
    reference::services(pool).map(of).collect()
}

fn row(method: &MethodDescriptor) -> Vec<String> {
    let name = method.name();
    vec![
        link(name),
        first_sentence(&reference::comment_of_method(method)),
        needs(&format!("/{}", reference::path(method))).unwrap(),
    ]
}

fn first_sentence(comment: &str) -> String {
    let paragraph = comment.split("\n\n").next().unwrap_or_default();
    let line = markdown::cell(paragraph);
    let first = line.split_inclusive(". ").next().unwrap_or_default();
    first.trim_end().to_owned()
}

/// The methods in the order in which the examples call them.
pub(crate) fn session() -> String {
    let names = SESSION
        .iter()
        .filter_map(|step| step.method.split_once('/'));
    let links: Vec<String> = names.map(|(_, name)| link(name)).collect();
    links.join(", ") + "."
}

fn link(name: &str) -> String {
    format!("[{name}](#{})", markdown::slug(name))
}

/// The table of all error reasons with their codes and what to do about them.
pub(crate) fn reasons() -> String {
    let rows = Reason::ALL.iter().map(|reason| {
        let code = reason.code().map_or("any".to_owned(), name);
        vec![
            format!("`{}`", reason.name()),
            code,
            markdown::cell(reason.meaning()),
        ]
    });
    markdown::table(&["reason", "code", "what it means, and what to do"], rows)
}

/// The canonical name of a code: `InvalidArgument` as INVALID_ARGUMENT.
fn name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
