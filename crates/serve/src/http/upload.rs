//! Images as people send them: as the body, or as files of a form.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;

use super::body::Held;
use super::multipart::{boundary, parts};
use crate::Service;
use crate::budget::Share;
use crate::picture::Picture;
use crate::rejection::Rejection;

/// Images of a request.
pub(super) struct Upload {
    pub(super) images: Vec<ImageFile>,
    /// To be kept for as long as the images are.
    pub(super) share: Share,
}

/// An image file and its name.
pub(super) struct ImageFile {
    pub(super) name: String,
    bytes: Bytes,
}

impl Upload {
    pub(super) fn pictures(&self) -> Vec<Picture> {
        self.images.iter().map(|image| Picture::File(image.bytes.clone())).collect()
    }

    /// The one image.
    pub(super) fn one(&self) -> Result<Picture, Rejection> {
        match &self.images[..] {
            [image] => Ok(Picture::File(image.bytes.clone())),
            images => Err(Rejection::Malformed(format!("{} images; expected one", images.len()))),
        }
    }
}

impl FromRequest<Service> for Upload {
    type Rejection = Rejection;

    async fn from_request(request: Request, service: &Service) -> Result<Self, Rejection> {
        let Held { headers, bytes, share } = Held::from_request(request, service).await?;
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let images = match boundary(kind) {
            None => vec![ImageFile { name: String::new(), bytes }],
            Some(boundary) => {
                let files = parts(&bytes, &boundary?)?.into_iter().filter(|part| part.file.is_some());
                files
                    .map(|part| ImageFile { name: part.file.unwrap_or_default(), bytes: part.bytes })
                    .collect()
            }
        };
        match images.iter().all(|image| image.bytes.is_empty()) {
            true => {
                Err(Rejection::malformed("no image; help: send the file as the body, or as a file of a form"))
            }
            false => Ok(Self { images, share }),
        }
    }
}
