//! Runs stages: takes leases, prepares the workspace, supervises the command and
//! ships its log. Knows who hands out work only through [`Leases`].

mod lease;

pub use lease::{
    Acquired, Completion, Directive, Lease, LeaseError, LeaseProof, Leases, Registration, Renewed,
    StageWork,
};
