//! Reads an image with AWS's own library, prints the measurements that it finds, verifies its signature,
//! and writes the image again from its parts, signed when a key and a certificate are given.
//! docs/image.md says what came out.
//!
//!     cargo run --release -- IMAGE SCRATCH_FOLDER [KEY CERTIFICATE]

use aws_nitro_enclaves_image_format::defs::{EifHeader, EifSectionHeader, EifSectionType};
use aws_nitro_enclaves_image_format::utils::eif_reader::EifReader;
use aws_nitro_enclaves_image_format::utils::{EifBuilder, PcrSignatureChecker, SignKeyData};
use sha2::{Digest, Sha384};
use std::fs::{read, write, File};
use std::path::{Path, PathBuf};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(image), Some(scratch)) = (arguments.next(), arguments.next()) else {
        panic!("expected IMAGE and SCRATCH_FOLDER");
    };
    let mut reader = EifReader::from_eif(image.clone()).expect("the library reads the image");
    assert!(reader.check_crc(), "the checksum is right");
    for (name, value) in reader
        .get_measurements()
        .expect("the library measures the image")
    {
        println!("{name} {value}");
    }
    let mut signature = PcrSignatureChecker::from_eif(&image).expect("the signature is found");
    if signature.is_empty() {
        println!("not signed");
    } else {
        signature
            .verify()
            .expect("the library verifies the signature");
        println!("signature verified");
    }
    let metadata = reader
        .get_metadata()
        .expect("the library reads the metadata");

    let bytes = read(&image).unwrap();
    let scratch = PathBuf::from(scratch);
    let (mut kernel, mut cmdline, mut ramdisks) = (None, None, Vec::new());
    let mut at = EifHeader::size();
    while at < bytes.len() {
        let header =
            EifSectionHeader::from_be_bytes(&bytes[at..at + EifSectionHeader::size()]).unwrap();
        at += EifSectionHeader::size();
        let data = &bytes[at..at + header.section_size as usize];
        at += data.len();
        match header.section_type {
            EifSectionType::EifSectionKernel => kernel = Some(part(&scratch, "kernel", data)),
            EifSectionType::EifSectionCmdline => {
                cmdline = Some(String::from_utf8(data.into()).unwrap())
            }
            EifSectionType::EifSectionRamdisk => {
                ramdisks.push(part(&scratch, &format!("ramdisk-{}", ramdisks.len()), data));
            }
            _ => (),
        }
    }
    let (kernel, cmdline) = (kernel.unwrap(), cmdline.unwrap());
    let flags = reader.get_header().flags;
    let signer = arguments
        .next()
        .zip(arguments.next())
        .map(|(key, certificate)| {
            SignKeyData::new(&key, certificate.as_ref()).expect("the library takes the key")
        });
    let mut builder = EifBuilder::new(&kernel, cmdline, signer, Sha384::new(), flags, metadata);
    for ramdisk in &ramdisks {
        builder.add_ramdisk(ramdisk);
    }
    let again = scratch.join("again.eif");
    builder.write_to(&mut File::create(&again).unwrap());
    let same = read(&again).unwrap() == bytes;
    println!(
        "{} is {}",
        again.display(),
        if same {
            "the same file"
        } else {
            "another file"
        }
    );
}

fn part(scratch: &Path, name: &str, data: &[u8]) -> PathBuf {
    let path = scratch.join(name);
    write(&path, data).unwrap();
    path
}
