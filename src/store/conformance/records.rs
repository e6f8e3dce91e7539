use bytes::Bytes;

use super::{
    super::{Batch, Record, RecordQuery, RecordWrite, Write},
    Tested,
    world::*,
};

fn record(key: &str, version: u64) -> Record {
    Record {
        key: key.to_owned(),
        project: "default".to_owned(),
        principal: String::new(),
        version,
        body: Bytes::from(format!("{key} at {version}")),
        expires: None,
        indexes: Vec::new(),
    }
}

fn put(record: Record) -> Batch {
    Batch::of([Write::Record(RecordWrite::Put("things", record))])
}

fn delete(key: &str, version: u64) -> Batch {
    let delete = RecordWrite::Delete("things", key.to_owned(), version);
    Batch::of([Write::Record(delete)])
}

async fn list(store: &Tested, query: RecordQuery) -> String {
    let query = RecordQuery {
        collection: "things",
        limit: if query.limit == 0 { 100 } else { query.limit },
        ..query
    };
    let records = store.records(&query).await.unwrap();
    records.into_iter().map(|record| record.key).collect()
}

fn after(value: &str, key: &str) -> Option<(String, String)> {
    Some((value.to_owned(), key.to_owned()))
}

pub(crate) async fn a_record_has_versions(mut store: Tested) {
    assert!(is_conflict(store.commit(put(record("a", 2))).await));
    assert!(is_conflict(store.commit(put(record("a", 0))).await));
    store.commit(put(record("a", 1))).await.unwrap();
    store.reopen().await;
    assert!(is_conflict(store.commit(put(record("a", 1))).await));
    store.commit(put(record("a", 2))).await.unwrap();
    assert!(is_conflict(store.commit(put(record("a", 2))).await));
    let found = store.record("things", "a").await.unwrap();
    assert_eq!(found, Some(record("a", 2)));
    assert_eq!(store.record("projects", "a").await.unwrap(), None);
    store.reopen().await;
    assert_eq!(store.record_version("things", "a").await.unwrap(), 2);
    assert_eq!(store.record_version("projects", "a").await.unwrap(), 0);
    assert!(is_conflict(store.commit(delete("a", 1)).await));
    store.commit(delete("a", 2)).await.unwrap();
    store.reopen().await;
    assert_eq!(store.record("things", "a").await.unwrap(), None);
    assert_eq!(store.record_version("things", "a").await.unwrap(), 0);
    assert!(is_conflict(store.commit(delete("a", 2)).await));
    assert!(is_conflict(store.commit(delete("a", 0)).await));
    store.commit(put(record("a", 1))).await.unwrap();
}

pub(crate) async fn records_are_listed_in_order(mut store: Tested) {
    for key in ["c", "a", "d", "b"] {
        let project = if key < "c" { "one" } else { "two" };
        let record = Record {
            project: project.to_owned(),
            ..record(key, 1)
        };
        store.commit(put(record)).await.unwrap();
    }
    store.reopen().await;
    let all = RecordQuery::default;
    assert_eq!(list(&store, all()).await, "abcd");
    let descending = || RecordQuery {
        is_descending: true,
        ..all()
    };
    assert_eq!(list(&store, descending()).await, "dcba");
    let of = |project: &str| RecordQuery {
        project: Some(project.to_owned()),
        ..all()
    };
    assert_eq!(list(&store, of("two")).await, "cd");
    let page = |query: RecordQuery, key: &str| RecordQuery {
        after: after("", key),
        limit: 2,
        ..query
    };
    assert_eq!(list(&store, page(all(), "a")).await, "bc");
    assert_eq!(list(&store, page(all(), "c")).await, "d");
    assert_eq!(list(&store, page(all(), "bb")).await, "cd");
    assert_eq!(list(&store, page(descending(), "d")).await, "cb");
    assert_eq!(list(&store, page(descending(), "a")).await, "");
    assert_eq!(list(&store, page(of("two"), "a")).await, "cd");
    let exactly = |key: &str| RecordQuery {
        equals: Some(key.to_owned()),
        ..all()
    };
    assert_eq!(list(&store, exactly("b")).await, "b");
    assert_eq!(list(&store, exactly("bb")).await, "");
    assert_eq!(list(&store, page(exactly("b"), "b")).await, "");
}

