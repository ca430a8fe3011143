//! `generate IMAGE FOLDER` writes the stubs of a descriptor image into a folder.

use std::{env, error::Error, fs};

use prost::Message;
use prost_types::FileDescriptorSet;

fn main() -> Result<(), Box<dyn Error>> {
    let [_, image, folder] = env::args()
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| "usage: generate IMAGE FOLDER")?;
    // No protoc is needed: the image is what protoc would have made of the .proto files.
    let files = FileDescriptorSet::decode(fs::read(image)?.as_slice())?;
    tonic_prost_build::configure()
        .build_server(false)
        .out_dir(folder)
        .compile_fds(files)?;
    Ok(())
}
