//! Brings a database to the newest format, a numbered file of SQL after the other.

use std::time::SystemTime;

use rusqlite::{Connection, TransactionBehavior, params};
use sha2::{Digest, Sha256};

use crate::store::{
    codec::{encode, time_to_nanos},
    durable_instance,
};

use super::OpenError;

/// In number order from 1. A released one is never changed.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/0001.sql")];

/// `PIPW`: tells the database from those of other programs.
const APPLICATION_ID: i64 = 0x5049_5057;

/// Applies the migrations that the database does not have, and fills a new one. Returns the
/// number of the newest.
pub(super) fn migrate(connection: &mut Connection, now: SystemTime) -> Result<u32, OpenError> {
    migrate_with(connection, now, &MIGRATIONS)
}

pub(super) fn migrate_with(
    connection: &mut Connection,
    now: SystemTime,
    migrations: &[&str],
) -> Result<u32, OpenError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let is_new: bool =
        transaction.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| {
            row.get(0)
        })?;
    if found != APPLICATION_ID && !is_new {
        return Err(OpenError::Foreign { found });
    }
    if is_new {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.execute_batch(
            "CREATE TABLE migration (
                 number INTEGER PRIMARY KEY, sha256 TEXT NOT NULL, time INTEGER NOT NULL
             ) STRICT",
        )?;
    }
    let applied: Vec<(u32, String)> = transaction
        .prepare("SELECT number, sha256 FROM migration ORDER BY number")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let known = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    if let Some((found, _)) = applied.last().filter(|(number, _)| *number > known) {
        return Err(OpenError::TooNew {
            found: *found,
            known,
        });
    }
    for (number, sql) in (1..).zip(migrations) {
        let sha256 = hex(&Sha256::digest(sql));
        match applied.iter().find(|(applied, _)| *applied == number) {
            Some((_, applied)) if *applied != sha256 => {
                return Err(OpenError::OtherMigration { number });
            }
            Some(_) => {}
            None => {
                transaction.execute_batch(sql)?;
                transaction.execute(
                    "INSERT INTO migration VALUES (?, ?, ?)",
                    params![number, sha256, time_to_nanos(now)],
                )?;
            }
        }
    }
    if is_new {
        let instance = encode(&durable_instance(now));
        transaction.execute("INSERT INTO once VALUES ('instance', ?)", [instance])?;
    }
    transaction.commit()?;
    Ok(known)
}

/// The number of the newest migration that a database has.
pub(super) fn format(connection: &Connection) -> Result<u32, OpenError> {
    let found: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if found != APPLICATION_ID {
        return Err(OpenError::Foreign { found });
    }
    let newest = "SELECT max(number) FROM migration";
    let found: u32 = connection.query_row(newest, [], |row| row.get(0))?;
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(OpenError::TooNew { found, known });
    }
    Ok(found)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
