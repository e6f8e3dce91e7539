//! Loads certificates and keys for the transport.

use std::{
    error::Error,
    fs,
    io::{self, Read},
    path::Path,
};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use super::options::TlsFiles;
use crate::private_file::{PrivateFileError, Readers, open_private};

/// The endpoint with TLS; an error names its file.
pub(super) fn encrypt(endpoint: Endpoint, files: &TlsFiles) -> Result<Endpoint, String> {
    let mut tls = ClientTlsConfig::new();
    tls = match &files.ca_cert {
        Some(file) => tls.ca_certificate(Certificate::from_pem(certificates(file)?)),
        None => tls.with_native_roots(),
    };
    match (&files.client_cert, &files.client_key) {
        (Some(certificate), Some(key)) => {
            tls = tls.identity(Identity::from_pem(
                certificates(certificate)?,
                private_key(key)?,
            ));
        }
        (None, None) => {}
        _ => return Err("--client-cert and --client-key go together".to_owned()),
    }
    if let Some(name) = &files.server_name {
        tls = tls.domain_name(name);
    }
    endpoint.tls_config(tls).map_err(|error| {
        let cause = innermost(&error);
        // The errors of the library do not name files.
        if let (true, Some(certificate), Some(key)) = (
            cause.contains("KeyMismatch"),
            &files.client_cert,
            &files.client_key,
        ) {
            return format!(
                "{} is not the key of the certificate {}",
                key.display(),
                certificate.display()
            );
        }
        let hint = match files.ca_cert {
            Some(_) => "",
            None => "; --ca-cert names authorities where the system has none",
        };
        format!("cannot set up TLS: {cause}{hint}")
    })
}

fn certificates(file: &Path) -> Result<Vec<u8>, String> {
    let pem = read(file)?;
    let mut found = CertificateDer::pem_slice_iter(&pem);
    match found.next() {
        Some(Ok(_)) if found.all(|each| each.is_ok()) => Ok(pem),
        _ => Err(format!("{} holds no certificate in PEM", file.display())),
    }
}

fn private_key(file: &Path) -> Result<Vec<u8>, String> {
    let mut pem = Vec::new();
    let opened = open_private(file, Readers::Group);
    let read = opened.and_then(|mut opened| Ok(opened.read_to_end(&mut pem)?));
    read.map_err(|error| match error {
        PrivateFileError::Exposed(exposed) => format!("the private key {exposed}"),
        PrivateFileError::Io(error) => cannot_read(file, &error),
    })?;
    // The error would not explain more, and might contain parts of the key.
    match PrivateKeyDer::from_pem_slice(&pem) {
        Ok(_) => Ok(pem),
        Err(_) => Err(format!("{} holds no private key in PEM", file.display())),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| cannot_read(file, &error))
}

fn cannot_read(file: &Path, error: &io::Error) -> String {
    format!("cannot read {}: {error}", file.display())
}

fn innermost(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => innermost(source),
        None => error.to_string(),
    }
}