pub(crate) async fn records_are_listed_by_an_index(mut store: Tested) {
    let tagged = |key: &str, version, tags: &[&str]| {
        let tags = tags.iter().map(|tag| ("tag", (*tag).to_owned()));
        Record {
            indexes: tags.chain([("other", "x".to_owned())]).collect(),
            ..record(key, version)
        }
    };
    for (key, tags) in [
        ("a", &["red", "blue"][..]),
        ("b", &["red"]),
        ("c", &["blue"]),
        ("d", &["reddish"]),
        ("e", &[]),
    ] {
        store.commit(put(tagged(key, 1, tags))).await.unwrap();
    }
    store.reopen().await;
    let by_tag = || RecordQuery {
        index: Some("tag"),
        ..RecordQuery::default()
    };
    let descending = |query: RecordQuery| RecordQuery {
        is_descending: true,
        ..query
    };
    let with = |tag: &str| RecordQuery {
        equals: Some(tag.to_owned()),
        ..by_tag()
    };
    assert_eq!(list(&store, by_tag()).await, "acabd");
    assert_eq!(list(&store, descending(by_tag())).await, "dbaca");
    assert_eq!(list(&store, with("red")).await, "ab");
    assert_eq!(list(&store, descending(with("red"))).await, "ba");
    assert_eq!(list(&store, with("green")).await, "");
    let behind = |query: RecordQuery, value: &str, key: &str| RecordQuery {
        after: after(value, key),
        ..query
    };
    assert_eq!(list(&store, behind(by_tag(), "blue", "c")).await, "abd");
    assert_eq!(list(&store, behind(with("red"), "red", "a")).await, "b");
    assert_eq!(list(&store, behind(with("red"), "blue", "c")).await, "ab");
    assert_eq!(list(&store, behind(with("red"), "reddish", "d")).await, "");
    let down = |value, key| behind(descending(with("red")), value, key);
    assert_eq!(list(&store, down("red", "b")).await, "a");
    assert_eq!(list(&store, down("reddish", "d")).await, "ba");
    assert_eq!(list(&store, down("blue", "c")).await, "");
    let unknown = RecordQuery {
        index: Some("none"),
        ..RecordQuery::default()
    };
    assert_eq!(list(&store, unknown).await, "");

    // An index shows the current state, not an earlier one.
    store.commit(put(tagged("a", 2, &["green"]))).await.unwrap();
    store.commit(delete("b", 1)).await.unwrap();
    store.reopen().await;
    assert_eq!(list(&store, with("red")).await, "");
    assert_eq!(list(&store, by_tag()).await, "cad");
}

pub(crate) async fn expired_records_are_removed(mut store: Tested) {
    for (key, expires) in [("a", Some(10)), ("b", None), ("c", Some(20))] {
        let record = Record {
            expires: expires.map(at),
            ..record(key, 1)
        };
        store.commit(put(record)).await.unwrap();
    }
    store.reopen().await;
    assert_eq!(store.remove_expired_records(at(9)).await.unwrap(), 0);
    assert_eq!(store.remove_expired_records(at(10)).await.unwrap(), 1);
    store.reopen().await;
    assert_eq!(list(&store, RecordQuery::default()).await, "bc");
    // A record that no longer expires stays.
    store.commit(put(record("c", 2))).await.unwrap();
    assert_eq!(store.remove_expired_records(at(99)).await.unwrap(), 0);
    store.commit(put(record("a", 1))).await.unwrap();
    assert_eq!(list(&store, RecordQuery::default()).await, "abc");
}
