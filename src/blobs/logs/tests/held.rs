//! Checks [`FileLogs`](super::super::FileLogs) against the rules of the trait.

mod on_disk {
    use crate::blobs::logs::{Durability, conformance::log_store_conformance, tests::Files};

    log_store_conformance!(Files::new(Durability::Disk));
}

mod for_a_process {
    use crate::blobs::logs::{Durability, conformance::log_store_conformance, tests::Files};

    log_store_conformance!(Files::new(Durability::Process));
}
