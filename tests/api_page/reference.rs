//! The reference, from the comments in `proto/`: services with their methods and examples,
//! then the types that they share.

use prost_reflect::{
    DescriptorPool, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor,
    MethodDescriptor, ServiceDescriptor,
};

use crate::{
    markdown::{block, cell, slug, table},
    session::Shown,
};

/// The reference of all services, package by package.
pub(crate) fn of(pool: &DescriptorPool, examples: &[Shown]) -> String {
    let mut text = String::new();
    let mut package = String::new();
    for service in services(pool) {
        if !package.is_empty() && package != service.package_name() {
            text += &types(pool, &package);
        }
        package = service.package_name().to_owned();
        text += &of_service(&service, examples);
    }
    text + &types(pool, &package)
}

/// The services of the contract, in the order of the contract.
pub(crate) fn services(pool: &DescriptorPool) -> impl Iterator<Item = ServiceDescriptor> {
    let is_own = |service: &ServiceDescriptor| service.package_name().starts_with("pipewright.");
    pool.services().filter(is_own)
}

/// `package.Service/Method`, as grpcurl expects it.
pub(crate) fn path(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().full_name(), method.name())
}

/// The comment of a method.
pub(crate) fn comment_of_method(method: &MethodDescriptor) -> String {
    comment(&method.parent_service().parent_file(), method.path())
}

fn of_service(service: &ServiceDescriptor, examples: &[Shown]) -> String {
    let comment = block(&comment(&service.parent_file(), service.path()));
    let methods = service.methods().map(|method| of_method(&method, examples));
    let methods = methods.collect::<String>();
    let (name, full_name) = (service.name(), service.full_name());
    format!("## {name}\n\n`{full_name}`\n\n{comment}\n\n{methods}")
}

fn of_method(method: &MethodDescriptor, examples: &[Shown]) -> String {
    let comment = block(&comment_of_method(method));
    let (input, output) = (method.input(), method.output());
    let stream = if method.is_server_streaming() {
        "a stream of "
    } else {
        ""
    };
    let signature = format!("{} → {stream}{}", link(input.name()), link(output.name()));
    let path = path(method);
    let examples = examples.iter().filter(|example| example.method == path);
    let examples = examples.map(Shown::block).collect::<String>();
    let messages = of_message(&input, 4) + &of_message(&output, 4);
    let name = method.name();
    format!("### {name}\n\n{comment}\n\n{signature}\n\n{examples}{messages}")
}

/// The types of a package that are neither requests nor responses of its methods.
fn types(pool: &DescriptorPool, package: &str) -> String {
    let is_passed = |message: &MessageDescriptor| {
        let methods = services(pool).flat_map(|service| service.methods().collect::<Vec<_>>());
        let mut passed = methods.flat_map(|method| [method.input(), method.output()]);
        passed.any(|passed| passed == *message)
    };
    let mut text = format!("## Types of {package}\n\n");
    for file in pool.files().filter(|file| file.package_name() == package) {
        let messages = file.messages().filter(|message| !is_passed(message));
        text.extend(messages.map(|message| of_message(&message, 3)));
        text.extend(file.enums().map(|of| of_enum(&of, 3)));
    }
    text
}

fn of_message(message: &MessageDescriptor, level: usize) -> String {
    let head = heading(message.full_name(), message.package_name(), level);
    let comment = comment(&message.parent_file(), message.path());
    // "Request of GetJob." repeats the heading.
    let comment = match level {
        4 if is_of_method(&comment) => String::new(),
        _ => block(&comment) + "\n\n",
    };
    let fields = match message.fields().len() {
        0 => "No fields.\n".to_owned(),
        _ => table(&["field", "type", "what it is"], rows(message)),
    };
    let messages = message
        .child_messages()
        .filter(|child| !child.is_map_entry());
    let children = messages.map(|child| of_message(&child, level));
    let enums = message.child_enums().map(|child| of_enum(&child, level));
    let children = children.chain(enums).collect::<String>();
    format!("{head}{comment}{fields}\n{children}")
}

fn is_of_method(comment: &str) -> bool {
    let first = comment.trim();
    let begins = ["Request of ", "Response of ", "One message of "];
    begins.iter().any(|words| first.starts_with(words)) && first.lines().count() == 1
}

/// A row for each field, and a row for each `oneof` before its first field.
fn rows(message: &MessageDescriptor) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut choice_before = None;
    for field in message.fields() {
        let choice = field
            .containing_oneof()
            .filter(|choice| !choice.is_synthetic());
        if let Some(choice) = &choice
            && choice_before.as_ref() != Some(choice)
        {
            let comment = comment(&message.parent_file(), choice.path());
            let name = format!("one of *{}*", choice.name());
            rows.push(vec![name, String::new(), cell(&comment)]);
        }
        let indent = choice.as_ref().map_or("", |_| "&emsp;");
        rows.push(vec![
            format!("{indent}`{}`", field.name()),
            type_of(&field),
            cell(&comment(&message.parent_file(), field.path())),
        ]);
        choice_before = choice;
    }
    rows
}

fn type_of(field: &FieldDescriptor) -> String {
    if let (true, Kind::Message(entry)) = (field.is_map(), field.kind()) {
        let value = entry.map_entry_value_field();
        let key = name_of(&entry.map_entry_key_field().kind());
        return format!("map of {key} to {}", name_of(&value.kind()));
    }
    let name = name_of(&field.kind());
    match (field.is_list(), field.containing_oneof()) {
        (true, _) => format!("list of {name}"),
        (false, Some(choice)) if choice.is_synthetic() => format!("{name}, optional"),
        _ => name,
    }
}

fn name_of(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => link_of(message.full_name(), message.package_name()),
        Kind::Enum(of) => link_of(of.full_name(), of.package_name()),
        scalar => format!("`{scalar:?}`"),
    }
}

/// A link to a type on the page, or in the protobuf documentation.
fn link_of(full_name: &str, package: &str) -> String {
    match full_name.strip_prefix("google.protobuf.") {
        Some(name) => {
            let anchor = well_known(name);
            format!("[{name}](https://protobuf.dev/reference/protobuf/google.protobuf/#{anchor})")
        }
        None => link(short(full_name, package)),
    }
}

fn well_known(name: &str) -> &'static str {
    match name {
        "Duration" => "duration",
        "FieldMask" => "field-mask",
        "Timestamp" => "timestamp",
        _ => panic!("say where {name} is documented"),
    }
}

fn link(name: &str) -> String {
    format!("[{name}](#{})", slug(name))
}

fn of_enum(of: &EnumDescriptor, level: usize) -> String {
    let head = heading(of.full_name(), of.package_name(), level);
    let file = of.parent_file();
    let text = block(&comment(&file, of.path()));
    let rows = of.values().map(|value| {
        vec![
            format!("`{}`", value.name()),
            value.number().to_string(),
            cell(&comment(&file, value.path())),
        ]
    });
    let values = table(&["value", "number", "what it means"], rows);
    format!("{head}{text}\n\n{values}\n")
}

fn heading(full_name: &str, package: &str, level: usize) -> String {
    format!("{} {}\n\n", "#".repeat(level), short(full_name, package))
}

fn short<'a>(full_name: &'a str, package: &str) -> &'a str {
    &full_name[package.len() + 1..]
}

/// The leading comment of the element at a path of a file. buf's lint requires one for
/// every element.
fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let mut locations = info.unwrap().location.iter();
    let location = locations.find(|location| location.path == path).unwrap();
    location.leading_comments().to_owned()
}
